import numpy as np
import pytest

from synthtf.layers import MinMaxNormalize
from synthtf.testing import LayerContract, close, run, to_arrays


class TestMinMaxNormalize(LayerContract):
    layer = MinMaxNormalize
    test_invalid_arguments = None

    def test_identity_arguments(self, ndim):
        image = self.make_inputs(ndim)[0]
        once = run(MinMaxNormalize(), (image,))
        close(run(MinMaxNormalize(), (once[0],)), once)


@pytest.mark.parametrize("ndim", [2, 3])
def test_each_sample_and_channel_reaches_both_ends(ndim):
    generator = np.random.default_rng(0)
    image = generator.normal(50, 20, (3, *(6,) * ndim, 2)).astype("float32")
    out = to_arrays(MinMaxNormalize()(image))[0]
    axes = tuple(range(1, ndim + 1))
    assert (out.min(axes) == 0).all() and out.max() <= 1
    np.testing.assert_allclose(out.max(axes), 1, atol=1e-6)
    low, high = image.min(axes, keepdims=True), image.max(axes, keepdims=True)
    np.testing.assert_allclose(out, (image - low) / (high - low), rtol=1e-5)


def test_constant_image_becomes_zero():
    assert not to_arrays(MinMaxNormalize()(np.full((1, 4, 4, 1), 3.0)))[0].any()
