import keras
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from synthtf.layers.anatomy.random_erosion import RandomErosion
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomErosion(RandomLayerContract):
    layer = RandomErosion
    kind = "labels"
    arguments = {
        "labels": [2, 41],
        "distance": (-1, 1.5),
        "roughness": (0, 0.5),
        "roughness_size": (2, 4),
    }
    variants = [{"fill": None, "spacing": 0.7}, {"distance": (-3, -1), "roughness": 0}]
    identity_arguments = {"distance": 0, "roughness": 0}
    num_outcomes = 3
    invalid = [
        ({"labels": []}, "must be labels, whole numbers from 0, or names"),
        ({"labels": [-2]}, "must be labels, whole numbers from 0, or names"),
        ({"distance": (2, 1)}, "low <= high"),
        ({"roughness": -1}, "`roughness` must lie in"),
        ({"roughness_size": 0}, "`roughness_size` must lie in"),
        ({"fill": -1}, "`fill` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def move(labels, region, distance, roughness=0, **arguments):
    layer = RandomErosion(region, distance, roughness, name="erosion", **arguments)
    return to_arrays(layer(labels, make_keys(len(labels))))[0]


def blobs(shape, seed=0):
    """A map of labels 0 to 3 of some size."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=(4, *shape))
    smooth = np.stack([gaussian_filter(x, 2.5) for x in noise])
    return smooth.argmax(0).astype("int32")


@pytest.mark.parametrize("distance", [-4.2, -1.2, 0.7, 3.2])
@pytest.mark.parametrize("shape, spacing", [((41, 36), (1, 1)), ((20, 24, 15), (2.0, 1.0, 1.5))])
def test_agrees_with_scipy(shape, spacing, distance):
    """Lost and gained voxels by SciPy's distance transform, and the labels that they take."""
    labels = blobs(shape)
    out = move(labels[None, ..., None], [1, 3], distance, fill=9, spacing=spacing)[0, ..., 0]
    region = np.isin(labels, [1, 3])
    half = min(spacing) / 2
    depth = distance_transform_edt(region, spacing) - half
    height, closest = distance_transform_edt(~region, spacing, return_indices=True)
    lost, gained = region & (depth <= -distance), ~region & (height - half < distance)
    assert lost.any() or gained.any()
    np.testing.assert_array_equal(out == 9, lost)
    kept = ~lost & ~gained
    np.testing.assert_array_equal(out[kept], labels[kept])
    # Two labels may be as close as each other, else they are the same.
    assert np.isin(out[gained], [1, 3]).all()
    if gained.any():
        for value in (1, 3):
            there = distance_transform_edt(labels != value, spacing)
            at = gained & (out == value)
            np.testing.assert_allclose(there[at], height[at], atol=1e-4)
        assert np.mean(out[gained] == labels[tuple(closest)][gained]) > 0.9


def test_a_ball_moves_by_the_distance_in_mm():
    for spacing, shape in ((1.0, (61, 61)), (2.0, (31, 31))):
        at = (np.indices(shape) - (shape[0] - 1) / 2) * spacing
        labels = np.where((at**2).sum(0) <= 18.5**2, 2, 0).astype("int32")[None, ..., None]
        for distance in (-6, 6):
            area = (move(labels, [2], distance, spacing=spacing) == 2).sum() * spacing**2
            np.testing.assert_allclose(np.sqrt(area / np.pi), 18.5 + distance, atol=0.5)


def test_lost_voxels_can_take_the_label_beyond():
    labels = np.array([5, 5, 2, 2, 2, 2, 2, 7], "int32").reshape(1, 8, 1, 1)
    out = move(labels, [2], -2, fill=None)
    assert out.ravel().tolist() == [5, 5, 5, 5, 2, 7, 7, 7]


def test_the_border_varies_in_space_as_its_roughness_says():
    """A straight border: the voxels gained per column are N(0, 2²) mm, correlated in space."""
    num, width, middle = 200, 40, 24
    labels = np.zeros((1, 2 * middle, width, 1), "int32")
    labels[:, :middle] = 2
    out = move(repeat(labels, num), [2], 0, 2, roughness_size=8)[..., 0]
    gain = (out == 2).sum(1) - middle
    check_mean(gain[:, 5], 0)
    # The border is read where it went to, and in whole voxels, of variance 1/12.
    np.testing.assert_allclose(np.std(gain), 2, rtol=0.12)
    near = np.corrcoef(gain[:, 10], gain[:, 12])[0, 1]
    far = np.corrcoef(gain[:, 5], gain[:, 35])[0, 1]
    assert near > 0.7 and abs(far) < 0.3


def test_the_distance_is_uniform():
    layer = RandomErosion([2], distance=(-3, 1), roughness=(1, 2), roughness_size=(10, 20))
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(100), (100, 9, 9, 1)).items()}
    for name, low, high in (
        ("border", -3, 1),
        ("roughness", 1, 2),
        ("roughness_size", 10, 20),
        ("shift", 0, 1),
    ):
        assert low <= draws[name].min() and draws[name].max() <= high
        check_mean(draws[name], (low + high) / 2)


def test_refuses_an_unknown_shape():
    with pytest.raises(ValueError, match="the spatial shape must be known"):
        RandomErosion([2])(keras.Input((None, None, 1), dtype="int32"), keras.Input((2,)))
