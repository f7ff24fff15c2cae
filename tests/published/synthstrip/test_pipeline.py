"""SynthStrip from scan to mask: what the original computes, and each of its rules."""

import keras
import nibabel as nib
import numpy as np
import pytest

from synthtf.data.volumes import Volume
from synthtf.interop import load_synthstrip
from synthtf.published.surfa_space import Image
from synthtf.published.synthstrip.pipeline import conform, extend, normalize, strip_brain

ORACLES = "oracles/published/synthstrip"
CASES = [
    pytest.param("oblique", "input", 1, marks=pytest.mark.slow),
    pytest.param("oblique", "input", 9, marks=pytest.mark.slow),
    ("lia", "input_lia", 8),
    ("two_frames", "input_two_frames", 1),
]


@pytest.fixture(scope="module")
def networks():
    return {}


@pytest.mark.parametrize(("case", "scan", "border"), CASES)
def test_the_original_gives_the_same(shared, networks, case, scan, border):
    folder = shared(ORACLES)
    if not networks:
        networks["network"] = load_synthstrip(folder / "synthstrip.1.pt")
    found = strip_brain(folder / f"{scan}.nii.gz", networks["network"], border)
    recorded = np.load(folder / f"{case}.npz")
    distance = found.distance.data.reshape(*found.distance.shape, -1)[::2, ::2, ::2]
    np.testing.assert_allclose(distance, recorded[f"sdt_border{border}_every_2nd"], atol=1e-3)
    mask = nib.load(folder / f"{case}_border{border}_mask.nii.gz")
    assert (found.mask.data == mask.get_fdata()).mean() > 0.9999
    np.testing.assert_allclose(found.mask.affine, mask.affine, atol=1e-4)
    stripped = folder / f"{case}_border{border}_stripped.nii.gz"
    if stripped.exists():
        assert (found.image.data == nib.load(stripped).get_fdata()).mean() > 0.9999


def test_borders_share_the_distances(shared):
    folder = shared(ORACLES)
    for case in ("oblique", "lia"):
        recorded = np.load(folder / f"{case}.npz")
        image = nib.load(folder / ("input.nii.gz" if case == "oblique" else "input_lia.nii.gz"))
        sizes = image.header.get_zooms()
        seen = conform(Image(image.get_fdata(), image.affine, sizes))
        assert seen.shape == tuple(recorded["network_shape"])
        np.testing.assert_allclose(seen.affine, recorded["network_vox2world"], atol=1e-4)
        np.testing.assert_allclose(
            normalize(seen, "x").data[::6, ::6, ::6],
            recorded["network_input_every_6th"],
            atol=1e-6,
        )


@pytest.fixture(scope="module")
def network():
    """Reads distances off the brightness: 0.5 at the border of the brain, 1 % less for each mm."""
    image = keras.Input((None, None, None, 1), name="image")
    return keras.Model(image, (0.5 - image) * 100)


def ball(shape=(40, 30, 36), spacing=2.0, radius=20.0):
    affine = np.diag([spacing, spacing, spacing, 1])
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    distance = np.linalg.norm((grid - (np.array(shape) - 1) / 2) * spacing, axis=-1) - radius
    data = np.clip(0.5 - distance / 100, 0.01, 1) * 1000
    return Volume(data.astype("float32"), affine)


def test_masks_follow_the_border(network):
    volume = ball()
    white = np.percentile(conform(Image(volume.data, volume.affine)).data, 99)
    for border in (1, 6):
        found = strip_brain(volume, network, border)
        edge = white * (0.5 - border / 100)
        clear = np.abs(volume.data - edge) > 25
        assert (found.mask.data == (volume.data > edge))[clear].all()
    assert found.distance.data.dtype == "float32"
    assert found.distance.shape == volume.shape


def test_frames_fill_and_types(network):
    volume = ball()
    frames = Volume(np.stack([volume.data, volume.data[::-1] - 200], -1), volume.affine, ndim=3)
    found = strip_brain(frames, network)
    assert found.image.data.shape == found.mask.data.shape == frames.data.shape
    # The lowest value of all frames, since it is below 0.
    assert (found.image.data[found.mask.data == 0] == frames.data.min()).all()
    again = strip_brain(volume, network, fill=7)
    assert (again.image.data[again.mask.data == 0] == 7).all()
    inside = again.mask.data == 1
    np.testing.assert_array_equal(again.image.data[inside], volume.data[inside])


def test_wide_borders_use_euclidean_distances():
    distance = np.full((30, 30, 30), 5.5)
    distance[13:17, 13:17, 13:17] = -2
    distance[12, 15, 15] = 0.5
    assert extend(distance, 4.9) is distance
    found = extend(distance, 6.4)
    assert found[14, 14, 14] == -2
    assert found[12, 15, 15] == 0.5
    assert found[11, 15, 15] == 1
    assert found[18, 14, 14] == 2
    # The box of the brain, 12 to 16 along the first axis, grows by int(6.4 + 0.5) voxels.
    assert found[6, 15, 15] == 6
    assert found[5, 15, 15] == 100
    assert (extend(np.full((4, 4, 4), 3.0), 9) == 100).all()


def test_what_is_no_scan_of_a_head_is_refused(network):
    flat = Volume(np.zeros((8, 8, 8), "float32"), np.eye(4))
    with pytest.raises(ValueError, match=r"array: 99 % of the voxels .* are equal"):
        strip_brain(flat, network)
    with pytest.raises(ValueError, match=r"must be a volume of three axes. Received: \(8, 8\)"):
        strip_brain(Volume(np.zeros((8, 8), "float32"), np.eye(4)), network)


def test_large_heads_are_cropped():
    image = Image(np.ones((2, 400, 60), "float32"), np.eye(4))
    assert conform(image).shape == (192, 192, 320)
