"""The measures of the script, on transforms whose errors are known."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from registration_runs import scan, write_run

from synthtf.data.transforms import Affine, Displacement
from synthtf.inference.applying import apply_transform

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "evaluate_registration", SCRIPTS / "evaluate_registration.py"
    )
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        patch.setitem(sys.modules, "evaluate_registration", module)
        spec.loader.exec_module(module)
        yield module


def shift(*mm):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix)


def mask():
    volume = scan()
    return replace(volume, data=(volume.data > 0).astype("uint8"))


@pytest.mark.parametrize("rigid", [True, False])
def test_a_displaced_scan_comes_back_by_the_true_transform(script, rigid):
    volume = scan()
    centre = np.array([3.0, -2.0, 1.0])
    moved, truth = script.displaced(volume, rigid, 3, centre)
    back = apply_transform(moved, truth, like=volume)
    inside = volume.data > 0
    assert np.corrcoef(back.data[inside], volume.data[inside])[0, 1] > 0.9
    linear = truth.matrix[:3, :3]
    assert np.allclose(linear @ linear.T, np.eye(3)) == rigid
    assert np.linalg.norm(truth(centre) - centre) <= 20 * np.sqrt(3)


def test_corner_error_is_the_distance(script):
    found = script.corner_error(shift(3, 4, 0), Affine(np.eye(4)), mask())
    assert found == pytest.approx(5)
    grown = Affine(np.diag([1.1, 1, 1, 1]))
    voxels = np.argwhere(mask().data > 0)[:, 0]
    width = np.ptp(voxels) * 2.0
    assert script.corner_error(grown, Affine(np.eye(4)), mask()) == pytest.approx(
        0.1 * width / 2, rel=0.05
    )


def test_folding_counts_voxels_that_turn_inside_out(script):
    volume = scan()
    field = np.zeros((*volume.shape, 3), "float32")
    field[40:, ..., 0] = np.minimum(0, 4 - 4.0 * np.arange(40))[:, None, None]
    folded = script.folding(Displacement(field, volume.affine), volume)
    assert folded == pytest.approx(50, abs=3)
    assert script.folding(shift(5, 0, 0), volume) == 0


def test_inconsistency_is_the_way_that_is_left(script):
    assert script.inconsistency(shift(3, 0, 0), shift(-3, 0, 0), mask()) == pytest.approx(0)
    assert script.inconsistency(shift(3, 0, 0), shift(0, 4, 0), mask()) == pytest.approx(5)


def test_runs_are_compared(script, tmp_path):
    run = script.Run.load(write_run(tmp_path / "affine", "affine").folder)
    method = script.with_run(run, method="rigid")
    truth = shift(6, -4, 2)
    forward, inverse = method.run(scan(truth), scan())
    assert script.corner_error(forward, truth, mask()) < 2
    assert script.inconsistency(forward, inverse, mask()) < 0.01
    text = script.report(
        [["b to c", method.name, 0.5, "0", "0", "1"]], [["a to b", "rigid", method.name, 1.0, 2.0]]
    )
    assert "| affine, rigid | 0.500 |" in text
