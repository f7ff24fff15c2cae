import keras
import numpy as np
import pytest

from synthtf.layers import RandomLesions
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomLesions(RandomLayerContract):
    layer = RandomLesions
    kind = "labels"
    arguments = {"within": (2, 2035), "num_lesions": (1, 4), "size": (2, 4)}
    variants = [{"rim_label": 78, "rim": 2.0, "spacing": 2.0, "size": 9}]
    identity_arguments = {"num_lesions": 0}
    invalid = [
        ({"within": ()}, "`within` must be labels, whole numbers from 0, or names"),
        ({"within": (-2,)}, "must be labels, whole numbers from 0, or names"),
        ({"lesion_label": -1}, "`lesion_label` must lie in"),
        ({"rim_label": -1}, "`rim_label` must lie in"),
        ({"num_lesions": (1, 2.5)}, "`num_lesions` must be whole numbers"),
        ({"num_lesions": (-1, 2)}, "`num_lesions` must lie in"),
        ({"size": (4, 2)}, "low <= high"),
        ({"irregularity": 1.1}, "`irregularity` must lie in"),
        ({"rim": -1}, "`rim` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def filled(*shape, num=1, label=2):
    return np.full((num, *shape, 1), label, "int32")


def grow(labels, num=None, **arguments):
    num = num or len(labels)
    layer = RandomLesions(name="lesions", **arguments)
    return to_arrays(layer(repeat(labels[:1], num), make_keys(num)))[0][..., 0]


@pytest.mark.parametrize("shape, spacing", [((41, 47), 1.0), ((31, 25, 61), (1.0, 1.5, 0.5))])
def test_a_sphere_is_what_lies_within_half_its_size(shape, spacing):
    """At its voxel, in mm, and of the volume of a sphere."""
    layer = RandomLesions(num_lesions=1, size=18.6, irregularity=0, spacing=spacing)
    middle = tuple(n // 2 for n in shape)
    labels = filled(*shape)
    draws = dict(layer.sample(make_keys(1), labels.shape))
    index = np.ravel_multi_index(middle, shape)
    draws["place"] = np.array([[(index + 0.5) / np.prod(shape)]], "float32")
    lesion = to_arrays(layer.apply(labels, draws))[0][0, ..., 0] == 77
    spacing = np.broadcast_to(spacing, len(shape))
    grid = np.stack(np.indices(shape), -1)
    distance = np.linalg.norm((grid - middle) * spacing, axis=-1)
    np.testing.assert_array_equal(lesion, distance <= 9.3)
    expected = {2: np.pi * 9.3**2, 3: 4 / 3 * np.pi * 9.3**3}[len(shape)]
    np.testing.assert_allclose(lesion.sum() * np.prod(spacing), expected, rtol=0.03)


def test_lesions_stay_within_their_labels():
    labels = np.random.default_rng(0).choice([0, 2, 41, 3], size=(1, 24, 20, 16, 1)).astype("int32")
    lesion = grow(labels, num=8, num_lesions=5, size=(4, 12))
    changed = lesion != labels[..., 0]
    assert (lesion[changed] == 77).all() and changed.any((1, 2, 3)).all()
    assert set(np.unique(np.broadcast_to(labels[..., 0], lesion.shape)[changed])) == {2, 41}
    np.testing.assert_array_equal(grow(labels, within=[99], size=12)[0], labels[0, ..., 0])
    background = grow(labels, within=[0], lesion_label=5, size=12)[0]
    assert (background == 5).any() and (labels[0, ..., 0][background == 5] == 0).all()


def test_centres_are_equally_likely_everywhere():
    """Of one voxel each, on a grid too coarse for more."""
    labels = filled(6, 5, label=0)
    allowed = np.zeros((6, 5), bool)
    allowed[[0, 0, 2, 5, 5], [0, 4, 3, 1, 4]] = True
    labels[0, allowed] = 41
    hits = grow(labels, num=400, num_lesions=1, size=1) == 77
    np.testing.assert_array_equal(hits.sum((1, 2)), 1)
    for row, column in np.argwhere(allowed):
        check_mean(hits[:, row, column], 1 / 5)


def test_number_and_size_are_uniform():
    layer = RandomLesions(num_lesions=(2, 6), size=(3, 9), irregularity=(0.2, 0.8))
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(200), (200, 9, 9, 1)).items()}
    assert set(draws["num_lesions"]) == {2, 3, 4, 5, 6}
    for name, low, high in (("size", 3, 9), ("irregularity", 0.2, 0.8), ("place", 0, 1)):
        assert draws[name].min() >= low and draws[name].max() <= high
        check_mean(draws[name], (low + high) / 2)
    for number in (0, 1, 3):
        few = {**draws, "num_lesions": 0 * draws["num_lesions"] + number}
        few["size"] = 0.5 + 0 * draws["size"]
        lesion = to_arrays(layer.apply(filled(40, 40, num=200), few))[0] == 77
        assert lesion.sum((1, 2, 3)).max() == number


def test_radius_varies_with_direction_about_its_mean():
    """Along each ray the lesion is one run, whose mean length is the radius."""
    layer = RandomLesions(num_lesions=1, size=40, irregularity=0.8, name="lesions")
    shape, num = (81, 81), 60
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(num), (num, *shape, 1)).items()}
    draws["place"] = np.full((num, 1), (40 * 81 + 40.5) / 81**2, "float32")
    lesion = to_arrays(layer.apply(filled(*shape, num=num), draws))[0][..., 0] == 77
    rays = [lesion[:, 40, 40:], lesion[:, 40, 40::-1], lesion[:, 40:, 40], lesion[:, 40::-1, 40]]
    for ray in rays:
        np.testing.assert_array_equal(np.sort(ray, 1)[:, ::-1], ray)
        radius = ray.sum(1) - 0.5  # the centre is a voxel, too
        assert 20 * 0.2 - 0.5 <= radius.min() < 15 and 25 < radius.max() <= 20 * 1.8 + 0.5
        check_mean(radius, 20)


