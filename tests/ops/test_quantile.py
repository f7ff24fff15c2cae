import numpy as np
import pytest

from synthtf.ops.quantile import sampled_quantile
from synthtf.testing import to_arrays


@pytest.mark.parametrize("shape", [(13, 17), (9, 8, 7)])
@pytest.mark.parametrize("above_zero", [True, False])
def test_equals_numpy(shape, above_zero):
    x = np.random.default_rng(0).normal(size=(3, *shape, 2)).astype("float32")
    share = np.array([0, 0.31, 1], "float32")
    out = to_arrays(sampled_quantile(x, [share], above_zero))[0]
    assert out.shape == (3, *(1,) * len(shape), 2)
    for row in range(3):
        for c in range(2):
            values = x[row, ..., c]
            values = values[values > 0] if above_zero else values
            expected = np.quantile(values, share[row])
            np.testing.assert_allclose(out[row, ..., c].item(), expected, atol=1e-6)


def test_large_volumes_are_sampled_regularly():
    x = np.random.default_rng(1).uniform(size=(1, 70, 70, 70, 1)).astype("float32")
    out = to_arrays(sampled_quantile(x, [np.array([0.5], "float32")]))[0]
    assert out.item() == pytest.approx(np.median(x[:, ::3, ::3, ::3]), abs=1e-6)
