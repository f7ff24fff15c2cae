"""WMH-SynthSeg from scan to labels and lesions: what the original computes, and its rules."""

import keras
import nibabel as nib
import numpy as np
import pytest

from synthtf.interop import load_wmh_synthseg
from synthtf.published.wmh_synthseg import pipeline
from synthtf.published.wmh_synthseg.labels import MIRRORED, NAMES
from synthtf.published.wmh_synthseg.pipeline import prepare, segment_lesions

ORDER = (
    "0 14 15 16 24 77 85 2 3 4 7 8 10 11 12 13 17 18 26 28 41 42 43 46 47 49 50 51 52 53 54 58 60"
)


def test_the_original_gives_the_same(shared):
    folder = shared("oracles/published/wmh_synthseg")
    network = load_wmh_synthseg(folder / "WMH-SynthSeg_v10_231110.pth", least_outputs=33)
    found = segment_lesions(folder / "input.nii.gz", network)
    labels = nib.load(folder / "seg.nii.gz")
    lesions = nib.load(folder / "seg.lesion_probs.nii.gz")
    assert (found.labels.data == labels.get_fdata()).mean() > 0.999
    np.testing.assert_allclose(found.labels.affine, labels.affine, atol=1e-5)
    np.testing.assert_allclose(found.lesions.data, lesions.get_fdata(), atol=3e-4)
    header, row = (folder / "volumes.csv").read_text().splitlines()
    names = [f"{name}({label})" for label, name in NAMES.items() if label]
    assert header.split(",") == ["Input-file", "Intracranial-volume", *names]
    volumes = np.array(row.split(",")[2:], float)
    np.testing.assert_allclose(list(found.volumes.values()), volumes, atol=0.01)


def test_order_of_the_channels():
    assert list(NAMES) == list(map(int, ORDER.split()))
    values = np.array(list(NAMES))
    other = values[list(MIRRORED)]
    assert (other[:7] == values[:7]).all()
    assert dict(zip(values[7:20], other[7:20], strict=True))[17] == 53
    names = list(NAMES.values())
    for mine, partner in enumerate(MIRRORED):
        sides = {"left-": "right-", "right-": "left-"}
        side = next((side for side in sides if names[mine].startswith(side)), "")
        assert names[partner] == names[mine].replace(side, sides.get(side, ""))


def save(path, data, affine):
    nib.Nifti1Image(data.astype("float32"), affine).to_filename(path)


def test_preparation(tmp_path):
    """Rounded sizes, no blur, nothing subtracted; axes to RAS before the sizes are rounded."""
    data = np.random.default_rng(0).uniform(20, 50, (5, 6, 7))
    affine = np.array([[0, 0, -1, 9], [1.5, 0, 0, -4], [0, 0.5, 0, 2], [0, 0, 0, 1]], float)
    save(tmp_path / "x.nii.gz", data, affine)
    image, found, _ = prepare(tmp_path / "x.nii.gz")
    # 7 voxels of 1 mm, 5 of 1.5 mm (7.5 becomes 8), 6 of 0.5 mm.
    assert image.shape == (7, 8, 3)
    assert image.dtype == "float32"
    stored = np.float32(data)
    assert image.max() <= 1
    # From right to left; at 0.5 mm, the mean of two neighbours.
    pairs = stored[:, ::2].astype(float) + stored[:, 1::2]
    expected = pairs.transpose(2, 0, 1)[::-1] / 2 / stored.max()
    places = np.clip((1 - 1.5) / 3 + np.arange(8) / 1.5, 0, 4)
    low = np.minimum(places.astype(int), 3)
    weights = (places - low)[:, None]
    expected = expected[:, low] * (1 - weights) + expected[:, low + 1] * weights
    np.testing.assert_allclose(image, expected, atol=1e-6)
    # The corner of the first voxel stays where it is.
    aligned = np.array([[1, 0, 0, 3], [0, 1.5, 0, -4], [0, 0, 0.5, 2], [0, 0, 0, 1]], float)
    corner = [-0.5, -0.5, -0.5, 1]
    np.testing.assert_allclose(found @ corner, aligned @ corner)
    save(tmp_path / "x.nii.gz", -data, affine)
    with pytest.raises(ValueError, match=r"x.nii.gz has no voxel above 0"):
        prepare(tmp_path / "x.nii.gz")


def network(function):
    image = keras.Input((None, None, None, 1))
    return keras.Model(image, function(image))


def test_posteriors_are_averaged_with_the_mirrored_scan(tmp_path):
    """Left structures where it is bright: in the mirrored scan, they are the right ones."""
    data = np.zeros((8, 6, 5))
    data[:4] = 1
    save(tmp_path / "x.nii.gz", data, np.eye(4))
    weights = np.zeros(39, "float32")
    weights[8], weights[33] = 5, 100  # left cortex; a channel that is not used
    bright = network(lambda x: x * weights)
    found = segment_lesions(tmp_path / "x.nii.gz", bright)
    p = np.exp(5) / (np.exp(5) + 32)
    there, elsewhere = p / 2 + (1 - p) / 32 / 2, 1 / 33
    labels = found.labels.data
    # Padding at the end of each axis: mirroring the padded scan moves nothing.
    assert (labels[:4] == 3).all()
    assert (labels[4:] == 0).all()
    np.testing.assert_allclose(found.volumes[3], 120 * (there + elsewhere), rtol=1e-5)
    np.testing.assert_allclose(found.volumes[42], found.volumes[3], rtol=1e-5)
    lesions = found.lesions.data
    np.testing.assert_allclose(lesions[4:], 1 / 33, rtol=1e-5)
    assert lesions.dtype == "float32"
    assert 0 not in found.volumes


def test_crop(tmp_path, monkeypatch):
    """The box of the second pass has the middle of the deep structures in its middle."""
    monkeypatch.setattr(pipeline, "_BOX", (32, 32, 64))
    data = np.full((40, 30, 90), 0.1)
    data[28:32, 10:14, 70:74] = 1
    save(tmp_path / "x.nii.gz", data, np.eye(4))
    weights = np.zeros(39, "float32")
    weights[[list(NAMES).index(label) for label in (10, 49, 4, 43)]] = 40
    bright = network(lambda x: (x - 0.5) * weights)
    found = segment_lesions(tmp_path / "x.nii.gz", bright, crop=True)
    # Along the first axis 29.5 - 16, along the second, where the scan is smaller than the box,
    # 11.5 + 1 - 16, along the third 71.5 - 32.
    start = np.array([13, 0, 39])
    np.testing.assert_allclose(found.labels.affine[:3, 3], start)
    assert found.labels.shape == (27, 30, 51)
    whole = segment_lesions(tmp_path / "x.nii.gz", bright)
    part = whole.labels.data[13:, :, 39:]
    np.testing.assert_array_equal(found.labels.data, part)
