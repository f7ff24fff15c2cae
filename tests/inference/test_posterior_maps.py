import numpy as np
import pytest

from synthtf.inference.conform import ConformedGrid
from synthtf.inference.posterior_maps import entropy, restore_all, restore_sum

SHAPE = (4, 5, 3)
BOX = (slice(1, 3), slice(0, 5), slice(0, 3))
AFFINE = np.diag([-1.0, 1.0, 1.0, 1.0])
GRID = ConformedGrid.of(SHAPE, AFFINE, (1.0, 1.0, 1.0))


@pytest.fixture
def posteriors():
    values = np.random.default_rng(0).uniform(size=(2, 5, 3, 4)).astype(np.float32)
    values[0, 0, 0], values[0, 0, 1], values[1, 4, 2] = (1, 0, 0, 0), (1, 1, 1, 1), (0, 2, 2, 0)
    return values / values.sum(-1, keepdims=True)


def gain(index, part):
    return np.random.default_rng(index).uniform(0.5, 2, (2, 5, 3)).astype(np.float32)[part]


@pytest.mark.parametrize("factors", [None, gain])
def test_maps_are_those_of_the_posteriors(posteriors, factors):
    every = restore_all(GRID, posteriors, BOX, factors)
    np.testing.assert_allclose(every.sum(-1), 1, atol=1e-5)
    plogp = np.where(every > 0, every * np.log(np.where(every > 0, every, 1)), 0)
    found = entropy(GRID, posteriors, BOX, factors)
    np.testing.assert_allclose(found, -plogp.sum(-1) / np.log(4), atol=1e-4)
    both = restore_sum(GRID, posteriors, BOX, factors, [1, 3])
    np.testing.assert_allclose(both, every[..., 1] + every[..., 3], atol=1e-5)


def test_entropy_is_0_where_sure_and_1_where_all_are_alike(posteriors):
    found = entropy(GRID, posteriors, BOX, None)[::-1]  # RAS
    assert found.shape == SHAPE and found.dtype == np.float32
    assert found[1, 0, 0] == 0 and found[1, 0, 1] == pytest.approx(1)
    assert found[2, 4, 2] == pytest.approx(0.5)
    assert not found[0].any() and not found[3].any()  # background, outside the box
