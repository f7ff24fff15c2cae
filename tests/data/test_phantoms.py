"""Phantoms: anatomy, independence of the grid, determinism, files and renderings."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from synthtf.data.label_table import LabelTable
from synthtf.data.phantom_shapes import ellipsoid_depth, spline_basis, tube_depth
from synthtf.data.phantoms import (
    PHANTOM_TABLE,
    head_phantom,
    phantom_table,
    render_phantom,
    write_phantoms,
)

CONTRASTS = ("T1", "T2", "FLAIR", "PD", "CT")
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def heads():
    return {seed: head_phantom(seed) for seed in SEEDS}


def centre(labels, *values):
    """Centre of a structure in mm from the centre of a 2 mm volume."""
    place = np.argwhere(np.isin(labels, values)).mean(0)
    return 2 * (place - (np.array(labels.shape) - 1) / 2)


def millilitres(labels, *values):
    return np.isin(labels, values).sum() * 8 / 1000


def dice(a, b):
    return 2 * np.sum(a & b) / (a.sum() + b.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_label_occurs_and_is_listed(heads, seed):
    labels = heads[seed]
    assert labels.shape == (96, 112, 96)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {row[0] for row in PHANTOM_TABLE}


@pytest.mark.parametrize("seed", SEEDS)
def test_left_is_at_smaller_coordinates(heads, seed):
    for left, right in phantom_table().pairs:
        x_left, x_right = centre(heads[seed], left)[0], centre(heads[seed], right)[0]
        assert x_left < -3 < 3 < x_right, (left, right)
        ratio = millilitres(heads[seed], left) / millilitres(heads[seed], right)
        assert 0.6 < ratio < 1.6, (left, right)


@pytest.mark.parametrize("seed", SEEDS)
def test_proportions_are_human(heads, seed):
    labels = heads[seed]
    brain = np.isin(labels, phantom_table().brain_labels)
    size = 2 * (np.ptp(np.argwhere(brain), axis=0) + 1)
    assert np.all((size > [110, 145, 115]) & (size < [155, 195, 160])), size
    # Ranges in mL that hold nearly every adult; see any volumetric atlas of the brain.
    expected = {
        (2, 41): (350, 750),
        (3, 42): (350, 620),
        (4, 43): (8, 90),
        (8, 47): (80, 170),
        (7, 46): (20, 60),
        (10, 49): (4, 14),
        (11, 50): (3, 9),
        (12, 51): (5, 12),
        (13, 52): (1.5, 4.5),
        (16,): (12, 35),
        (17, 53): (3, 9),
    }
    for values, (low, high) in expected.items():
        assert low < millilitres(labels, *values) < high, values


@pytest.mark.parametrize("seed", SEEDS)
def test_structures_lie_where_they_should(heads, seed):
    labels = heads[seed]
    for thalamus, caudate, putamen, pallidum, ventricle in (
        (10, 11, 12, 13, 4),
        (49, 50, 51, 52, 43),
    ):
        lateral = [
            abs(centre(labels, v)[0] - centre(labels, 14)[0]) for v in (thalamus, pallidum, putamen)
        ]
        assert lateral == sorted(lateral)
        assert centre(labels, caudate)[1] > centre(labels, thalamus)[1] + 10
        assert centre(labels, ventricle)[2] > centre(labels, thalamus)[2]
        touching = ndimage.binary_dilation(labels == caudate, iterations=2)
        assert np.any(touching & (labels == ventricle))
    cerebrum = centre(labels, 2, 41, 3, 42)
    cerebellum = centre(labels, 7, 8, 46, 47)
    assert cerebellum[1] < cerebrum[1] - 20
    assert cerebellum[2] < cerebrum[2] - 30
    assert centre(labels, 16)[2] < centre(labels, 10, 49)[2] - 20
    assert centre(labels, 259)[1] > centre(labels, 2, 41)[1] + 50  # eyes are in front


@pytest.mark.parametrize("seed", SEEDS)
def test_brain_is_enclosed(heads, seed):
    labels = heads[seed]
    neighbours = ndimage.generate_binary_structure(3, 1)
    brain = np.isin(labels, phantom_table().brain_labels)
    around = ndimage.binary_dilation(brain, neighbours) & ~brain
    # Nothing but CSF and the spinal cord touches the brain ...
    assert set(np.unique(labels[around])) <= {24, 126}
    # ... and the skull closes over the CSF everywhere above the ears.
    inside = (brain | (labels == 24))[:, :, 60:]
    around = ndimage.binary_dilation(inside, neighbours) & ~inside
    assert set(np.unique(labels[:, :, 60:][around])) == {165}
    assert ndimage.label(brain, np.ones((3, 3, 3)))[1] <= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_cortex_is_a_folded_ribbon(heads, seed):
    labels = heads[seed]
    cortex, white = np.isin(labels, (3, 42)), np.isin(labels, (2, 41))
    depth = ndimage.distance_transform_edt(cortex, sampling=2.0)
    assert np.percentile(depth[cortex], 90) <= 4.5  # from either side: about half the thickness
    # A smooth shell of this volume has a far smaller surface towards the white matter.
    faces = sum(
        np.sum(np.take(white, range(1, n), a) & np.take(cortex, range(n - 1), a))
        + np.sum(np.take(cortex, range(1, n), a) & np.take(white, range(n - 1), a))
        for a, n in enumerate(labels.shape)
    )
    filled = ndimage.binary_closing(white | cortex, iterations=6)
    hull = sum(np.sum(np.diff(filled.astype(np.int8), axis=a) != 0) for a in range(3))
    assert faces > 1.5 * hull


def test_same_seed_same_head_whatever_the_grid(heads):
    np.testing.assert_array_equal(head_phantom(0), heads[0])
    # An even crop about the same centre has the same voxels.
    np.testing.assert_array_equal(head_phantom(0, (60, 80, 50)), heads[0][18:78, 16:96, 23:73])
    # At a third of the spacing every third voxel, starting at the middle one, has the same place.
    fine = head_phantom(0, (96, 114, 6), 2.0 / 3)
    coarse = head_phantom(0, (32, 38, 2), 2.0)
    assert len(np.unique(coarse)) > 10
    assert np.mean(fine[1::3, 1::3, 1::3] == coarse) > 0.999  # but for rounding


def test_spacing_scales_the_head(heads):
    coarse = head_phantom(1, (48, 56, 48), 4.0)
    values = heads[1]
    for label in (2, 41, 3, 42, 8, 16, 10, 258, 165):
        fine_volume, coarse_volume = np.sum(values == label) * 8, np.sum(coarse == label) * 64
        assert coarse_volume == pytest.approx(fine_volume, rel=0.15), label


def test_slice_is_one_of_the_head(heads):
    flat = head_phantom(2, (96, 112), 2.0)
    assert flat.shape == (96, 112)
    assert {10, 49, 11, 50, 12, 51, 4, 43} <= set(np.unique(flat))
    agreement = [np.mean(flat == heads[2][:, :, k]) for k in range(96)]
    assert max(agreement) > 0.93
    assert 44 <= int(np.argmax(agreement)) <= 51


def test_subjects_differ(heads):
    for first, second in ((0, 1), (0, 2), (1, 2)):
        a, b = heads[first], heads[second]
        assert dice(np.isin(a, (2, 41)), np.isin(b, (2, 41))) < 0.9
        assert dice(np.isin(a, (3, 42)), np.isin(b, (3, 42))) < 0.7  # other gyri
    volumes = [millilitres(head_phantom(s, (48, 56, 48), 4.0), 4, 43) for s in range(8)]
    assert max(volumes) > 2 * min(volumes)


def test_table_is_a_label_table():
    table = phantom_table()
    assert isinstance(table, LabelTable)
    assert (2, 41) in table.pairs
    assert len(table.pairs) == 11
    assert 165 not in table.output_labels
    assert 24 not in table.brain_labels


def test_files_round_trip(tmp_path):
    paths = write_phantoms(tmp_path / "new", 2, seed=5, shape=(24, 28, 24), spacing=8.0)
    assert [p.name for p in paths] == ["phantom_0000.nii.gz", "phantom_0001.nii.gz"]
    for number, path in enumerate(paths):
        image = nibabel.load(path)
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
        np.testing.assert_allclose(image.header.get_zooms(), (8, 8, 8))
        middle = nibabel.affines.apply_affine(image.affine, (np.array(image.shape) - 1) / 2)
        np.testing.assert_allclose(middle, 0, atol=1e-5)
        expected = head_phantom(5 + number, (24, 28, 24), 8.0)
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    assert LabelTable.read(tmp_path / "new" / "labels.tsv") == phantom_table()


def test_flat_files(tmp_path):
    (path,) = write_phantoms(tmp_path, 1, shape=(24, 28), spacing=8.0)
    assert nibabel.load(path).shape == (24, 28)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_renderings_are_images(heads, contrast):
    image = render_phantom(heads[0], contrast, 3)
    assert image.shape == heads[0].shape
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.1
    np.testing.assert_array_equal(image, render_phantom(heads[0], contrast, 3))
    assert np.abs(image - render_phantom(heads[0], contrast, 4)).max() > 0.05


def test_renderings_have_the_contrasts_of_the_scanners(heads):
    labels = heads[0]
    # Away from partial volume.
    inside = {v: ndimage.binary_erosion(labels == v) for v in (2, 4, 10, 24, 165, 258)}
    inside[3] = labels == 3
    mean = {
        c: {v: render_phantom(labels, c)[mask].mean() for v, mask in inside.items()}
        for c in CONTRASTS
    }
    assert mean["T1"][2] > mean["T1"][3] + 0.1 > mean["T1"][4] + 0.3
    assert mean["T2"][4] > mean["T2"][3] + 0.2 > mean["T2"][2] + 0.25
    assert mean["FLAIR"][3] > mean["FLAIR"][2] + 0.02 > mean["FLAIR"][4] + 0.2
    assert mean["PD"][4] > mean["PD"][3] + 0.1 > mean["PD"][2] + 0.15
    assert mean["CT"][165] > 0.9
    assert 0.05 < mean["CT"][3] - mean["CT"][2] < 0.2
    assert mean["CT"][4] < mean["CT"][2] - 0.15


def test_rendering_in_2d_and_at_another_spacing():
    labels = head_phantom(0, (96, 112), 2.0)
    image = render_phantom(labels, "T2", 0, (2.0, 2.0))
    assert image.shape == (96, 112)
    assert image[labels == 4].mean() > image[labels == 2].mean() + 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: head_phantom(-1), "`seed` must lie in .* Received: seed=-1"),
        (
            lambda: head_phantom(0, (5,)),
            r"`shape` must have two or three axes. Received: shape=\(5,\)",
        ),
        (
            lambda: head_phantom(0, (5, 0, 5)),
            r"`shape` must lie in .* Received: shape=0",
        ),
        (lambda: head_phantom(0, (5, 5), 0), "`spacing` must be positive"),
        (lambda: write_phantoms("unused", 0), "`num` must lie in .* Received: num=0"),
        (
            lambda: render_phantom(np.zeros((4, 4), int), "PET"),
            "T1, T2, FLAIR, PD, CT. Received: contrast='PET'",
        ),
        (
            lambda: render_phantom(np.full((4, 4), 77), "T1"),
            r"`labels` must be those of head_phantom .*\[77\]",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_shapes_are_depths():
    line = np.linspace(-30, 30, 61, dtype=np.float32)
    zero = np.zeros_like(line)
    sphere = ellipsoid_depth((line, zero, zero), (5, 0, 0), (10, 10, 10))
    np.testing.assert_allclose(sphere, 10 - np.abs(line - 5), atol=0.02)
    tube = tube_depth((zero, line, zero + 3), [(0, -10, 0, 4), (0, 10, 0, 4)])
    expected = 4 - np.hypot(np.maximum(np.abs(line) - 10, 0), 3)
    np.testing.assert_allclose(tube, expected, atol=1e-3)
    basis = spline_basis(line, 10.0, 60.0)
    np.testing.assert_allclose(basis.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(basis @ np.arange(-6, 7), line / 10, atol=1e-5)


def test_detail_thickens_cortex_and_keeps_the_head(heads):
    fine, coarse = heads[0], head_phantom(0, detail=4.0)
    assert set(np.unique(coarse)) == {row[0] for row in PHANTOM_TABLE}

    def inner(labels):
        """Share of the cortex that is surrounded by cortex."""
        cortex = np.isin(labels, (3, 42))
        return ndimage.binary_erosion(cortex).sum() / cortex.sum()

    assert inner(coarse) > 3 * inner(fine)
    brain = [row[0] for row in PHANTOM_TABLE if row[5] == "yes"]
    assert dice(np.isin(fine, brain), np.isin(coarse, brain)) > 0.9


def test_detail_must_not_be_negative():
    with pytest.raises(ValueError, match="`detail` must lie in"):
        head_phantom(0, detail=-1)
