"""The studies of docs/evidence.md, at a tiny size."""

import csv
import importlib
from dataclasses import replace

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script

from synthtf.data.phantom_rendering import CONTRASTS

SIZES = ["--steps", "2", "--every", "1", "--tested", "1", "--features", "2"]
STUDIES = ("randomisation", "ablation", "maps", "optimizers", "shapes", "dimensions")


@pytest.fixture
def evidence(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    script = load_script("evidence")
    monkeypatch.setattr(importlib.import_module("studies.heads"), "SLICES", (18, 20))
    for name in STUDIES:
        study = importlib.import_module(f"studies.{name}")
        monkeypatch.setattr(study, "TRAININGS", dict([*study.TRAININGS.items()][-2:]))
    for name, training in study.TRAININGS.items():  # of the last one, whose heads are whole
        grid = replace(training.grid, shape=(16, 16, 16))
        study.TRAININGS[name] = replace(training, grid=grid, heads=2)
    return script


def table_of(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_all_studies_are_there(evidence):
    found = {path.stem for path in (SCRIPTS / "studies").glob("*.py")}
    assert (
        set(evidence.NAMES) == set(STUDIES) == found - {"heads", "trainings", "tables", "figures"}
    )


def test_steps_end_with_a_test(evidence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        evidence.main(["maps", "-o", str(tmp_path), "--steps", "70"])
    assert "--steps must be a multiple of --every" in capsys.readouterr().err


def test_time_to_accuracy(evidence):
    tables = importlib.import_module("studies.tables")
    about = {"training": "3D", "condition": "as it is"}
    rows = [
        about | {"seed": seed, "step": step, "seconds": seconds, "dice": score + by}
        for seed in "01"
        for step, seconds, score in [("10", "20.0", 0.3), ("20", "40.0", 0.5)]
        for by in (-0.1, 0.1)  # two contrasts
    ]
    line = tables.times_to(rows, (0.15, 0.4, 0.6)).splitlines()[-1]
    assert line == "| 3D | 2.00 | 10 s | 30 s | not reached |"


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_each_study_measures_draws_and_goes_on(evidence, study, tmp_path, capsys, monkeypatch):
    evidence.main([study, "-o", str(tmp_path), "--seeds", "2", *SIZES])
    names = list(importlib.import_module(f"studies.{study}").TRAININGS)
    rows = table_of(tmp_path / f"{study}.csv")
    assert {row["training"] for row in rows} == set(names)
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert {row["contrast"] for row in rows} == set(CONTRASTS)
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
    assert (tmp_path / f"{study}.png").stat().st_size > 1000
    assert f"| {names[-1]} | " in capsys.readouterr().out

    def refuse(*arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(importlib.import_module("studies.trainings"), "train", refuse)
    evidence.main([study, "-o", str(tmp_path), "--seeds", "2", *SIZES])


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on(evidence, tmp_path, monkeypatch):
    from studies.trainings import Curve

    command = ["maps", "--seeds", "1", *SIZES, "-o"]
    evidence.main([*command, str(tmp_path / "whole")])
    test, steps = Curve.on_epoch_end, []

    def stop(self, epoch, logs=None):
        steps.append(len(self.durations))
        test(self, epoch, logs)
        if len(steps) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Curve, "on_epoch_end", stop)
    with pytest.raises(KeyboardInterrupt):
        evidence.main([*command, str(tmp_path / "stopped")])
    evidence.main([*command, str(tmp_path / "stopped")])
    assert steps[:2] == [1, 2]
    whole, stopped = (table_of(tmp_path / name / "maps.csv") for name in ("whole", "stopped"))
    assert [row["step"] for row in stopped] == [row["step"] for row in whole]
    scores = [[float(row["dice"]) for row in rows] for rows in (whole, stopped)]
    np.testing.assert_allclose(*scores, atol=0.01)
    assert not [path for path in (tmp_path / "stopped" / "trainings").iterdir() if path.is_dir()]


@pytest.mark.slow
def test_seeds_begin_with_other_weights_and_each_at_the_start(evidence, tmp_path):
    evidence.main(["maps", "-o", str(tmp_path / "two"), "--seeds", "2", *SIZES])
    one = tmp_path / "one"
    evidence.main(["maps", "-o", str(one), "--seeds", "1", *SIZES])
    evidence.main(["maps", "-o", str(one), "--seeds", "2", *SIZES])

    def scores(folder):
        return [float(row["dice"]) for row in table_of(folder / "maps.csv")]

    np.testing.assert_allclose(scores(one), scores(tmp_path / "two"), atol=0.01)
