import itertools

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from synthtf.inference.conform import ConformedGrid, pad_to_multiple

ALL_ORIENTATIONS = [
    np.array(list(zip(axes, flips, strict=True)))
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def ras_affine(spacing=(1.0, 1.0, 1.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -40, -50, 7
    return affine


def rotation(x=8, y=-11, z=5):
    x, y, z = np.deg2rad((x, y, z))
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    result = np.eye(4)
    result[:3, :3] = np.array(about_x) @ np.array(about_y) @ np.array(about_z)
    return result


def reoriented(data, affine, orientation):
    """The same volume with its axes flipped and permuted, and its affine with them."""
    image = nibabel.Nifti1Image(np.asarray(data, np.float32), affine).as_reoriented(orientation)
    return np.asarray(image.dataobj), image.affine


def centre_of_mass(data, affine):
    points = apply_affine(affine, np.stack(np.indices(data.shape), -1).astype(float))
    return (points * data[..., None]).sum((0, 1, 2)) / data.sum()


def blob(shape, affine, centre, std):
    points = apply_affine(affine, np.stack(np.indices(shape), -1).astype(float))
    return np.exp(-np.sum((points - centre) ** 2, -1) / (2 * std**2))


def test_ras_at_the_same_spacing_is_untouched():
    data = np.random.default_rng(0).random((5, 6, 7), np.float32)
    grid = ConformedGrid.of(data.shape, ras_affine(), (1, 1, 1))
    np.testing.assert_array_equal(grid.conform(data), data)
    np.testing.assert_array_equal(grid.restore(data), data)
    np.testing.assert_array_equal(grid.affine, ras_affine())


def test_rounding_errors_of_the_header_do_not_resample():
    affine = ras_affine((0.99999, 1.00001, 1.0001))
    grid = ConformedGrid.of((256, 256, 256), affine, (1, 1, 1))
    assert grid.ratios == (1, 1, 1)
    assert grid.shape == (256, 256, 256)


@pytest.mark.parametrize("orientation", ALL_ORIENTATIONS, ids=lambda o: str(o.tolist()))
def test_one_hot_labels_come_back_from_all_orientations(orientation):
    ras = np.random.default_rng(0).integers(0, 4, (5, 6, 7))
    scan, affine = reoriented(ras, ras_affine(), orientation)
    grid = ConformedGrid.of(scan.shape, affine, (1, 1, 1))
    conformed = grid.conform(scan)
    np.testing.assert_array_equal(conformed, ras)
    np.testing.assert_allclose(grid.affine, ras_affine(), atol=1e-9)
    values = (0, 10, 20, 30)
    one_hot = np.eye(4, dtype=np.float32)[conformed.astype(int)]
    labels = grid.restore_labels(one_hot, values)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, np.array(values)[scan.astype(int)])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 4.0), (2.5, 1.0, 0.6)])
def test_a_linear_ramp_in_world_space_is_reproduced(spacing):
    shape, affine = (60, 50, 24), rotation() @ ras_affine(spacing)
    slope = np.array([1.0, -2.0, 0.5])
    ramp = apply_affine(affine, np.stack(np.indices(shape), -1).astype(float)) @ slope
    grid = ConformedGrid.of(shape, affine, (1.3, 1.3, 1.3))
    points = apply_affine(grid.affine, np.stack(np.indices(grid.shape), -1).astype(float))
    inner = (slice(6, -6),) * 3
    np.testing.assert_allclose(grid.conform(ramp)[inner], (points @ slope)[inner], atol=2e-3)
    np.testing.assert_allclose(grid.restore(points @ slope)[inner], ramp[inner], atol=2e-3)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.9, 3.1), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PSR", "LIA", "ASL"])
