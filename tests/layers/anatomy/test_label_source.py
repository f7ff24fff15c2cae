import numpy as np
import pytest

from synthtf.layers import RandomShapes, RandomSpheres, RandomVessels
from synthtf.layers.anatomy.label_source import LabelSource


@pytest.mark.parametrize(
    "layer",
    [
        RandomShapes((3, 7), size=8),
        RandomSpheres(radius=3, distance=8),
        RandomVessels(4, length=12, label_by="tree"),
        RandomVessels(4, length=12, num_levels=3, label_by="level"),
    ],
    ids=lambda layer: layer.name,
)
def test_no_label_is_above_the_largest(layer):
    canvas = np.zeros((6, 24, 20, 1), "int32")
    labels = np.asarray(layer(canvas))
    assert isinstance(layer, LabelSource)
    assert 1 < labels.max() <= layer.largest_label(canvas.shape)


def test_the_base_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="must implement `largest_label`"):
        LabelSource().largest_label((1, 8, 8, 1))
