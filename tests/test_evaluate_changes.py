"""The figures of the card of `change`: what is drawn between visits, and how it is added up."""

import sys

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script

from synthtf.synthesis import Recipe, labels_to_visits
from synthtf.tasks import ChangeTask

sys.path.append(str(SCRIPTS))  # one script takes another's table
script = load_script("evaluate_changes")
BETWEEN = ChangeTask().between


def batch(number=3):
    labels = np.zeros((number, 64, 64, 1), "int32")
    labels[:, 4:-4, 4:-4] = 2
    labels[:, 24:40, 26:38] = 4
    key = np.stack([np.zeros(number), np.arange(number)], 1).astype("int32")
    return {"labels": labels, "key": key}


def table():
    from synthtf.data import LabelTable

    names = ("air", "left cerebral white matter", "left lateral ventricle")
    return LabelTable((0, 2, 4), names, (None,) * 3, (0, 2, 4), names, ("no", "yes", "yes"))


@pytest.mark.parametrize("case", script.CASES)
def test_each_case_changes_its_region_and_no_other(case):
    recipe = Recipe.preset("change").without("flip")
    recipe = recipe.change("lesions", within=[2]).change("new_lesions", within=[2])
    recipe = script.changed(recipe, BETWEEN, script.CASES[case])
    options = {"regions": ["ventricle", "lesion"], "between": BETWEEN}
    model = labels_to_visits((64, 64), table(), recipe, 2.0, **options)
    ventricle, lesion = np.moveaxis(np.asarray(model(batch())["change"]).sum((1, 2)), -1, 0)
    if case == "none":
        assert not ventricle.any() and not lesion.any()
    elif "lesions" in case:
        assert not ventricle.any() and np.all(lesion > 0)
    else:
        assert np.all(np.sign(ventricle) == (-1 if "0.85" in case else 1))


def test_means_and_the_ratio_of_sums():
    found = [
        script.Found("up", "same", "ventricle", 1000.0, 900.0),
        script.Found("up", "same", "ventricle", 3000.0, 3100.0),
        script.Found("none", "same", "ventricle", 0.0, 50.0),
    ]
    up, none = script.summary(found)
    assert up == ["up", "same", "ventricle", 2.0, 2.0, pytest.approx(0.1), pytest.approx(1.0)]
    assert none[:5] == ["none", "same", "ventricle", 0.0, 0.05] and np.isnan(none[6])
