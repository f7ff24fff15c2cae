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
size = "--features 2 --levels 2 --epochs 1 --steps-per-epoch 2 --check-every 0"
for line in (
    f"{train} {size}",
    "segment scan.nii.gz -o segmented.nii.gz --model run",
):
    assert main(line.split()) == 0, line
assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_need_no_tensorflow(tmp_path, backend):
    pytest.importorskip(backend)
    labels, affine = head_phantom(0, (16, 16, 16), 12.0), np.diag([12, 12, 12, 1.0])
    write_volume(tmp_path / "head.nii.gz", labels, affine=affine)
    write_volume(tmp_path / "scan.nii.gz", labels.astype("float32"), affine=affine)
    phantom_table().write(tmp_path / "labels.tsv")
    run(backend, TRAIN_AND_SEGMENT, tmp_path)
    assert nibabel.load(tmp_path / "segmented.nii.gz").shape == (16, 16, 16)
