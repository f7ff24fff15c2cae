import keras
import numpy as np
import pytest

from synthtf.ops.arrays import takes_arrays


def kinds(*values, name=None):
    return [type(v) for v in keras.tree.flatten((values, name))]


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_arrays_become_tensors_where_they_do_not_mix(monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    array, tensor = np.ones(2), type(keras.ops.ones(2))
    found = takes_arrays(kinds)(array, [array, None], 3, name=array)
    expected = np.ndarray if backend == "tensorflow" else tensor
    assert found == [expected, expected, type(None), int, expected]
