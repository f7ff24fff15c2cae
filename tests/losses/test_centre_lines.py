import keras
import numpy as np
import pytest
from keras import ops

from synthtf.evaluation import centre_line_dice
from synthtf.losses import DiceCentreLine, SoftDice


def tubes(ndim):
    """Two crossing tubes, and the same with a gap."""
    whole = np.zeros((20,) * ndim, bool)
    whole[8:11, 7:10] = True
    whole[2:18, 8:11] |= True
    gap = whole.copy()
    gap[12:15] = False
    return whole, gap


def one_hot(mask):
    return np.eye(2, dtype="float32")[mask.astype(int)][None]


@pytest.mark.parametrize("ndim", [2, 3])
def test_of_masks_it_is_that_of_the_metric(ndim):
    whole, gap = tubes(ndim)
    loss = DiceCentreLine(weight=1, iterations=10, smooth=1e-6)
    expected = 1 - centre_line_dice(gap, whole)
    assert expected > 0.01
    np.testing.assert_allclose(float(loss(one_hot(whole), one_hot(gap))), expected, atol=1e-4)
    assert float(loss(one_hot(whole), one_hot(whole))) < 1e-5


def test_the_weight_mixes_it_with_dice():
    whole, gap = map(one_hot, tubes(2))
    alone, dice = float(DiceCentreLine(1)(whole, gap)), float(SoftDice()(whole, gap))
    np.testing.assert_allclose(float(DiceCentreLine(0)(whole, gap)), dice, rtol=1e-6)
    mixed = float(DiceCentreLine(0.3)(whole, gap))
    np.testing.assert_allclose(mixed, 0.7 * dice + 0.3 * alone, rtol=1e-5)


def test_it_is_finite_without_tubes_and_has_a_gradient(gradient):
    empty = one_hot(np.zeros((8, 8), bool))
    assert float(DiceCentreLine()(empty, empty)) < 1e-6
    whole = one_hot(tubes(2)[0])
    logits = np.zeros_like(whole)
    slope = gradient(lambda z: ops.sum(DiceCentreLine().call(whole, ops.softmax(z))), logits)
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_config_round_trip():
    loss = DiceCentreLine(0.2, 3, 0.5, name="lines")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config() and again.iterations == 3


@pytest.mark.parametrize("bad", [{"weight": 2}, {"iterations": -1}, {"smooth": 0}])
def test_arguments_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
        DiceCentreLine(**bad)
