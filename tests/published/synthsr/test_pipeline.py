"""SynthSR from scan to synthetic T1: what the original computes, and each of its rules."""

import keras
import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthtf.interop import load_synthsr
from synthtf.published.synthsr.pipeline import super_resolve, super_resolve_pair

ORACLES = "oracles/published/synthsr"
CASES = {
    "general": ("input", "synthsr_v20_230130", {}),
    "general_noflip_nosharpen": (
        "input",
        "synthsr_v20_230130",
        {"flip": False, "sharpen": False},
    ),
    "lowfield": ("input", "synthsr_lowfield_v20_230130", {}),
    "ct": ("input_ct", "synthsr_v20_230130", {"ct": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_original_gives_the_same(shared, case):
    folder = shared(ORACLES)
    scan, weights, options = CASES[case]
    network = load_synthsr(folder / f"{weights}.h5")
    found = super_resolve(folder / f"{scan}.nii.gz", network, **options)
    recorded = np.load(folder / f"{case}.npz")
    np.testing.assert_allclose(found.data, recorded["image"], atol=5e-3)
    np.testing.assert_allclose(found.affine, recorded["affine"], atol=1e-5)
    as_bytes = (2 * found.data).clip(0, 255).astype("uint8")
    assert (as_bytes == nib.load(folder / f"{case}.nii.gz").get_fdata()).mean() > 0.999


def test_the_original_gives_the_same_for_a_pair(shared):
    folder = shared(ORACLES)
    network = load_synthsr(folder / "synthsr_v10_210712_hyperfine.h5", channels=2)
    scans = [folder / f"hyperfine_{name}.nii.gz" for name in ("t1", "t2")]
    found = super_resolve_pair(*scans, network)
    recorded = nib.load(folder / "hyperfine.nii.gz")
    np.testing.assert_allclose(found.data, recorded.get_fdata(), atol=1e-2)
    np.testing.assert_allclose(found.affine, recorded.affine, atol=1e-5)


def network(function, channels=1):
    image = keras.Input((None, None, None, channels))
    return keras.Model(image, function(image))


@pytest.fixture
def scan(tmp_path):
    """Random voxels of 1 mm, axes to the left, up and to the front."""
    data = np.random.default_rng(0).uniform(-20, 100, (20, 24, 28)).astype("float32")
    affine = np.array([[-1, 0, 0, 5], [0, 0, 1, 3], [0, 1, 0, -7], [0, 0, 0, 1]], float)
    nib.Nifti1Image(data, affine).to_filename(tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz", data, affine


def test_result_of_a_network_that_does_nothing(scan):
    path, data, affine = scan
    same = network(lambda x: x)
    found = super_resolve(path, same, flip=False, sharpen=False)
    np.testing.assert_array_equal(found.affine, affine)
    # Blurred even at 1 mm. The padding of 0 is not the lowest value here.
    blurred = gaussian_filter(data.astype(float), 0.25)
    scaled = (blurred - blurred.min()) / (blurred - blurred.min()).max()
    np.testing.assert_allclose(found.data, (255 * scaled).clip(0, 128), atol=1e-3)
    # Clipped before the sharpening, not after it.
    sharp = super_resolve(path, same)
    expected = (255 * scaled).clip(0, 128)
    expected = 2 * expected - gaussian_filter(expected, 1.5)
    np.testing.assert_allclose(sharp.data, expected, atol=1e-3)
    assert sharp.data.max() > 128
    assert sharp.data.min() < 0


def test_padding_takes_part_in_the_normalisation(scan, tmp_path):
    path, data, affine = scan
    nib.Nifti1Image(data + 100, affine).to_filename(path)
    found = super_resolve(path, network(lambda x: x), flip=False, sharpen=False)
    blurred = gaussian_filter(data.astype(float) + 100, 0.25)
    expected = (255 * blurred / blurred.max()).clip(0, 128)
    np.testing.assert_allclose(found.data, expected, atol=1e-3)


def test_hounsfield_units_are_clipped(scan):
    path, data, _ = scan
    found = super_resolve(path, network(lambda x: x), ct=True, flip=False, sharpen=False)
    blurred = gaussian_filter(data.astype(float), 0.25).clip(0, 80)
    np.testing.assert_allclose(found.data, (255 * blurred / 80).clip(0, 128), atol=1e-3)


def test_mirrored_scan(scan):
    """A network that looks at the neighbour on the left gives the mean of both neighbours."""
    path, _, _ = scan
    shift = network(lambda x: keras.ops.roll(x, 1, axis=1) * 0.3)
    once = super_resolve(path, shift, flip=False, sharpen=False).data
    both = super_resolve(path, shift, sharpen=False).data
    still = super_resolve(path, network(lambda x: 0.3 * x), flip=False, sharpen=False).data
    np.testing.assert_allclose(both[1:-1], (still[:-2] + still[2:]) / 2, atol=1e-3)
    # The first axis of the scan points to the left: its next voxel is the neighbour there.
    np.testing.assert_allclose(once[:-1], still[1:], atol=1e-3)


def test_pair(scan, tmp_path):
    """The T2 ends half-way: outside it is 0, from its lowest value on."""
    path, data, affine = scan
    t2 = np.full((20, 24, 14), 50.0, "float32")
    t2[0, 0, 0] = 10
    nib.Nifti1Image(t2, affine).to_filename(tmp_path / "t2.nii.gz")
    only_t2 = network(lambda x: x[..., 1:], 2)
    found = super_resolve_pair(path, tmp_path / "t2.nii.gz", only_t2)
    blurred = gaussian_filter(data.astype(float), 0.25)
    scale = np.ptp(blurred) / 3
    expected = np.zeros_like(blurred)
    expected[..., :14] = t2 / 50 * 2
    expected = blurred.min() + scale * (expected + blurred / scale)
    np.testing.assert_allclose(found.data, expected.clip(0), atol=1e-3)
    with pytest.raises(ValueError, match=r"t2.nii.gz, where .*scan.nii.gz is is constant"):
        nib.Nifti1Image(t2, affine + 500 * np.eye(4, k=3)).to_filename(tmp_path / "t2.nii.gz")
        super_resolve_pair(path, tmp_path / "t2.nii.gz", only_t2)


def test_channels_and_constant_scans(scan, tmp_path):
    path, data, affine = scan
    same = network(lambda x: x)
    several = np.stack([data, np.zeros_like(data)], -1)
    nib.Nifti1Image(several, affine).to_filename(tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(
        super_resolve(tmp_path / "two.nii.gz", same).data, super_resolve(path, same).data
    )
    nib.Nifti1Image(0 * data, affine).to_filename(path)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=r"scan.nii.gz is constant"):
        super_resolve(path, same)
