import numpy as np
import pytest

from synthtf import Recipe
from synthtf.layers import KeepGain, RandomBiasField, RandomIntensity, RandomNoise
from synthtf.testing import LayerContract, close, make_keys, run, to_arrays


class TestKeepGain(LayerContract):
    layer = KeepGain
    invalid = [({"of": ""}, "`of` must be the name"), ({"of": 3}, "`of` must be the name")]

    def test_identity_arguments(self, ndim):
        """A field of one everywhere has a logarithm of zero."""
        ones = np.ones_like(self.make_inputs(ndim)[0])
        close(run(KeepGain(), (ones,)), [0 * ones])


def test_keeps_the_field_that_the_image_was_multiplied_by():
    labels = np.ones((2, 16, 16, 1), "int32")
    steps = [
        RandomIntensity(mean=(0.5, 1), std=0),
        RandomBiasField(form="exponential", std=0.3),
        KeepGain(),
    ]
    recipe = Recipe(steps)
    found = recipe.build((16, 16), [0, 1])({"labels": labels, "key": make_keys(2)})
    gain = np.exp(to_arrays(found["log_gain"])[0])
    image = to_arrays(found["image"])[0]
    low, high = (f(gain, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose((gain - low) / (high - low), image, atol=1e-5)
    np.testing.assert_allclose(np.log(low), -np.log(high), atol=1e-5)


def test_needs_the_step_before_it():
    with pytest.raises(ValueError, match="no step before it has the name `bias`"):
        Recipe([RandomIntensity(), RandomNoise(), KeepGain()])
