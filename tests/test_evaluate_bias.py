"""The figures of the card of `bias`: how even white matter is, and which methods are compared."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script

from synthtf.data import Volume

sys.path.append(str(SCRIPTS))  # one script takes another's table
script = load_script("evaluate_bias")


def test_a_field_makes_what_is_even_vary():
    field = np.linspace(0.5, 1.5, 1000).reshape(10, 10, 10)
    inside = np.ones(field.shape, bool)
    assert script.variation(field, inside) == pytest.approx(field.std())
    assert script.variation(7 * field / field, inside) == pytest.approx(0)


@pytest.mark.parametrize("installed", [True, False])
def test_methods_that_are_not_there_are_left_out(monkeypatch, installed):
    scan = Volume(np.ones((4, 4, 4), np.float32), np.eye(4))
    field = SimpleNamespace(data=np.full(scan.data.shape, 2.0))
    monkeypatch.setattr(script, "correct", lambda *_: SimpleNamespace(field=field))
    monkeypatch.setattr(script, "by_n4", lambda _: field.data / 4 if installed else None)
    found = {name: x[0, 0, 0] for name, x in script.methods(scan, None).items()}
    assert found == {"as it is": 1, **({"N4": 0.5} if installed else {}), "network": 2}
