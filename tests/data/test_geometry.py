"""Orientation, voxel size and extent (rows 16, 29)."""

import itertools

import numpy as np
import pytest

from synthtf.data.geometry import (
    bounding_box_centre,
    conform_labels,
    crop_or_pad,
    orientation,
    per_axis,
    reorient,
    resample_nearest,
)
from synthtf.data.volumes import Volume, read_volume

CODES = [
    "".join(letters)
    for order in itertools.permutations(["RL", "AP", "SI"])
    for letters in itertools.product(*order)
]


def oblique(shape=(5, 6, 7), spacing=(1.0, 2.0, 3.0)):
    """Left-handed, oblique and slightly sheared."""
    angle = 0.3
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[1, 2] = 0.05
    affine = turn @ np.diag([-spacing[0], spacing[1], spacing[2], 1])
    affine[:3, 3] = [10, -20, 30]
    data = np.arange(1, np.prod(shape) + 1, dtype="int32").reshape(shape)
    return Volume(data, affine)


def places(volume):
    """World coordinates of each value."""
    grid = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), -1)
    grid = grid.reshape(-1, volume.ndim)
    world = grid @ volume.affine[:3, : volume.ndim].T + volume.affine[:3, 3]
    return dict(zip(volume.data.ravel().tolist(), world, strict=True))


@pytest.mark.parametrize("codes", CODES)
def test_reorient_moves_no_voxel_in_space_and_comes_back(codes):
    volume = oblique()
    turned = reorient(volume, codes)
    assert orientation(turned) == codes
    before, after = places(volume), places(turned)
    for value, point in before.items():
        np.testing.assert_allclose(after[value], point, atol=1e-12)
    back = reorient(turned, orientation(volume))
    np.testing.assert_array_equal(back.data, volume.data)
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-12)


def test_reorient_keeps_frames_last():
    volume = Volume(np.zeros((4, 5, 6, 2)), np.diag([-1.0, 1, 1, 1]), ndim=3)
    assert reorient(volume, "SAR").data.shape == (6, 5, 4, 2)


def test_reorient_in_2d_keeps_the_plane():
    # A sagittal slice: axis 0 points to inferior, axis 1 to anterior.
    affine = np.array([[0, 0, 1, 5], [0, 1, 0, 0], [-1, 0, 0, 9], [0, 0, 0, 1.0]])
    volume = Volume(np.array([[1, 2, 3], [4, 5, 6]]), affine)
    assert orientation(volume) == "IA"
    turned = reorient(volume, "RAS")
    assert orientation(turned) == "AS"
    np.testing.assert_array_equal(turned.data, [[4, 1], [5, 2], [6, 3]])
    before, after = places(volume), places(turned)
    for value, point in before.items():
        np.testing.assert_allclose(after[value], point)
    np.testing.assert_array_equal(reorient(turned, "IA").data, volume.data)


@pytest.mark.parametrize("codes", ["RAX", "RRS", "RLS", "R", "RASR", "", None])
def test_bad_orientation(codes):
    with pytest.raises(ValueError, match="`axcodes` must be an orientation such as 'RAS'"):
        reorient(oblique(), codes)


def test_downsampling_takes_every_third_voxel_and_keeps_the_centre():
    data = np.arange(9 * 9 * 9, dtype="int32").reshape(9, 9, 9)
    volume = Volume(data, np.diag([1.0, 1, 1, 1]))
    small = resample_nearest(volume, 3)
    np.testing.assert_array_equal(small.data, data[1::3, 1::3, 1::3])
    assert small.spacing == (3, 3, 3)
    before, after = places(volume), places(small)
    for value, point in after.items():
        np.testing.assert_allclose(point, before[value])


def test_upsampling_repeats_voxels_and_keeps_the_centre():
    volume = oblique()
    large = resample_nearest(volume, (0.5, 1.0, 1.0))
    expected = volume.data.repeat(2, 0).repeat(2, 1).repeat(3, 2)
    np.testing.assert_array_equal(large.data, expected)
    np.testing.assert_allclose(large.spacing, (0.5, 1.0, 1.0))
    for v in (volume, large):
        centre = v.affine[:3, :3] @ ((np.array(v.shape) - 1) / 2) + v.affine[:3, 3]
        np.testing.assert_allclose(centre, places_centre(volume), atol=1e-9)


def places_centre(volume):
    return volume.affine[:3, :3] @ ((np.array(volume.shape) - 1) / 2) + volume.affine[:3, 3]


