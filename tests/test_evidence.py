"""The studies of docs/evidence.md, at a tiny size."""

import csv

import numpy as np
import pytest
from scripts_as_modules import load_script

from synthtf.data.phantom_rendering import CONTRASTS

SIZES = ["--steps", "2", "--every", "1", "--tested", "1", "--features", "2"]


@pytest.fixture
def evidence(monkeypatch):
    script = load_script("evidence")
    monkeypatch.setattr(script, "SLICES", (18, 20))
    for study, trainings in script.STUDIES.items():
        few = dict([*trainings.items()][-2:])
        monkeypatch.setitem(script.STUDIES, study, few)
    return script


@pytest.mark.slow
@pytest.mark.parametrize("study", ["randomisation", "ablation", "maps", "optimizers", "shapes"])
def test_each_study_measures_draws_and_goes_on(evidence, study, tmp_path, capsys, monkeypatch):
    evidence.main([study, "-o", str(tmp_path), "--seeds", "2", *SIZES])
    names = list(evidence.STUDIES[study])
    with open(tmp_path / f"{study}.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["training"] for row in rows} == set(names)
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert {row["contrast"] for row in rows} == set(CONTRASTS)
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
    assert (tmp_path / f"{study}.png").stat().st_size > 1000
    assert f"| {names[-1]} | " in capsys.readouterr().out

    def refuse(*arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(evidence, "train", refuse)
    evidence.main([study, "-o", str(tmp_path), "--seeds", "2", *SIZES])


@pytest.mark.slow
def test_seeds_begin_with_other_weights_and_each_at_the_start(evidence, tmp_path):
    evidence.main(["maps", "-o", str(tmp_path / "two"), "--seeds", "2", *SIZES])
    one = tmp_path / "one"
    evidence.main(["maps", "-o", str(one), "--seeds", "1", *SIZES])
    evidence.main(["maps", "-o", str(one), "--seeds", "2", *SIZES])

    def scores(folder):
        with open(folder / "maps.csv", newline="") as stream:
            return [float(row["dice"]) for row in csv.DictReader(stream)]

    np.testing.assert_allclose(scores(one), scores(tmp_path / "two"), atol=0.01)
