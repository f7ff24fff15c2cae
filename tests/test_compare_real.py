"""The comparison of real and synthetic training, at a tiny size."""

import csv

import pytest
from scripts_as_modules import load_script

from synthtf.data.phantom_rendering import CONTRASTS


@pytest.mark.slow
def test_each_way_of_training_is_tested_on_each_contrast(tmp_path):
    script = load_script("compare_real")
    sizes = ["--steps", "1", "--heads", "1", "--tested", "1", "--features", "2"]
    rows = script.main(["-o", str(tmp_path), *sizes])
    assert [row["trained on"] for row in rows] == list(script.KINDS)
    assert all(0 <= row[contrast] <= 1 for row in rows for contrast in CONTRASTS)
    with open(tmp_path / "dice.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(script.KINDS)
    assert (tmp_path / "dice.png").is_file()
