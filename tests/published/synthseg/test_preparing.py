"""Tests of how scans are brought to SynthSeg's networks."""

import nibabel as nib
import numpy as np
import pytest

from synthtf.data.volume_writer import write_volume
from synthtf.published.synthseg.preparing import Preparation

RNG = np.random.default_rng(0)


@pytest.fixture
def write(tmp_path):
    def write(data, affine=None):
        path = tmp_path / "scan.nii.gz"
        write_volume(path, data, affine=np.eye(4) if affine is None else affine)
        return path

    return write


def sizes(box):
    return [(part.start, part.stop) for part in box]


def test_whole_scans_are_padded_to_128(write):
    data = RNG.uniform(10, 50, (40, 161, 25)).astype("float32")
    scan = Preparation()(write(data))
    assert scan.image.shape == (128, 192, 128) and scan.image.dtype == np.float32
    assert sizes(scan.inner) == [(44, 84), (15, 176), (51, 76)]
    assert sizes(scan.crop) == [(0, 40), (0, 161), (0, 25)]
    low, high = np.percentile(data, (0.5, 99.5))
    expected = (np.clip(data, low, high) - low) / (high - low)
    np.testing.assert_allclose(scan.image[scan.inner], expected, atol=1e-6)
    assert scan.resampled is None and scan.voxel == 1
    assert np.count_nonzero(scan.image) == np.count_nonzero(expected)


def test_crops_are_centred_and_multiples_of_32(write):
    data = RNG.uniform(10, 50, (71, 90, 20)).astype("float32")
    scan = Preparation(crop=(40, 33, 10))(write(data))
    assert sizes(scan.crop) == [(3, 67), (13, 77), (0, 20)]
    assert scan.image.shape == (64, 64, 32)
    low, high = np.percentile(data[scan.crop], (0.5, 99.5))
    expected = (np.clip(data[scan.crop], low, high) - low) / (high - low)
    np.testing.assert_allclose(scan.image[scan.inner], expected, atol=1e-6)
    assert Preparation(crop=[30]).crop == (30, 30, 30)


@pytest.mark.filterwarnings("ignore:.*is constant")
def test_autocrop_leaves_the_background_out(write):
    data = np.zeros((60, 60, 60), "float32")
    data[5:20, 50:60, 10:50] = RNG.uniform(1, 2, (15, 10, 40))
    scan = Preparation(autocrop=True)(write(data))
    # 15 + 1 voxels grow by 8 on each side to 32, 40 + 1 by 11 to 64; the ends of the scan stop it.
    assert sizes(scan.crop) == [(0, 32), (40, 60), (0, 60)]
    assert scan.image.shape == (128, 128, 128)
    np.testing.assert_array_equal(
        scan.image[scan.inner] > 0, data[scan.crop] > np.percentile(data, 0.5)
    )
    empty = Preparation(autocrop=True)(write(np.zeros((5, 6, 7), "float32")))
    assert sizes(empty.crop) == [(0, 5), (0, 6), (0, 7)]


@pytest.mark.filterwarnings("ignore:.*is constant")
def test_constant_scans_become_0(write):
    assert not Preparation()(write(np.full((5, 6, 7), 3.0))).image.any()


def test_ct_scans_are_clipped(write):
    data = RNG.uniform(-1000, 2000, (20, 20, 20)).astype("float32")
    scan = Preparation(ct=True, crop=(32,))(write(data))
    np.testing.assert_allclose(scan.image[scan.inner], np.clip(data, 0, 80) / 80, atol=1e-5)


def test_scans_are_turned_and_resampled(write):
    affine = np.array([[0, 0, -2.0, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    data = RNG.uniform(0, 1, (8, 9, 10)).astype("float32")
    scan = Preparation(crop=(32,))(write(data, affine))
    assert scan.resampled.shape == (8, 9, 20) and scan.shape == (20, 8, 9) and scan.voxel == 1
    assert nib.aff2axcodes(scan.affine) == ("A", "I", "L")
    turned = scan.orientation.apply(scan.resampled)
    assert np.corrcoef(turned.ravel(), scan.image[scan.inner].ravel())[0, 1] > 0.999
    native = Preparation(crop=(32,))(write(data, np.diag([0.96, 1.04, -1, 1])))
    assert native.resampled is None and native.voxel == pytest.approx(0.96 * 1.04)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (32, 32)}, r"--crop must be one size or three"),
        ({"crop": (0,)}, r"at least 1\. Received: \[0\]"),
        ({"crop": (32,), "autocrop": True}, "--autocrop cannot be used with --crop"),
    ],
)
def test_wrong_crops(options, message):
    with pytest.raises(ValueError, match=message):
        Preparation(**options)
