import numpy as np
import pytest
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from synthtf.layers import RandomSliceMotion
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomSliceMotion(RandomLayerContract):
    layer = RandomSliceMotion
    arguments = {"translation": (1, 3), "rotation": (2, 10)}
    variants = [
        {"motion": "interleave", "num_interleaves": (2, 3)},
        {"motion": "slice", "spacing": 1.7, "axes": (1,)},
    ]
    identity_arguments = {"translation": 0, "rotation": 0}
    invalid = [
        ({"thickness": 0}, "`thickness` must lie in"),
        ({"translation": -1}, "`translation` must lie in"),
        ({"rotation": (0, 181)}, "`rotation` must lie in"),
        ({"num_interleaves": 1.5}, "`num_interleaves` must be whole"),
        ({"motion": "walk"}, "`motion` must be one of"),
        ({"axes": (-1,)}, "`axes` must be different spatial axes"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def volume(*shape):
    return np.random.default_rng(0).uniform(size=(1, *shape, 1)).astype("float32")


def move(image, changes=None, **arguments):
    layer = RandomSliceMotion(**arguments)
    draws = {**layer.sample(make_keys(len(image)), image.shape), **(changes or {})}
    return to_arrays(layer.apply(image, draws))[0], {k: to_arrays(v)[0] for k, v in draws.items()}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_slice_is_the_volume_moved_by_its_pose(axis):
    """SciPy moves the whole volume by the pose of each slice, of which one slice is kept."""
    image, spacing = volume(12, 11, 10), (1.0, 1.5, 2.0)
    arguments = {"thickness": 2 * spacing[axis], "motion": "slice", "axes": (axis,)}
    out, draws = move(
        image, {"phase": np.zeros(1, "float32")}, rotation=9, spacing=spacing, **arguments
    )
    scale, centre = np.array(spacing), (np.array(image.shape[1:-1]) - 1) / 2
    expected = np.zeros_like(image[0, ..., 0])
    for number in range(image.shape[axis + 1]):
        # Rx Ry Rz is a rotation about the moving axes.
        rotation = Rotation.from_euler("XYZ", 9 * draws["turn"][0, number // 2], degrees=True)
        shift = draws["translation"][0] * draws["shift"][0, number // 2] / scale
        matrix = rotation.as_matrix() * scale[None] / scale[:, None]
        offset = centre - matrix @ centre + shift
        moved = affine_transform(image[0, ..., 0], matrix, offset, order=1)
        here = (*(slice(None),) * axis, number)
        expected[here] = moved[here]
    # Borders aside, where SciPy's zero begins half a voxel outside.
    inside = (out[0, ..., 0] != 0) & (expected != 0)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(out[0, ..., 0][inside], expected[inside], atol=2e-4)


def test_whole_voxels_of_translation_shift_rows():
    image = volume(12, 12)
    shift = np.zeros((1, 13, 2), "float32")
    shift[0, :, 1] = np.arange(13) % 3 - 1
    changes = {"phase": np.zeros(1, "float32"), "shift": shift}
    arguments = {"thickness": 1, "translation": 2, "rotation": 0, "motion": "slice", "axes": (0,)}
    out = move(image, changes, **arguments)[0]
    for row in range(12):
        step = 2 * (row % 3 - 1)
        expected = np.zeros(12)
        at = np.arange(12) + step
        ok = (at >= 0) & (at < 12)
        expected[ok] = image[0, row, at[ok], 0]
        np.testing.assert_allclose(out[0, row, :, 0], expected, atol=1e-6)
    # Twice the millimetres at twice the voxel size.
    double = {**arguments, "thickness": 2, "translation": 4, "spacing": 2.0}
    np.testing.assert_allclose(move(image, changes, **double)[0], out, atol=1e-6)


def place(motion, num_slices, num_interleaves):
    layer = RandomSliceMotion(thickness=1, motion=motion, num_interleaves=num_interleaves)
    draws = layer.sample(make_keys(1), (1, num_slices, num_slices, 1))
    draws["phase"] = np.zeros(1, "float32")
    return to_arrays(layer._place(draws, num_slices, 1.0))[0][0]


@pytest.mark.parametrize("num_slices,num_interleaves", [(12, 1), (12, 3), (11, 2)])
def test_time_runs_through_one_interleave_after_the_other(num_slices, num_interleaves):
    order = [s for i in range(num_interleaves) for s in range(i, num_slices, num_interleaves)]
    time = place("smooth", num_slices, num_interleaves)
    assert (np.argsort(time) == order).all()
    assert time.min() == 0 and 7 * (1 - 2 / num_slices) <= time.max() < 7
    np.testing.assert_array_equal(
        place("interleave", num_slices, num_interleaves), np.arange(num_slices) % num_interleaves
    )
    np.testing.assert_array_equal(place("slice", num_slices, 1), np.arange(num_slices))


def test_amplitudes_and_axes_are_uniform():
    layer = RandomSliceMotion(translation=(0, 4), rotation=(2, 6), num_interleaves=(1, 4))
    draws = layer.sample(make_keys(150), (150, 8, 8, 8, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    check_mean(draws["translation"], 2)
    check_mean(draws["rotation"], 4)
    check_mean(draws["num_interleaves"], 2.5)
    check_mean(draws["shift"].mean((1, 2)), 0)
    check_mean((draws["turn"] ** 2).mean((1, 2)), 1 / 3)
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
