"""The figures of the card of `super-resolution`: thick slices, and how they are compared."""

import sys

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script

from synthtf.data import Volume

sys.path.append(str(SCRIPTS))  # one script takes another's table
script = load_script("evaluate_images")


def ramp():
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (9, -3, 2)
    return Volume(np.indices((40, 44, 42)).sum(0).astype(np.float32), affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_stay_in_their_place(axis):
    """The mean of a ramp is its middle: splines between slices give the ramp again."""
    scan = ramp()
    poor = script.thick(scan, axis, 4)
    assert poor.data.shape[axis] in (10, 11) and poor.spacing[axis] == 4
    middle = np.take(script.splines(poor, scan), range(16, 24), axis)
    np.testing.assert_allclose(middle, np.take(scan.data, range(16, 24), axis), atol=0.1)


def test_scores_know_no_units_and_see_blur():
    rng = np.random.default_rng(0)
    true = rng.random((9, 9, 9))
    inside = np.ones(true.shape, bool)
    same = script.fitted(7 - 2 * true, true, inside)
    np.testing.assert_allclose(same, true)
    noisy, edges = script.scores(true + 0.1, true, inside)
    assert noisy == pytest.approx(20 + 20 * np.log10(np.percentile(true, 99.9)), abs=1e-6)
    assert edges == pytest.approx(1)
    assert script.scores(true[::-1], true, inside)[1] < 0.5
