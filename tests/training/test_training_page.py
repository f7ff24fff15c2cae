"""The Python blocks of docs/training.md run as written, one after the other, at a tiny size."""

import re
from pathlib import Path

import numpy as np
import pytest

from synthtf.cli.main import build_parser
from synthtf.data.delimited import write_rows
from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume
from synthtf.networks import RegistrationConfig, UNetConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text()
SMALLER = {"(64, 64, 64)": "(16, 16, 16)", "spacing=3.0": "spacing=12.0", "steps=300": "steps=1"}
SMALLER |= {"epochs=20": "epochs=1", "num_batches=20": "num_batches=1"}
SMALLER |= {'"tutorial")\nfound': '"tutorial", network=SMALL)\nfound'}
SMALLER |= {"spacing, recipe)": "spacing, recipe, network=SMALL)"}
SMALLER |= {"similarity=0.5": "similarity=0.5, network=PAIRED"}


def write_head(folder):
    """A phantom as a label map, as scans, and in tables of scans."""
    labels = head_phantom(0, (16, 16, 16), 12.0, detail=12.0)
    affine = np.diag([12.0, 12.0, 12.0, 1.0])
    write_volume(folder / "maps" / "head.nii.gz", labels, affine=affine)
    for name, contrast in {"T1": "T1", "T2": "T2", "again": "T1"}.items():
        image = render_phantom(labels, contrast, 0, 12.0)
        write_volume(folder / f"{name}.nii.gz", image, affine=affine)
    for name in ("scans.csv", "real.csv"):
        rows = [("image", "labels", "domain"), ("T1.nii.gz", "maps/head.nii.gz", "T1")]
        write_rows(folder / name, rows)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_python_blocks_run(tmp_path, monkeypatch, quick_training):
    write_head(tmp_path)
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    for old, new in SMALLER.items():
        assert old in code
        code = code.replace(old, new)
    paired = RegistrationConfig((2, 2), (2, 2, 2), detector=None)
    names = {"SMALL": UNetConfig(2, 2), "PAIRED": paired}
    exec(code, names)
    assert set(names["validation"].best["domains"]) == {"T1"}
    assert names["mixed"].num_real == 1 and "ShowScan" in names["recipe"].to_json()
    assert names["halves"].num_real == 2 and "ncc" in names["aligner"].metrics_names
    assert names["watched"].found.layers["image"]["ncc"] < 1


def test_commands_are_understood():
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith("    synthtf ")]
    assert len(lines) >= 9
    for line in lines:
        build_parser().parse_args(line.split()[1:])
