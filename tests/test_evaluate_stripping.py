"""The script's table, for a network whose distances are known."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from stripping_runs import scan, write_run

from synthtf.data import write_volume

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        spec = importlib.util.spec_from_file_location(
            "evaluate_stripping", SCRIPTS / "evaluate_stripping.py"
        )
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "evaluate_stripping", module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def data(tmp_path):
    """One scan with a mask of its brain, 1 mm further out, and one without."""
    (tmp_path / "scans").mkdir()
    volume, distance = scan()
    for name in ("e_T1_head", "b_T1_head"):
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", volume.data, like=volume)
    mask = (distance < 1).astype("uint8")
    write_volume(tmp_path / "scans" / "e_T1_brainmask.nii.gz", mask, like=volume)
    return tmp_path


def test_the_best_border_is_that_of_the_reference(script, data, tmp_path, capsys):
    run = write_run(tmp_path / "run")
    script.main([str(run.folder), "--data", str(data)])
    text = (run.folder / "scans" / "report.md").read_text()
    output = capsys.readouterr()
    assert text in output.out and "skipped, absent" in output.err
    row = next(line for line in text.splitlines() if line.startswith("| e_T1_head"))
    overlap = [float(cell) for cell in row.split("|")[2:6]]
    assert overlap[2] > 0.97 and np.argmax(overlap) == 2
    unknown = next(line for line in text.splitlines() if line.startswith("| b_T1_head"))
    assert [cell.strip() for cell in unknown.split("|")[2:6]] == [""] * 4
    assert (run.folder / "scans" / "masks.png").stat().st_size > 1000


def test_refuses_a_folder_without_scans(script, tmp_path, capsys):
    run = write_run(tmp_path / "run")
    with pytest.raises(SystemExit):
        script.main([str(run.folder), "--data", str(tmp_path)])
    assert "name their folder with --data" in capsys.readouterr().err
