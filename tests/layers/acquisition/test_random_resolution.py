import numpy as np
import pytest

from synthtf.layers import RandomResolution
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomResolution(RandomLayerContract):
    layer = RandomResolution
    arguments = {"factor": (1.5, 3)}
    variants = [{"mode": "isotropic"}, {"mode": "thick-slice"}, {"spacing": 2.0, "factor": (1, 4)}]
    variants += [{"interpolation": "nearest"}]
    identity_arguments = {"factor": 1}
    invalid = [
        ({"factor": 0.5}, "`factor` must lie in"),
        ({"factor": (3, 2)}, "low <= high"),
        ({"mode": "cubic"}, "`mode` must be one of"),
        ({"interpolation": "cubic"}, "`interpolation` must be one of"),
        ({"spacing": (1, 0)}, "`spacing` must be positive"),
    ]


class TestRandomResolutionWithLabels(RandomLayerContract):
    layer = RandomResolution
    kind = "both"
    arguments = {"factor": (1.5, 3)}
    variants = [{"mode": "thick-slice"}, {"interpolation": "nearest"}]
    identity_arguments = {"factor": 1}


def degrade(image, **arguments):
    return to_arrays(RandomResolution(**arguments)(image, make_keys(len(image))))[0]


def ramp(*shape):
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return sum((d + 1) * g for d, g in enumerate(grid))[None, ..., None].astype("float32")


@pytest.mark.parametrize("shape", [(25, 21), (19, 17, 15)])
@pytest.mark.parametrize("factor", [1.0, 2.0, 2.7, 4.0])
def test_linear_ramps_are_kept_away_from_the_border(shape, factor):
    image = ramp(*shape)
    inner = (slice(None), *(slice(0, -int(factor) - 1),) * len(shape))
    out = degrade(image, factor=factor)
    np.testing.assert_allclose(out[inner], image[inner], atol=1e-3)


@pytest.mark.parametrize("factor", [2, 3])
def test_is_linear_interpolation_between_coarse_samples(factor):
    values = np.random.default_rng(0).uniform(size=13).astype("float32")
    out = degrade(values.reshape(1, 13, 1, 1), factor=factor).ravel()
    coarse = np.arange(0, 13, factor)
    np.testing.assert_allclose(out, np.interp(np.arange(13), coarse, values[coarse]), atol=1e-6)


def test_factor_is_a_voxel_size_in_mm():
    image = np.random.default_rng(0).uniform(size=(1, 21, 21, 1)).astype("float32")
    np.testing.assert_allclose(
        degrade(image, factor=4, spacing=2.0), degrade(image, factor=2), atol=1e-6
    )
    np.testing.assert_allclose(degrade(image, factor=2, spacing=3.0), image, atol=1e-6)


def changed_axes(out, image):
    """Axes along which an image that alternates along each axis is changed."""
    return np.abs(out - image).reshape(len(out), -1).max(1) > 1e-3


def test_modes_choose_their_axes():
    layer = RandomResolution(factor=(2, 4), mode="thick-slice")
    factor = to_arrays(layer.sample(make_keys(300), (300, 4, 4, 4, 1))["factor"])[0]
    assert ((factor > 0).sum(1) == 1).all()
    for axis in range(3):
        check_mean(factor[:, axis] > 0, 1 / 3)
    factors = {
        mode: to_arrays(
            RandomResolution(factor=(2, 4), mode=mode).sample(make_keys(9), (9, 4, 4, 4, 1))
        )[0]
        for mode in ("isotropic", "anisotropic")
    }
    assert (np.ptp(factors["isotropic"], axis=1) == 0).all()
    assert (np.ptp(factors["anisotropic"], axis=1) > 0).all()


def test_factor_is_uniform():
    layer = RandomResolution(factor=(1, 4))
    factor = to_arrays(layer.sample(make_keys(200), (200, 4, 4, 1))["factor"])[0]
    check_mean(factor, 2.5)
    check_mean((factor - 2.5) ** 2, 9 / 12)


def test_thick_slices_blur_before_they_sample():
    """Alternating voxels vanish under a slice profile; without one they are aliased."""
    image = np.tile([0.0, 1.0], 20).astype("float32").reshape(1, 40, 1, 1)
    image = np.repeat(image, 40, axis=2)
    thick = [
        degrade(image, factor=4, mode="thick-slice", name=name)[0, 8:-8, 8:-8, 0]
        for name in ("a", "b", "c", "d", "e", "f")
    ]
    changed = [x for x in thick if np.abs(x - image[0, 8:-8, 8:-8, 0]).max() > 0.1]
    assert 0 < len(changed) < 6, "the axis is random"
    for x in changed:
        np.testing.assert_allclose(x, 0.5, atol=0.02)
    assert np.ptp(degrade(image, factor=4)[0, 8:-8, 8:-8, 0]) < 0.01


@pytest.mark.parametrize("factor", [2, 3, 2.7])
def test_nearest_neighbours_of_coarse_samples(factor):
    """Of the image on demand, of the labels always."""
    values = np.random.default_rng(0).integers(0, 3000, 13).astype("int32")
    labels = values.reshape(1, 13, 1, 1)
    image = labels.astype("float32")
    layer = RandomResolution(factor=factor, interpolation="nearest")
    out, moved = to_arrays(layer([image, labels], make_keys(1)))
    coarse = np.floor(np.arange(13) / factor + 0.5)
    expected = values[np.minimum(np.floor(coarse * factor + 0.5), 12).astype(int)]
    np.testing.assert_array_equal(moved.ravel(), expected)
    np.testing.assert_array_equal(out.ravel(), expected)
    assert len(np.unique(expected)) < 13


def test_labels_come_along_with_the_same_factors():
    """In 3D, with a factor per axis; the image is as without them."""
    labels = np.random.default_rng(0).choice([0, 2, 2035, 2**30 + 1], (3, 9, 7, 8, 1))
    labels = labels.astype("int32")
    image = np.random.default_rng(1).uniform(size=labels.shape).astype("float32")
    near, layer = (RandomResolution(interpolation=i, name="r") for i in ("nearest", "linear"))
    out, moved = to_arrays(layer([image, labels], make_keys(3)))
    np.testing.assert_array_equal(out, to_arrays(layer(image, make_keys(3)))[0])
    hot = to_arrays(near((labels == 2035).astype("float32"), make_keys(3)))[0]
    np.testing.assert_array_equal(moved == 2035, hot == 1)
    assert (moved != labels).any()
