import numpy as np
import pytest
from keras import ops

from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.intensity import power
from synthtf.testing import same_bits, to_arrays


@pytest.mark.parametrize("shape", [(3,), (11, 9), (7, 5, 3, 1), (16,)])
@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos"])
def test_values_and_bits(name, shape):
    x = np.random.default_rng(0).uniform(0.1, 5, (4, *shape)).astype("float32")
    whole = to_arrays(in_whole_vectors(getattr(ops, name), x))[0]
    np.testing.assert_allclose(whole, getattr(np, name)(x), rtol=1e-5, atol=1e-6)
    for row in range(4):
        here = slice(row, row + 1)
        same_bits(to_arrays(in_whole_vectors(getattr(ops, name), x[here])), [whole[here]])


def test_power_per_sample():
    x = np.random.default_rng(0).uniform(size=(3, 5, 7, 1)).astype("float32")
    exponent = np.array([0.5, 1, 2.5], "float32")
    expected = x ** exponent[:, None, None, None]
    np.testing.assert_allclose(to_arrays(power(x, exponent))[0], expected, rtol=1e-5)


def test_power_of_zero_is_next_to_zero():
    out = to_arrays(power(np.zeros((1, 4, 1), "float32"), np.array([0.5], "float32")))[0]
    assert (out >= 0).all() and (out < 2e-6).all()
