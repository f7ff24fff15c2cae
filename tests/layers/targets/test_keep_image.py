import numpy as np
import pytest

from synthtf import Recipe
from synthtf.layers import KeepImage, RandomAffine, RandomIntensity, RandomNoise
from synthtf.testing import LayerContract, close, make_keys, run, to_arrays


class TestKeepImage(LayerContract):
    layer = KeepImage
    test_invalid_arguments = None

    def test_identity_arguments(self, ndim):
        image = self.make_inputs(ndim)[0]
        once = run(KeepImage(), (image,))
        close(run(KeepImage(), (once[0],)), once)


@pytest.mark.parametrize("ndim", [2, 3])
def test_keeps_the_image_without_the_steps_behind_it(ndim):
    labels = np.random.default_rng(0).integers(3, size=(2, *(8,) * ndim, 1)).astype("int32")
    steps = [RandomIntensity(std=0), RandomNoise(std=(0.1, 0.2))]
    inputs = {"labels": labels, "key": make_keys(2)}
    clean = Recipe(steps[:1]).build((8,) * ndim, [0, 1, 2])(inputs)["image"]
    found = Recipe([steps[0], KeepImage(), steps[1]]).build((8,) * ndim, [0, 1, 2])(inputs)
    close(to_arrays(found["clean"]), to_arrays(clean))
    assert np.abs(to_arrays(found["image"])[0] - to_arrays(clean)[0]).max() > 0.01


def test_a_target_is_moved_by_the_transforms_behind_it():
    labels = np.random.default_rng(0).integers(3, size=(2, 16, 16, 1)).astype("int32")
    intensity = RandomIntensity(std=0, background_probability=0)
    steps = [intensity, KeepImage(), RandomAffine()]
    found = Recipe(steps).build((16, 16), [0, 1, 2])({"labels": labels, "key": make_keys(2)})
    moved, image = to_arrays(found["clean"])[0], to_arrays(found["image"])[0]
    low, high = (f(moved, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose((moved - low) / np.maximum(high - low, 1e-6), image, atol=1e-5)