def test_nearest_stays_within_half_a_voxel():
    rng = np.random.default_rng(0)
    volume = Volume(rng.permutation(24 * 25).reshape(24, 25), np.eye(4))
    for spacing in (0.7, 1.3, 2.0, 2.7):
        result = resample_nearest(volume, spacing)
        before, world = places(volume), result
        grid = np.stack(np.meshgrid(*map(np.arange, result.shape), indexing="ij"), -1)
        points = grid.reshape(-1, 2) @ world.affine[:2, :2].T + world.affine[:2, 3]
        sources = np.array([before[v][:2] for v in result.data.ravel().tolist()])
        # A voxel that lies half outside at the border takes the last one inside.
        outside = np.clip(np.abs(points - 11.5).max() - 11.5, 0, spacing / 2)
        assert np.abs(points - sources).max() <= 0.5 + outside + 1e-9


def test_spacing_from_a_float32_header_changes_nothing():
    volume = Volume(np.ones((256, 4, 4)), np.diag([0.9999993, 1, 1, 1]))
    assert resample_nearest(volume, 1.0).affine.tolist() == volume.affine.tolist()


@pytest.mark.parametrize(("shape", "start"), [((3, 3, 3), (1, 2, 2)), ((9, 9, 9), (-2, -1, -1))])
def test_crop_or_pad_about_the_centre(shape, start):
    volume = oblique()
    cut = crop_or_pad(volume, shape)
    assert cut.data.shape == shape
    before, after = places(volume), places(cut)
    for value, point in after.items():
        if value:
            np.testing.assert_allclose(point, before[value], atol=1e-12)
    np.testing.assert_allclose(
        cut.affine[:3, 3], volume.affine[:3, :3] @ start + volume.affine[:3, 3]
    )
    kept = [
        max(0, min(s + n, o) - max(s, 0)) for s, n, o in zip(start, shape, (5, 6, 7), strict=True)
    ]
    assert np.count_nonzero(cut.data) == np.prod(kept)


def test_crop_around_a_far_point_is_empty_not_an_error():
    assert not crop_or_pad(oblique(), 3, (100, 0, 0)).data.any()
    assert not crop_or_pad(oblique(), 3, (-100, 0, 0)).data.any()


def test_conform_centres_on_the_labels_asked_for():
    data = np.zeros((20, 20, 20), "int16")
    data[1:4, 2:5, 3:6] = 7
    data[15:18, 15:18, 15:18] = 9
    volume = Volume(data, np.eye(4))
    seven = conform_labels(volume, shape=5, centre_on=[7])
    expected = np.zeros((5, 5, 5), "int32")
    expected[1:4, 1:4, 1:4] = 7
    np.testing.assert_array_equal(seven.data, expected)
    assert seven.data.dtype == "int32"
    np.testing.assert_array_equal(seven.affine[:3, 3], [0, 1, 2])
    assert bounding_box_centre(volume) == (9, 9.5, 10)
    with pytest.raises(ValueError, match=r"none of the labels \[5\] to centre on"):
        conform_labels(volume, shape=5, centre_on=[5])


def test_conform_of_any_orientation_is_the_same():
    # Odd sizes at an odd factor: the nearest voxel is the same from either end.
    data = np.random.default_rng(0).integers(0, 5, (9, 15, 21)).astype("int32")
    volume = Volume(data, np.diag([1.0, 1, 1, 1]))
    expected = conform_labels(volume, 3, (4, 5, 6))
    for codes in CODES:
        result = conform_labels(reorient(volume, codes), 3, (4, 5, 6))
        np.testing.assert_array_equal(result.data, expected.data)
        np.testing.assert_allclose(result.affine, expected.affine, atol=1e-12)


def test_conform_of_background_alone_keeps_the_centre():
    volume = conform_labels(Volume(np.zeros((4, 4), "uint8"), np.eye(4)), shape=(2, 6))
    assert volume.data.shape == (2, 6) and not volume.data.any()


@pytest.mark.parametrize("value", [0, -1, "wide", (1, 2), (1, 2, 0), float("nan"), [[1, 2, 3]]])
def test_per_axis_refuses(value):
    with pytest.raises(ValueError, match="`spacing` must be one positive number or 3"):
        per_axis(value, 3, "spacing")


def test_per_axis_refuses_fractions_where_whole_numbers_are_needed():
    with pytest.raises(ValueError, match=r"`shape` must be one whole positive .*shape=2\.5"):
        per_axis(2.5, 3, "shape", whole=True)


def test_real_label_map_keeps_its_sides(shared):
    volume = read_volume(shared("data/label_maps/head_01.nii.gz"), labels=True)
    conformed = conform_labels(volume, 3, 64, centre_on=[2, 41])
    left, right = (np.argwhere(conformed.data == i)[:, 0].mean() for i in (2, 41))
    assert left < right  # axis 0 runs from left to right
    world = conformed.affine @ [*np.argwhere(conformed.data == 2).mean(0), 1]
    native = volume.affine @ [*np.argwhere(volume.data == 2).mean(0), 1]
    np.testing.assert_allclose(world, native, atol=0.15)
