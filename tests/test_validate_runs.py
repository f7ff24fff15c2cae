import csv
import shutil
from pathlib import Path

import numpy as np
from scripts_as_modules import load_script

from synthtf.data import write_volume

RUN = Path(__file__).parent / "runs" / "fine_run"


def test_runs_are_validated_on_the_same_images(tmp_path, capsys):
    labels = np.zeros((24, 24, 24), "int32")
    labels[4:12, 5:19, 5:19] = 2
    labels[12:20, 5:19, 5:19] = 41
    labels[8:11, 10:14, 10:14] = 4
    write_volume(tmp_path / "map.nii.gz", labels, affine=np.eye(4))
    script = load_script("validate_runs")
    arguments = ["--maps", str(tmp_path / "map.nii.gz"), "--samples", "2", "--no-refine"]
    again = shutil.copytree(RUN, tmp_path / "again")
    script.main([str(RUN), str(again), *arguments, "--csv", str(tmp_path / "figures.csv")])
    table = capsys.readouterr().out
    assert table.splitlines()[0] == "| label | fine_run: Dice | volume | again: Dice | volume |"
    with (tmp_path / "figures.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    first, second = (
        [{**row, "run": ""} for row in rows if row["run"] == name] for name in ("fine_run", "again")
    )
    assert {row["label"] for row in first} == {"2", "4", "41"}
    assert len({row["sample"] for row in first}) == 2
    assert first == second  # of the same network
    assert all(0 <= float(row["dice"]) <= 1 and float(row["true_volume"]) > 0 for row in rows)


def test_measures_are_those_of_the_truth():
    script = load_script("validate_runs")
    rows = [
        {"run": "a", "label": 2, "dice": 0.5, "posterior_volume": 3, "true_volume": 2},
        {"run": "a", "label": 41, "dice": 0.7, "posterior_volume": 1, "true_volume": 2},
        {"run": "a", "label": 24, "dice": 0.1, "posterior_volume": 9, "true_volume": 2},
    ]

    class Table:
        output_pairs = ((2, 41),)

    assert script.summary(rows, Table)[2:] == [
        "| 2 | 0.600 | 1.00 |",
        "| 24 | 0.100 | 4.50 |",
        "| mean, without 24 | 0.600 | 1.00 |",
    ]
