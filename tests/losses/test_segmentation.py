import keras
import numpy as np
import pytest
from keras import ops

from synthtf.losses import DiceCrossEntropy, LogitsL2, SoftDice, dice_loss

LOSSES = [
    SoftDice(include_background=False, smooth=1e-3, name="a"),
    DiceCrossEntropy(0.25, include_background=False, smooth=1e-4, reduction="sum"),
    SoftDice(class_weights=(1, 2, 0.5, 4)),
    LogitsL2(3.0),
]


def sample(ndim, batch=2, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    shape = (5, 6, 4)[:ndim]
    one_hot = np.eye(classes, dtype="float32")[rng.integers(0, classes, (batch, *shape))]
    logits = rng.normal(size=one_hot.shape).astype("float32")
    return one_hot, logits, softmax(logits)


def softmax(logits):
    values = np.exp(logits)
    return values / values.sum(-1, keepdims=True)


def array(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("background", [True, False])
def test_soft_dice(ndim, background):
    t, _, p = sample(ndim)
    axes = tuple(range(1, ndim + 1))
    dice = 2 * (t * p).sum(axes) / ((t**2).sum(axes) + (p**2).sum(axes))
    expected = 1 - dice[:, 0 if background else 1 :].mean(-1)
    loss = SoftDice(background)
    np.testing.assert_allclose(array(loss.call(t, p)), expected, atol=1e-6)
    np.testing.assert_allclose(array(loss(t, p)), expected.mean(), atol=1e-6)
    np.testing.assert_allclose(array(loss(t, t)), 0, atol=1e-6)


@pytest.mark.parametrize("background", [True, False])
def test_classes_count_by_their_weights(background):
    t, _, p = sample(2)
    weights = np.array([1, 8, 0.5, 2])
    dice = 2 * (t * p).sum((1, 2)) / ((t**2).sum((1, 2)) + (p**2).sum((1, 2)))
    first = 0 if background else 1
    expected = 1 - np.average(dice[:, first:], axis=-1, weights=weights[first:])
    loss = SoftDice(background, class_weights=weights)
    np.testing.assert_allclose(array(loss.call(t, p)), expected, atol=1e-6)
    entropy = array(DiceCrossEntropy().call(t, p)) - array(SoftDice().call(t, p))
    both = DiceCrossEntropy(include_background=background, class_weights=weights)
    np.testing.assert_allclose(array(both.call(t, p)), expected + entropy, atol=1e-5)


def test_soft_dice_takes_partial_volumes():
    _, _, p = sample(3)
    np.testing.assert_allclose(array(SoftDice()(p, p)), 0, atol=1e-6)
    assert array(SoftDice()(p, p[::-1])) > 0.01


def test_absent_class_is_harmless(gradient):
    t, logits, p = sample(2, classes=3)
    t = np.concatenate([t, np.zeros_like(t[..., :1])], -1)
    never = np.concatenate([p, np.zeros_like(p[..., :1])], -1)
    expected = array(SoftDice().call(t[..., :3], p)) * 3 / 4
    np.testing.assert_allclose(array(SoftDice().call(t, never)), expected, atol=1e-6)
    for bias in (-20, -12, -8, -4, 0, 4):
        z = np.concatenate([logits, np.full_like(logits[..., :1], bias)], -1)
        of_absent = gradient(lambda z: 4 * ops.sum(SoftDice().call(t, ops.softmax(z))), z)
        of_rest = gradient(
            lambda z: 3 * ops.sum(SoftDice().call(t[..., :3], ops.softmax(z)[..., :3])), z
        )
        assert np.isfinite(of_absent).all()
        # Per sample at most 1, as the docstring has it.
        assert np.abs(of_absent - of_rest).sum() <= 2.001


def test_losses_leave_other_samples_alone():
    t, logits, p = sample(3)
    for loss in LOSSES:
        pred = logits if isinstance(loss, LogitsL2) else p
        both = array(loss.call(t, pred))
        assert both.shape == (2,)
        for i in range(2):
            alone = array(loss.call(t[i : i + 1], pred[i : i + 1]))
            np.testing.assert_allclose(alone, both[i : i + 1], rtol=1e-5)


def test_dice_cross_entropy():
    t, _, p = sample(3)
    entropy = -np.log((t * p).sum(-1)).mean((1, 2, 3))
    expected = array(SoftDice().call(t, p)) + 0.3 * entropy
    np.testing.assert_allclose(array(DiceCrossEntropy(0.3).call(t, p)), expected, rtol=1e-5)
    np.testing.assert_allclose(
        array(DiceCrossEntropy(0).call(t, p)), array(SoftDice().call(t, p)), rtol=1e-6
    )


def test_logits_l2():
    t, z, _ = sample(3)
    weight = 1 - t[..., 0]
    error = ((z - np.where(t > 0, 5, -5)) ** 2).mean(-1)
    expected = (weight * error).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    np.testing.assert_allclose(array(LogitsL2().call(t, z)), expected, rtol=1e-5)
    np.testing.assert_allclose(array(LogitsL2(4).call(t, 8 * t - 4)), 0, atol=1e-6)
    background = np.zeros_like(t)
    background[..., 0] = 1
    np.testing.assert_allclose(array(LogitsL2().call(background, 0 * z)), 25, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_serialization(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    t, z, _ = sample(2)
    np.testing.assert_array_equal(array(again(t, z)), array(loss(t, z)))


def test_half_precision_is_summed_in_float32():
    shape = (1, 40, 40, 40, 2)
    t = np.zeros(shape, "float32")
    t[..., 1] = 1
    p = ops.cast(np.full(shape, 0.5, "float32"), "bfloat16")
    for loss in (SoftDice().call(t, p), DiceCrossEntropy().call(t, p), dice_loss(t, p)):
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    expected = 1 - 0.5 * (2 * 0.5 / 1.25)
    np.testing.assert_allclose(array(SoftDice().call(t, p)), expected, rtol=1e-5)


def test_fit_in_mixed_precision():
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((None, None, 1))
        outputs = keras.layers.Conv2D(2, 1, activation="softmax")(inputs)
        model = keras.Model(inputs, outputs)
    finally:
        keras.config.set_dtype_policy("float32")
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    t = np.concatenate([x < 0, x >= 0], -1).astype("float32")
    model.compile(keras.optimizers.Adam(0.1), DiceCrossEntropy(), jit_compile=False)
    losses = model.fit(x, t, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: SoftDice(smooth=0), r"`smooth` must lie in \(0, 1e6\]. Received: smooth=0"),
        (lambda: DiceCrossEntropy(-1), "`weight` must lie in .* Received: weight=-1"),
        (lambda: DiceCrossEntropy(float("nan")), "`weight` must be finite. Received: weight=nan"),
        (lambda: SoftDice(class_weights=(1, 0)), "`class_weights` must .* Received"),
        (
            lambda: SoftDice(class_weights=(1, 2))(*sample(2)[::2]),
            "`class_weights` must have 4 values, one per class. Received: 2",
        ),
        (lambda: LogitsL2(0), "`target` must be above 0. Received: target=0"),
        (
            lambda: SoftDice()(np.zeros((1, 3, 3, 1)), np.zeros((1, 3, 3, 4))),
            r"turn label maps into one-hot first. Received: \(1, 3, 3, 1\) and \(1, 3, 3, 4\)",
        ),
        (
            lambda: SoftDice(False)(np.zeros((1, 3, 3, 1)), np.zeros((1, 3, 3, 1))),
            "`include_background` must be True for a single class",
        ),
    ],
)
def test_refusals(function, message):
    with pytest.raises(ValueError, match=message):
        function()
