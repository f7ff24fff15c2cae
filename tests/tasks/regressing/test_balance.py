import keras
import numpy as np
import pytest
from keras import ops

from synthtf.losses import DiceCrossEntropy, SoftDice
from synthtf.tasks.regressing.balance import EqualGradients, EqualMagnitudes, LabelLoss


@pytest.mark.parametrize("ndim", [2, 3])
def test_heads_pull_equally_hard_at_shared_features(ndim):
    """One of two losses is a thousand times the other: the features of both move alike."""
    image = keras.Input((*(4,) * ndim, 1))
    shared = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones", name="shared")(image)
    first, second = EqualGradients(2)(shared)
    outputs = keras.layers.Concatenate()([first[..., :1], 1000.0 * second[..., 1:]])
    model = keras.Model(image, outputs)
    model.compile(keras.optimizers.SGD(0.01), lambda _, found: ops.mean(found), jit_compile=False)
    x = np.random.default_rng(0).uniform(size=(2, *(4,) * ndim, 1)).astype("float32")
    np.testing.assert_allclose(model(x)[..., 1], 1000 * model(x)[..., 0], rtol=1e-5)
    before = np.array(model.get_layer("shared").get_weights()[0])
    model.fit(x, x, batch_size=2, verbose=0)
    moved = (before - model.get_layer("shared").get_weights()[0]).ravel()
    assert moved[0] > 0
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-4)
    again = keras.Model.from_config(model.get_config())
    np.testing.assert_allclose(again(x).shape, model(x).shape)


def test_losses_of_any_size_count_alike_and_the_sum_stays():
    """Each loss is a weight of its own: a step changes each by the same share of its size."""
    scales = np.array([[1.0, 1e-3, 20.0]], "float32")
    inputs = keras.Input((1,))
    own = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, EqualMagnitudes()(own(inputs)))
    own.set_weights([scales])
    x = np.ones((2, 1), "float32")
    np.testing.assert_allclose(model(x), np.full(2, scales.sum()), rtol=1e-5)
    model.compile(keras.optimizers.SGD(1e-6), lambda _, found: ops.mean(found), jit_compile=False)
    before = model(x)
    model.fit(x, x, batch_size=2, verbose=0)
    moved = scales - own.get_weights()[0]
    np.testing.assert_allclose((moved * scales)[0, :2], 1e-6 * scales.mean(), rtol=0.1)
    assert float(model(x)[0]) < float(before[0])


def posteriors(shape, values):
    weights = np.random.default_rng(0).uniform(size=(*shape, len(values))).astype("float32")
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 6, 5, 4)])
def test_labels_are_compared_by_dice_and_cross_entropy_or_some_by_dice(shape):
    values = (0, 2, 41, 77)
    labels = np.random.default_rng(1).choice([0, 2, 41, 77, 99], (*shape, 1)).astype("int32")
    found = posteriors(shape, values)
    wanted = np.stack([labels[..., 0] == value for value in values], -1).astype("float32")
    wanted[..., 0] += labels[..., 0] == 99
    np.testing.assert_allclose(
        LabelLoss(values)(labels, found), DiceCrossEntropy().call(wanted, found), rtol=1e-5
    )
    some = LabelLoss(values, only=(2, 77))
    expected = SoftDice().call(wanted[..., [1, 3]], found[..., [1, 3]])
    np.testing.assert_allclose(some(labels, found), expected, rtol=1e-5)
    again = LabelLoss.from_config(some.get_config())
    np.testing.assert_allclose(again(labels, found), expected, rtol=1e-5)
