"""The models of the package give the same on every Keras: posteriors, distances and transforms."""

import numpy as np
import pytest
from keras import tree

from synthtf.data.shipped_models import shipped_models
from synthtf.runs import Run

# Mean square of each output for an image of random numbers, on Keras 3.15.1.
EXPECTED = {
    "affine-2mm": [2.39488, 18.92704],
    "deformable-2mm": [0.0657096, 0.0632734, 0.0167654],
    "heads-1mm": [0.0263618],
    "heads-2mm": [0.0245997],
    "in-context-2d": [0.3633046],
    "strip-3mm": [91.3796],
}


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_a_model_of_the_package_gives_what_it_gave(name):
    network = Run.load(name).task_model
    rng = np.random.default_rng(0)
    shapes = [(1, *(n or 32 for n in tensor.shape[1:])) for tensor in network.inputs]
    images = [rng.random(shape).astype("float32") for shape in shapes]
    names = [tensor.name for tensor in network.inputs]
    outputs = network(dict(zip(names, images, strict=True)) if len(images) > 1 else images[0])
    means = [float(np.mean(np.square(x))) for x in tree.flatten(outputs)]
    np.testing.assert_allclose(means, EXPECTED[name], rtol=1e-3, atol=1e-6)
