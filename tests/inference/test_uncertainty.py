import numpy as np
import pytest

from synthtf.inference.uncertainty import Spread, volume_intervals

SHAPE = (2, 5, 1)


def posteriors_of(values):
    second = np.reshape(np.asarray(values, np.float32), SHAPE)
    return np.stack([1 - second, second], axis=-1)


def test_an_interval_is_between_the_sure_and_the_possible_volume():
    found = volume_intervals(posteriors_of([1, 0.95, 0.6, 0.5, 0.2, 0.15, 0.05, 0, 0, 0]), None, 8)
    assert found == [pytest.approx((4 * 8, 8 * 8)), pytest.approx((2 * 8, 6 * 8))]


@pytest.mark.parametrize("level, low, high", [(0.05, 0, 0.5), (0.95, 9.5, 10), (1, 10, 10)])
def test_the_soft_volume_is_always_within(level, low, high):
    """Also where no voxel is sure or possible."""
    found = volume_intervals(posteriors_of([level] * 10), None, 1)[1]
    assert found == pytest.approx((low, high))


def test_two_predictions_widen_an_interval():
    first, second = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    second[0, 0] = 0
    spread = Spread()
    for channel, sign in ((0, -1), (1, 1)):
        spread.see(channel, sign * (second - first))
    mean = posteriors_of((first + second) / 2)
    assert volume_intervals(mean, spread, 2)[1] == pytest.approx((0, 18))
    agreed = Spread()
    agreed.see(1, np.zeros(SHAPE, np.float32))
    sure = posteriors_of([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert volume_intervals(sure, agreed, 2)[1] == pytest.approx((4, 4))


def test_variance_of_two_predictions():
    """Both certain of different classes: 1/2; alike: 0."""
    spread = Spread()
    a, b = (np.array([[[1.0, 0.3]]], np.float32), np.array([[[0.0, 0.3]]], np.float32))
    spread.see(0, a - b)
    spread.see(1, b - a)
    np.testing.assert_allclose(spread.variance, [[[0.5, 0]]])
    expected = np.var([a, b], axis=0) + np.var([1 - a, 1 - b], axis=0)
    np.testing.assert_allclose(spread.variance, expected)


def test_spread_of_several_networks():
    """All predictions count alike, those on the mirror image and those of other networks."""
    values = np.random.default_rng(0).dirichlet(np.ones(3), (2, 2, 3, 4, 5)).astype(np.float32)
    spread = Spread()
    for first, second in values:
        own = Spread()
        for channel in range(3):
            own.see(channel, first[..., channel] - second[..., channel])
        spread.see_member((first + second) / 2, own)
    mean = values.mean(axis=(0, 1))
    spread.join(mean)
    expected = values.var(axis=(0, 1)).sum(-1)
    np.testing.assert_allclose(spread.variance, expected, atol=1e-6)
    volumes = values.sum(axis=(2, 3, 4), dtype=np.float64)
    largest = np.abs(volumes - volumes.mean((0, 1))).max((0, 1))
    np.testing.assert_allclose([spread.shifts[c] for c in range(3)], largest, rtol=1e-4)
