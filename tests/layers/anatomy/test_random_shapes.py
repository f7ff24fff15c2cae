import keras
import numpy as np
import pytest

from synthtf.layers import RandomShapes
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomShapes(RandomLayerContract):
    layer = RandomShapes
    kind = "labels"
    arguments = {
        "num_labels": 4,
        "size": (3, 6),
        "warp_strength": (0, 2),
        "control_points": (2, 3),
    }
    variants = [{"warp_strength": 0}, {"size": (20, 30), "spacing": 2.0, "num_labels": (2, 3)}]
    identity_arguments = {"probability": 0}
    invalid = [
        ({"num_labels": 0}, "`num_labels` must lie in"),
        ({"num_labels": 2.5}, "`num_labels` must be whole numbers"),
        ({"num_labels": (0, 2)}, "`num_labels` must lie in"),
        ({"num_labels": (1, 2.5)}, "`num_labels` must be whole numbers"),
        ({"num_labels": (3, 2)}, "low <= high"),
        ({"size": 0}, "`size` must lie in"),
        ({"size": (64, 32)}, "low <= high"),
        ({"warp_strength": -1}, "`warp_strength` must lie in"),
        ({"control_points": 1}, "`control_points` must lie in"),
        ({"control_points": 2.5}, "`control_points` must be whole numbers"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def canvas(*shape, num=1):
    return np.zeros((num, *shape, 1), "int32")


def shapes(*shape, num=1, **arguments):
    layer = RandomShapes(name="shapes", **arguments)
    return to_arrays(layer(canvas(*shape, num=num), make_keys(num)))[0][..., 0]


def half_spaces(shape, axis, **arguments):
    """A layer whose draws put label 1 above the centre along an axis, and label 2 below."""
    layer = RandomShapes(num_labels=2, control_points=2, **arguments)
    inputs = canvas(*shape)
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(1), inputs.shape).items()}
    lattice = draws["noise"].shape[2:]
    ramp = np.arange(lattice[axis]) - (lattice[axis] - 1) / 2
    ramp = ramp.reshape([-1 if d == axis else 1 for d in range(len(shape))])
    draws["noise"] = np.stack([0 * draws["noise"][0, 0] + s * ramp for s in (1, -1)])[None]
    draws["noise"] = draws["noise"].astype("float32")
    draws["shift"] = 0 * draws["shift"]
    # A constant field, which normalises to 0: a displacement by minus the strength.
    draws["warp"] = 0 * draws["warp"]
    return layer, inputs, draws


def boundary(layer, inputs, draws, axis):
    """Voxel, along an axis, at which label 1 begins; that of all lines."""
    above = to_arrays(layer.apply(inputs, draws))[0][0, ..., 0] == 1
    np.testing.assert_array_equal(np.sort(above, axis), above)
    first = above.shape[axis] - above.sum(axis)
    assert (first == first.flat[0]).all()
    return first.flat[0]


@pytest.mark.parametrize("shape, axis", [((48, 40), 0), ((20, 48, 24), 1)])
def test_shift_and_warp_in_mm(shape, axis):
    """The boundary moves by the shift, in cells of `size`, and by the strength of the warp."""
    layer, inputs, draws = half_spaces(shape, axis, size=20, warp_strength=(0, 12), spacing=2.0)
    draws["warp_strength"] = np.zeros((1, 2), "float32")
    assert boundary(layer, inputs, draws, axis) == 24
    draws["shift"] = draws["shift"] - 0.5
    assert boundary(layer, inputs, draws, axis) == 24 + 0.5 * 20 / 2
    draws["warp_strength"] = np.full((1, 2), 12, "float32")
    assert boundary(layer, inputs, draws, axis) == 24 + (0.5 * 20 + 12) / 2


def test_each_label_has_its_own_noise_and_warp():
    layer = RandomShapes(num_labels=3, size=8)
    draws = layer.sample(make_keys(1), (1, 32, 32, 1))
    for name in ("noise", "size", "shift", "warp", "warp_strength"):
        values = to_arrays(draws[name])[0][0]
        assert values.shape[0] == 3
        assert name == "size" or np.unique(values, axis=0).shape[0] == 3


@pytest.mark.parametrize("shape", [(41, 33), (21, 17, 19)])
def test_same_shapes_at_half_the_voxel_size(shape):
    arguments = {"num_labels": 8, "size": (16, 24), "control_points": (2, 4)}
    coarse = shapes(*shape, spacing=2.0, **arguments)
    fine = shapes(*(2 * n - 1 for n in shape), spacing=1.0, **arguments)
    fine = fine[(slice(None), *(slice(None, None, 2),) * len(shape))]
    assert np.unique(coarse).size > 4
    assert np.mean(coarse == fine) > 0.97


