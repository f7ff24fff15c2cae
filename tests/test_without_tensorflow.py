"""What must work where TensorFlow is not installed."""

import nibabel
import numpy as np
import pytest
from backend_process import run

from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.data.volume_writer import write_volume

TRAIN_AND_SEGMENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("tensorflow is absent")
sys.meta_path.insert(0, Absent())
from synthtf.cli.main import main

train = "train segmentation head.nii.gz -o run --labels labels.tsv --shape 16 16 16 --spacing 12"
size = "--features 2 --levels 2 --epochs 1 --steps-per-epoch 2"
for line in (
    "synthesize head.nii.gz -o samples -n 1 --labels labels.tsv",
    "synthesize slice.nii.gz -o slices -n 1 --labels labels.tsv --extremes",
    f"{train} {size}",
    "segment samples/head_0000_image.nii.gz -o segmented.nii.gz --model run",
):
    assert main(line.split()) == 0, line
assert "tensorflow" not in sys.modules
"""


def test_jax_needs_no_tensorflow(tmp_path):
    pytest.importorskip("jax")
    for name, shape in (("head", (16, 16, 16)), ("slice", (24, 24))):
        labels = head_phantom(0, shape, 12.0)
        write_volume(tmp_path / f"{name}.nii.gz", labels, affine=np.diag([12, 12, 12, 1.0]))
    phantom_table().write(tmp_path / "labels.tsv")
    run("jax", TRAIN_AND_SEGMENT, tmp_path)
    for name in ("samples/head_0000_image.nii.gz", "slices/slice_0000_image.nii.gz"):
        assert np.asarray(nibabel.load(tmp_path / name).dataobj).std() > 0.01
    assert nibabel.load(tmp_path / "segmented.nii.gz").shape == (16, 16, 16)
