"""The figures of the card of `change`: what happens between visits, and how it is added up."""

import sys

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script

from synthtf.synthesis import Recipe
from synthtf.tasks import ChangeTask

sys.path.append(str(SCRIPTS))  # one script takes another's table
script = load_script("evaluate_changes")
BETWEEN = ChangeTask().between


@pytest.mark.parametrize("case", script.CASES)
def test_each_case_lets_its_steps_happen_and_no_others(case):
    recipe, steps = Recipe.preset("change"), script.CASES[case]
    found = script.changed(recipe, BETWEEN, steps)
    for name in BETWEEN:
        assert found[name].probability == (name in steps)
    for name, arguments in steps.items():
        for argument, value in arguments.items():
            assert getattr(found[name], argument) == (value, value)
    assert found.without(*BETWEEN) == recipe.without(*BETWEEN)


def test_means_and_the_ratio_of_sums():
    found = [
        script.Found("up", "same", "ventricle", 1000.0, 900.0),
        script.Found("up", "same", "ventricle", 3000.0, 3100.0),
        script.Found("none", "same", "ventricle", 0.0, 50.0),
    ]
    up, none = script.summary(found)
    assert up == ["up", "same", "ventricle", 2.0, 2.0, pytest.approx(0.1), pytest.approx(1.0)]
    assert none[:5] == ["none", "same", "ventricle", 0.0, 0.05] and np.isnan(none[6])