def test_all_labels_occur_and_none_rules():
    labels = shapes(64, 64, 64, num_labels=26, spacing=2.5)
    share = np.bincount(labels.ravel(), minlength=27) / labels.size
    assert share[0] == 0 and (share[1:] > 0).all() and share.max() < 0.3


def test_labels_are_equally_likely():
    labels = shapes(9, 9, num=300, num_labels=5, size=4, warp_strength=3, control_points=2)
    centre = labels[:, 4, 4]
    for label in range(1, 6):
        check_mean(centre == label, 1 / 5)


def test_draws_are_uniform_or_normal():
    layer = RandomShapes(num_labels=3, size=(8, 16), warp_strength=(2, 8))
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(100), (100, 9, 9, 1)).items()}
    for name, low, high in (("size", 8, 16), ("warp_strength", 2, 8), ("shift", -0.5, 0.5)):
        assert draws[name].min() >= low and draws[name].max() <= high
        check_mean(draws[name], (low + high) / 2)
        check_mean((draws[name] - (low + high) / 2) ** 2, (high - low) ** 2 / 12)
    check_mean(draws["noise"], 0)
    check_mean(draws["noise"] ** 2, 1)
    assert set(draws["control_points"].ravel()) == set(range(3, 12))


def test_number_of_labels_is_drawn_per_sample():
    layer = RandomShapes(num_labels=(2, 5), size=4, control_points=2, name="shapes")
    assert layer.get_config()["num_labels"] == (2, 5)
    draws = layer.sample(make_keys(200), (200, 33, 33, 1))
    number = to_arrays(draws["num_labels"])[0]
    assert set(number) == {2, 3, 4, 5}
    assert layer.largest_label((200, 33, 33, 1)) == 5
    check_mean(number, 3.5)
    labels = to_arrays(layer.apply(canvas(33, 33, num=200), draws))[0]
    np.testing.assert_array_equal(labels.max((1, 2, 3)), number)
    # The labels that there are compete as if the number were fixed.
    row = int(np.argmax(number == 3))
    fixed = RandomShapes(num_labels=3, size=4, control_points=2)
    few = {k: x[row : row + 1] for k, x in draws.items() if k != "num_labels"}
    few = {k: x if k == "control_points" else x[:, :3] for k, x in few.items()}
    again = to_arrays(fixed.apply(canvas(33, 33), few))[0]
    np.testing.assert_array_equal(again[0], labels[row])


def count_borders(labels):
    """Share of neighbouring voxels with different labels."""
    return np.mean([np.mean(np.diff(labels, axis=d) != 0) for d in range(1, labels.ndim)])


def test_width_of_shapes_is_proportional_to_their_size():
    arguments = {"num": 6, "num_labels": 10, "warp_strength": 0}
    small, large = (count_borders(shapes(128, 128, size=s, **arguments)) for s in (12, 24))
    np.testing.assert_allclose(small / large, 2, rtol=0.2)
    # Runs of one label along an axis are about as long as the size.
    assert 0.4 * 24 < 1 / large < 2 * 24


def test_warps_change_the_shapes():
    still, warped = (
        shapes(64, 64, num=4, num_labels=6, size=24, warp_strength=(s, 16)) for s in (0, 16)
    )
    assert 0.1 < np.mean(still != warped) < 0.9
    assert count_borders(warped) < 0.3


def test_samples_that_are_left_alone_keep_their_labels():
    labels = np.full((40, 6, 6, 1), 2035, "int32")
    layer = RandomShapes(num_labels=3, size=2, probability=0.5)
    kept = (to_arrays(layer(labels, make_keys(40)))[0] == 2035).reshape(40, -1)
    assert (kept.all(1) | ~kept.any(1)).all()
    check_mean(kept[:, 0], 0.5)


def test_any_input_gives_one_channel_of_labels():
    image = np.zeros((1, 12, 10, 3), "float32")
    labels = RandomShapes(num_labels=3, size=4)(image, make_keys(1))
    assert tuple(labels.shape) == (1, 12, 10, 1)
    assert keras.backend.standardize_dtype(labels.dtype) == "int32"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="the spatial shape must be known"):
        RandomShapes()(keras.Input((None, None, 1), dtype="int32"), keras.Input((2,)))
    with pytest.raises(ValueError, match="`size` must be at least the voxel size"):
        RandomShapes(size=(1, 4), spacing=2.0)(canvas(8, 8), make_keys(1))
    with pytest.raises(ValueError, match="`spacing` must be a number or one per axis"):
        RandomShapes(spacing=(1.0, 1.0, 1.0))(canvas(8, 8), make_keys(1))
