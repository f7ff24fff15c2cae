import numpy as np
import pytest

from synthtf.layers import RandomClearedSlices
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomClearedSlices(RandomLayerContract):
    layer = RandomClearedSlices
    arguments = {"proportion": (0.3, 0.7)}
    identity_arguments = {"proportion": 0}
    num_outcomes = 10
    invalid = [
        ({"proportion": 1.2}, r"`proportion` must lie in \[0, 1\]"),
        ({"proportion": (0.5, 0.1)}, "low <= high"),
    ]


def cleared(shape, num, **arguments):
    """Which slices are cleared, of each sample along each axis."""
    layer = RandomClearedSlices(**arguments)
    image = to_arrays(layer(np.ones((num, *shape, 1), "float32"), make_keys(num)))[0][..., 0]
    axes = range(1, image.ndim)
    return [~image.any(axis=tuple(a for a in axes if a != axis)) for axis in axes], image


@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 7)])
def test_whole_slices_along_one_axis(shape):
    slices, image = cleared(shape, 40, proportion=0.4)
    assert set(np.unique(image)) == {0, 1}
    for row in range(40):
        axes = [k for k, where in enumerate(slices) if where[row].any()]
        assert len(axes) <= 1
        if axes:
            assert image[row].mean() == pytest.approx(1 - slices[axes[0]][row].mean())


def test_all_slices_of_a_proportion_of_one():
    assert not cleared((6, 6), 2, proportion=1)[1].any()


def test_proportion_and_axis_are_uniform():
    slices, image = cleared((20, 20, 20), 250, proportion=(0.1, 0.5))
    check_mean(1 - image.mean((1, 2, 3)), 0.3)
    for where in slices:
        check_mean(where.any(axis=1), 1 / 3)