def test_same_lesions_at_half_the_voxel_size():
    arguments = {"num_lesions": 1, "size": (8, 16), "irregularity": 0.5}
    layers = [RandomLesions(spacing=s, name="lesions", **arguments) for s in (2.0, 1.0)]
    draws = {k: to_arrays(x)[0] for k, x in layers[0].sample(make_keys(8), (8, 9, 9, 1)).items()}
    draws["place"] = np.full((8, 1), 0.5, "float32")
    # Sizes at which a chance of one half is the central voxel.
    coarse, fine = (
        to_arrays(layer.apply(filled(n, n, num=8), draws))[0][..., 0] == 77
        for layer, n in zip(layers, (21, 41), strict=True)
    )
    assert coarse.sum() > 100
    assert np.mean(coarse == fine[:, ::2, ::2]) > 0.99


def test_rims_are_as_thick_as_said():
    labels = filled(61, 61)
    layer = RandomLesions(num_lesions=1, size=40, irregularity=0, rim_label=78, rim=3.0)
    draws = {**layer.sample(make_keys(1), labels.shape), "place": np.full((1, 1), 0.5, "float32")}
    out = to_arrays(layer.apply(labels, draws))[0][0, ..., 0]
    distance = np.linalg.norm(np.stack(np.indices((61, 61)), -1) - 30, axis=-1)
    np.testing.assert_array_equal(out != 2, distance <= 20)
    # A run of voxels along the axis: 20 outside of the centre, of which 3 are rim.
    assert out[30, 30:].tolist() == [77] * 18 + [78] * 3 + [2] * 10
    thin = to_arrays(
        RandomLesions(rim_label=78, rim=0, num_lesions=1, size=40).apply(labels, draws)
    )
    assert (thin[0] == 78).any() and (thin[0] == 78).sum() < (out == 78).sum()


def test_real_lesions_from_a_second_input():
    labels = np.array([2, 2, 3, 41, 0], "int32").reshape(1, 5, 1, 1)
    mask = np.array([0, 9, 1, 1, 1], "int32").reshape(1, 5, 1, 1)
    layer = RandomLesions(num_lesions=0)
    out = layer([labels, mask], make_keys(1))
    assert to_arrays(out)[0].ravel().tolist() == [2, 77, 3, 77, 0]
    left = RandomLesions(num_lesions=0, probability=0)([labels, mask], make_keys(1))
    np.testing.assert_array_equal(to_arrays(left)[0], labels)
    symbolic = [keras.Input((5, 1, 1), dtype="int32") for _ in range(2)]
    key = keras.Input((2,), dtype="int32")
    model = keras.Model([*symbolic, key], layer(symbolic, key))
    assert to_arrays(model([labels, mask, make_keys(1)]))[0].ravel().tolist() == [2, 77, 3, 77, 0]