@pytest.mark.parametrize("turn", [np.eye(4), rotation()], ids=["straight", "oblique"])
def test_a_blob_stays_where_it_is_in_the_world(spacing, codes, turn):
    shape = tuple(int(70 / s) for s in spacing)
    affine = turn @ ras_affine(spacing)
    centre = apply_affine(affine, np.array(shape) / 2 + (1.3, -2.2, 0.4) / np.array(spacing))
    orientation = nibabel.orientations.axcodes2ornt(codes)
    scan, affine = reoriented(blob(shape, affine, centre, 6.0), affine, orientation)
    grid = ConformedGrid.of(scan.shape, affine, (1.5, 1.5, 1.5))
    conformed = grid.conform(scan)
    np.testing.assert_allclose(centre_of_mass(conformed, grid.affine), centre, atol=0.1)
    np.testing.assert_allclose(centre_of_mass(grid.restore(conformed), affine), centre, atol=0.1)


def test_a_left_handed_and_sheared_scan_keeps_its_world_positions():
    affine = ras_affine((-1.2, 0.9, 1.1))
    affine[0, 1] = 0.15
    assert np.linalg.det(affine[:3, :3]) < 0
    shape = (60, 70, 64)
    centre = apply_affine(affine, (28.3, 37.1, 30.2))
    scan = blob(shape, affine, centre, 6.0)
    grid = ConformedGrid.of(shape, affine, (1, 1, 1))
    conformed = grid.conform(scan)
    assert np.all(np.diag(grid.affine)[:3] > 0)
    np.testing.assert_allclose(centre_of_mass(conformed, grid.affine), centre, atol=0.1)
    np.testing.assert_allclose(centre_of_mass(grid.restore(conformed), affine), centre, atol=0.1)


def test_labels_of_a_thick_slice_scan_come_from_posteriors():
    # A ball at 1 mm, seen in slices of 3 mm: a voxel belongs to the ball where its slab
    # holds more of it than of the background.
    shape, affine = (40, 40, 14), ras_affine((1.0, 1.0, 3.0))
    grid = ConformedGrid.of(shape, affine, (1, 1, 1))
    assert grid.shape == (40, 40, 42)
    x, y, z = np.indices(grid.shape)
    ball = ((x - 19.5) ** 2 + (y - 19.5) ** 2 + (z - 20.5) ** 2 < 12**2).astype(np.float32)
    labels = grid.restore_labels(np.stack([1 - ball, ball], -1), (0, 7))
    share = ball.reshape(40, 40, 14, 3).mean(-1)
    clear = (share < 0.2) | (share > 0.8)
    np.testing.assert_array_equal((labels == 7)[clear], (share > 0.5)[clear])


def test_the_first_of_equal_classes_wins_and_values_are_kept():
    grid = ConformedGrid.of((2, 2, 2), ras_affine(), (1, 1, 1))
    posteriors = np.full((2, 2, 2, 3), 1 / 3, np.float32)
    posteriors[0, 0, 0] = 0.1, 0.2, 0.7
    labels = grid.restore_labels(posteriors, (0, 4, 2035))
    assert labels[0, 0, 0] == 2035
    assert labels.sum() == 2035


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 0.7, 3.0)])
def test_a_box_gives_the_same_as_a_grid_that_is_background_elsewhere(spacing):
    affine = ras_affine(spacing) @ np.diag([-1, 1, 1, 1])
    grid = ConformedGrid.of((30, 40, 12), affine, (1, 1, 1))
    box = (slice(4, 20), slice(0, 15), slice(3, grid.shape[2]))
    full = np.zeros((*grid.shape, 3), np.float32)
    full[..., 0] = 1
    part = np.random.default_rng(1).random(full[box].shape).astype(np.float32)
    part /= part.sum(-1, keepdims=True)
    full[box] = part
    values = (0, 3, 5)
    np.testing.assert_array_equal(
        grid.restore_labels(part, values, box), grid.restore_labels(full, values)
    )
    for index in range(3):
        np.testing.assert_allclose(
            grid.restore(part[..., index], box, outside=float(index == 0)),
            grid.restore(full[..., index]),
            atol=1e-5,
        )


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.7, 2.5), (1.0, 1.0, 1.0)])
def test_labels_are_the_most_likely_of_the_restored_classes(spacing):
    # Small structures of many classes, some next to the border: the shortcut that leaves out
    # where a class cannot win must not show.
    grid = ConformedGrid.of((40, 36, 20), ras_affine(spacing), (1, 1, 1))
    rng = np.random.default_rng(2)
    logits = ndimage.gaussian_filter(rng.normal(size=(*grid.shape, 12)), (1.5, 1.5, 1.5, 0)) * 60
    posteriors = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    box = tuple(slice(1, n - 1) for n in grid.shape)
    part = posteriors[box].astype(np.float32)
    part[:, :8, :, 1:] = 0  # classes that have a bounding box of their own
    part[..., 0] = 1 - part[..., 1:].sum(-1)
    restored = [grid.restore(part[..., k], box, outside=float(k == 0)) for k in range(12)]
    labels = grid.restore_labels(part, range(12), box)
    assert len(np.unique(labels)) == 12
    np.testing.assert_array_equal(labels, np.argmax(restored, axis=0))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_of_one_voxel(axis):
    shape = tuple(1 if i == axis else 20 for i in range(3))
    spacing = tuple(4.0 if i == axis else 1.0 for i in range(3))
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    grid = ConformedGrid.of(shape, ras_affine(spacing), (1, 1, 1))
    assert grid.shape == tuple(4 if i == axis else 20 for i in range(3))
    conformed = grid.conform(data)
    np.testing.assert_allclose(conformed, np.repeat(data, 4, axis), atol=1e-6)
    np.testing.assert_allclose(grid.restore(conformed), data, atol=1e-6)


