import numpy as np
import pytest
from keras import ops

from synthtf.layers.anatomy.random_atrophy import RandomAtrophy
from synthtf.ops.fields import jacobian_determinant
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomAtrophy(RandomLayerContract):
    layer = RandomAtrophy
    kind = "labels"
    arguments = {"labels": [2, [41, 2035]], "volume_change": (0.5, 2), "decay": (2, 4)}
    variants = [{"choice": "one", "spacing": 2.0}]
    identity_arguments = {"volume_change": 1}
    invalid = [
        ({"labels": []}, "must be groups of labels or names of regions, at least one"),
        ({"labels": [2, []]}, "must be groups of labels, at least one, none empty"),
        ({"labels": [2, [41, 2]]}, "each label at least 0 and in one group only"),
        ({"labels": [-1]}, "each label at least 0 and in one group only"),
        ({"volume_change": (0.1, 1)}, "`volume_change` must lie in"),
        ({"decay": 0}, "`decay` must lie in"),
        ({"choice": "two"}, "`choice` must be"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def expected_identity(self, inputs):
        spatial = inputs.shape[1:-1]
        return [inputs, np.zeros((len(inputs), *spatial, len(spatial)), "float32")]


def ball(shape, centre, radius, spacing=1.0, label=4):
    spacing = np.broadcast_to(spacing, len(shape))
    at = np.indices(shape)
    squared = sum(((a - c) * mm) ** 2 for a, c, mm in zip(at, centre, spacing, strict=True))
    return np.where(squared <= radius**2, label, 0).astype("int32")[None, ..., None]


def change(volume, **arguments):
    layer = RandomAtrophy(name="atrophy", **arguments)
    return to_arrays(layer(volume, make_keys(len(volume))))


def determinant(field):
    return ops.convert_to_numpy(jacobian_determinant(field))


@pytest.mark.parametrize("ratio", [0.5, 0.7, 1.5, 2.4])
@pytest.mark.parametrize("shape, spacing", [((72, 64), (1, 1)), ((48, 64, 40), (1.5, 1, 1.5))])
def test_a_ball_changes_by_the_ratio(shape, spacing, ratio):
    centre = (np.array(shape) - 1) / 2 + 0.25
    labels = ball(shape, centre, 14, spacing)
    moved, field = change(labels, labels=[4], volume_change=ratio, decay=12, spacing=spacing)
    found = np.sum(moved == 4) / np.sum(labels == 4)
    np.testing.assert_allclose(found, ratio, rtol=0.02)
    assert determinant(field).min() > 0
    # Within the ball the field is the scaling in closed form; far away it is nothing.
    at = np.indices(shape)
    distance = np.sqrt(
        sum(((a - c) * mm) ** 2 for a, c, mm in zip(at, centre, spacing, strict=True))
    )
    inside, far = distance < 13, distance > 14.8 * max(1, ratio ** (1 / len(shape))) + 24
    scaling = ratio ** (-1 / len(shape)) - 1
    for d in range(len(shape)):
        expected = scaling * (at[d] - centre[d])
        np.testing.assert_allclose(field[0, ..., d][inside], expected[inside], atol=0.02)
        assert (field[0, ..., d][far] == 0).all()
    assert far.any() and inside.any()


def test_the_field_maps_output_to_input_voxels():
    labels = np.random.default_rng(0).integers(0, 6, (1, 20, 24, 1)).astype("int32")
    moved, field = change(labels, labels=[4], volume_change=1.5, decay=5)
    at = np.rint(np.indices((20, 24)) + np.moveaxis(field[0], -1, 0)).astype(int)
    at = [np.clip(a, 0, n - 1) for a, n in zip(at, (20, 24), strict=True)]
    np.testing.assert_array_equal(moved[0, ..., 0], labels[0, at[0], at[1], 0])


def test_two_far_structures_add_up_and_one_alone_moves():
    shape = (40, 100)
    labels = ball(shape, (20, 22), 8) + ball(shape, (20, 76), 8, label=43)
    both, _ = change(labels, labels=[4, 43], volume_change=1.8, decay=6)
    for value in (4, 43):
        np.testing.assert_allclose(np.sum(both == value) / np.sum(labels == value), 1.8, rtol=0.03)
    as_one, _ = change(labels, labels=[[4, 43]], volume_change=1.2, decay=6)
    np.testing.assert_allclose(np.sum(as_one > 0) / np.sum(labels > 0), 1.2, rtol=0.03)
    many = repeat(labels, 200)
    moved, _ = change(many, labels=[4, 43], volume_change=1.8, decay=6, choice="one")
    grown = [np.sum(moved == v, axis=(1, 2, 3)) > np.sum(labels == v) for v in (4, 43)]
    assert (grown[0] ^ grown[1]).all()
    check_mean(grown[0], 0.5)


@pytest.mark.parametrize("ratio", [0.4, 2.5])
def test_never_folds_however_much_structures_overlap(ratio):
    shape = (44, 40)
    labels = np.zeros((1, *shape, 1), "int32")
    for k in range(6):  # slabs that touch, whose balls overlap almost entirely
        labels[:, 8 + 4 * k : 12 + 4 * k, 6:34] = k + 1
    _, field = change(labels, labels=range(1, 7), volume_change=ratio, decay=1)
    assert 0 < determinant(field).min() < 0.7
    _, field = change(np.minimum(labels, 1), labels=[1], volume_change=ratio, decay=1)
    assert determinant(field).min() > 0


def test_a_structure_that_is_missing_changes_nothing():
    labels = ball((20, 20), (10, 10), 5)
    moved, field = change(labels, labels=[17], volume_change=2)
    np.testing.assert_array_equal(moved, labels)
    assert (field == 0).all()


def test_same_warp_at_half_the_voxel_size():
    coarse, fine = ball((31, 25), (14, 12), 12, 2.0), ball((61, 49), (28, 24), 12, 1.0)
    arguments = {"labels": [4], "volume_change": 0.7, "decay": 10}
    _, of_coarse = change(coarse, spacing=2.0, **arguments)
    _, of_fine = change(fine, spacing=1.0, **arguments)
    # Extents differ by half a voxel, which shifts the fade.
    np.testing.assert_allclose(2 * of_coarse, of_fine[:, ::2, ::2], atol=0.3)
    assert np.abs(of_fine).max() > 2


def test_draws_are_uniform_per_structure():
    layer = RandomAtrophy([4, 43], volume_change=(0.8, 1.4), decay=(5, 15), choice="one")
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(400), (400, 8, 8, 1)).items()}
    check_mean(draws["volume_change"], 1.1)
    assert np.unique(draws["volume_change"]).size > 700
    check_mean(draws["decay"], 10)
    check_mean(draws["structure"], 0.5)
