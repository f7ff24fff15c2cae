import numpy as np
import pytest
from keras import ops

from synthtf.ops.blobs import direction_noise, paint, pick_voxels, windows
from synthtf.testing import check_mean


def to_array(x):
    return ops.convert_to_numpy(x)


def around_origin(*offsets):
    """Windows of one point with given offsets, which need not be voxels."""
    points = [ops.zeros((1, 1))] * len(offsets)
    made = windows(points, max(map(len, offsets)) // 2, (1.0,) * len(offsets), (1,) * len(offsets))
    grid = np.stack(np.meshgrid(*offsets, indexing="ij"), -1)
    lines = [ops.convert_to_tensor(np.asarray(x, "float32")[None, None]) for x in offsets]
    squared = np.sum(grid**2, -1)[None, None].astype("float32")
    return made._replace(offsets=lines, squared=ops.convert_to_tensor(squared)), grid


@pytest.mark.parametrize("shape", [(9, 7), (8, 5, 6)])
def test_windows_hold_offsets_and_voxels(shape):
    spacing = (2.0, 1.0, 0.5)[: len(shape)]
    points = np.array([[[3.3, 0.0, 4.6], [7.9, 4.0, 1.2]]])[..., : len(shape)]
    columns = [ops.convert_to_tensor(points[..., d].astype("float32")) for d in range(len(shape))]
    made = windows(columns, 3.0, spacing, shape)
    squared, index = to_array(made.squared), to_array(made.index)
    at = np.stack(np.unravel_index(index, shape), -1)
    expected = np.sum(((at - points[0][(slice(None), *(None,) * len(shape))]) * spacing) ** 2, -1)
    inside = squared < 1e10
    np.testing.assert_allclose(squared[inside], expected[inside], rtol=1e-4, atol=1e-4)
    # Every voxel within the radius is there, once.
    for row, point in enumerate(points[0]):
        far = sum(
            ((np.arange(n) - c) * mm).reshape([-1 if a == d else 1 for a in range(len(shape))]) ** 2
            for d, (n, c, mm) in enumerate(zip(shape, point, spacing, strict=True))
        )
        near = np.flatnonzero(far <= 2.9**2)
        found = np.sort(index[0, row][squared[0, row] <= 2.9**2])
        np.testing.assert_array_equal(found, near)


def test_the_largest_value_stays():
    values = np.array([[[1, 5, 0], [3, 2, 7]]], "int32")
    index = np.array([[[0, 1, 2], [0, 1, 3]]], "int32")
    both = [np.concatenate([x, x[:, ::-1]]) for x in (values, index)]
    painted = to_array(paint(*map(ops.convert_to_tensor, both), (2, 3)))
    assert painted.shape == (2, 2, 3, 1) and painted.dtype == "int32"
    np.testing.assert_array_equal(painted[..., 0], [[[3, 5, 0], [7, 0, 0]]] * 2)


def test_voxels_are_picked_from_the_mask_alone_all_alike():
    mask = np.zeros((1, 4, 5, 3, 1), bool)
    mask[0, [0, 0, 1, 3, 3], [0, 0, 2, 4, 4], [0, 2, 1, 1, 2]] = True
    members = np.flatnonzero(mask)
    chance = np.linspace(0, 1, 500, endpoint=False, dtype="float32")[None]
    picked = to_array(pick_voxels(ops.convert_to_tensor(mask), ops.convert_to_tensor(chance)))[0]
    np.testing.assert_array_equal(picked, np.repeat(members, 100))
    empty = to_array(pick_voxels(ops.zeros((1, 4, 5, 1), "bool"), ops.convert_to_tensor(chance)))
    assert empty.min() >= 0 and empty.max() < 20


@pytest.mark.parametrize("degree", [2, 5])
def test_covariance_of_direction_noise(degree):
    """That of the docstring, between directions at 0, 60, 90 and 180 degrees."""
    num = 4000
    surroundings, grid = around_origin([-1, 0, 0.5, 1], [0, np.sqrt(0.75), 1], [0, 2])
    draws = np.random.default_rng(0).normal(size=(1, num, 2, *(degree + 1,) * 3))
    repeated = surroundings._replace(
        offsets=[ops.repeat(x, num, axis=1) for x in surroundings.offsets],
        squared=ops.repeat(surroundings.squared, num, axis=1),
    )
    noise = to_array(direction_noise(ops.convert_to_tensor(draws.astype("float32")), repeated))[0]
    assert (noise[:, 1, 0, 0] == 0).all()
    first = noise[:, 3, 0, 0]
    for place, cosine in (((3, 0, 0), 1), ((2, 1, 0), 0.5), ((1, 2, 0), 0), ((0, 0, 0), -1)):
        unit = grid[place] / np.linalg.norm(grid[place])
        np.testing.assert_allclose(unit[0], cosine, atol=1e-6)
        check_mean(
            first * noise[(slice(None), *place)], (cosine ** (degree - 1) + cosine**degree) / 2
        )
    # It does not depend on the distance.
    np.testing.assert_allclose(noise[:, 1, 2, 0], noise[:, 1, 1, 0], rtol=1e-4, atol=1e-4)