def test_the_grid_covers_the_whole_scan():
    grid = ConformedGrid.of((100, 101, 103), ras_affine((1.0, 1.0, 1.0)), (2, 2, 2))
    assert grid.shape == (50, 51, 52)


@pytest.mark.parametrize(
    "shape, affine, spacing, message",
    [
        ((4, 4), np.eye(4), (1, 1, 1), r"Expected a 3D scan.*\(4, 4\)"),
        ((4, 4, 0), np.eye(4), (1, 1, 1), r"Expected a 3D scan.*\(4, 4, 0\)"),
        ((4, 4, 4), np.zeros((4, 4)), (1, 1, 1), "not singular"),
        ((4, 4, 4), np.diag([1, 1, np.nan, 1]), (1, 1, 1), "finite 4 x 4 affine"),
        ((4, 4, 4), np.eye(4), (1, 1), "three positive mm"),
        ((4, 4, 4), np.eye(4), (1, 1, 0), "three positive mm"),
        ((256, 256, 256), np.diag([10, 10, 10, 1]), (1, 1, 1), "2560, 2560, 2560.* mm: check"),
    ],
)
def test_bad_geometry_is_refused(shape, affine, spacing, message):
    with pytest.raises(ValueError, match=message):
        ConformedGrid.of(shape, affine, spacing)


def test_wrong_shapes_are_refused():
    grid = ConformedGrid.of((4, 5, 6), np.eye(4), (1, 1, 1))
    with pytest.raises(ValueError, match=r"\(4, 5, 6\).*\(4, 5, 5\)"):
        grid.conform(np.zeros((4, 5, 5)))
    with pytest.raises(ValueError, match=r"as the box.*\(4, 5, 5\)"):
        grid.restore(np.zeros((4, 5, 5)))
    with pytest.raises(ValueError, match="2 classes"):
        grid.restore_labels(np.zeros((4, 5, 6, 3)), (0, 1))


def test_padding_is_undone_exactly():
    image = np.random.default_rng(0).random((33, 16, 1))
    padded, inner = pad_to_multiple(image, 16)
    assert padded.shape == (48, 16, 16)
    np.testing.assert_array_equal(padded[inner], image)
    assert padded.sum() == pytest.approx(image.sum())


def test_the_multiple_must_be_positive():
    with pytest.raises(ValueError, match=r"at least 1. Received: 0"):
        pad_to_multiple(np.zeros((2, 2, 2)), 0)
