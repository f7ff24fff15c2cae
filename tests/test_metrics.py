import keras
import numpy as np
import pytest

from synthtf.metrics import DiceMetric


def posteriors(labels, classes):
    """Posteriors whose most probable class is given."""
    return np.eye(classes, dtype="float32")[labels[..., 0]] * 0.5 + 0.5 / classes


def random_labels(*shape, classes=4, seed=0):
    return np.random.default_rng(seed).integers(0, classes, (*shape, 1)).astype("int32")


def hard_dice(a, b, label):
    a, b = a == label, b == label
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 7)])
def test_batches_average_over_samples(shape):
    true, pred = random_labels(5, *shape), random_labels(5, *shape, seed=1)
    metric = DiceMetric(4)
    metric.update_state(true[:3], posteriors(pred[:3], 4))
    metric.update_state(true[3:], posteriors(pred[3:], 4))
    expected = [
        np.mean([hard_dice(true[i], pred[i], label) for i in range(5)]) for label in range(4)
    ]
    np.testing.assert_allclose(metric.per_label(), expected, rtol=1e-5)
    np.testing.assert_allclose(float(metric.result()), np.mean(expected[1:]), rtol=1e-5)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_only_samples_with_the_structure_count():
    true = np.zeros((2, 4, 4, 1), "int32")
    true[0, :2, 0] = 1
    pred = true.copy()
    pred[0, 1, 0] = 0
    pred[1, 0, 0] = 1
    metric = DiceMetric(["background", "brain", "tumour"])
    metric.update_state(true, posteriors(pred, 3))
    overlap = metric.per_label()
    np.testing.assert_allclose(overlap[1], 2 / 3, rtol=1e-6)
    assert np.isnan(overlap[2])
    np.testing.assert_allclose(float(metric.result()), 2 / 3, rtol=1e-6)


def test_sample_weight_and_foreign_labels():
    true, pred = random_labels(2, 8, 8), random_labels(2, 8, 8, seed=1)
    true[0, :4], true[0, 4] = 99, -1
    metric = DiceMetric(4)
    metric.update_state(true, posteriors(pred, 4), sample_weight=[1, 0])
    expected = [hard_dice(true[0, 5:], pred[0, 5:], label) for label in range(4)]
    np.testing.assert_allclose(metric.per_label(), expected, rtol=1e-5)


def test_in_fit_and_evaluate():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    jit = keras.backend.backend() == "jax"
    metric = DiceMetric(["background", "a", "b"])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric], jit_compile=jit)
    true, pred = random_labels(3, 6, 6, classes=3), random_labels(3, 6, 6, classes=3, seed=1)
    results = model.evaluate(posteriors(pred, 3), true, batch_size=2, verbose=0, return_dict=True)
    expected = np.mean(
        [[hard_dice(t, p, label) for label in (1, 2)] for t, p in zip(true, pred, strict=True)]
    )
    np.testing.assert_allclose(results["dice"], expected, rtol=1e-5)
    assert metric.per_label().shape == (3,)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graphs")
@pytest.mark.parametrize("jit", [False, True])
def test_in_tensorflow_graphs(jit):
    import tensorflow as tf

    metric = DiceMetric(4)

    @tf.function(
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec((None, None, None, 1), "int32"),
            tf.TensorSpec((None, None, None, 4)),
        ],
    )
    def update(true, pred):
        metric.update_state(true, pred)

    true, pred = random_labels(2, 5, 6), random_labels(2, 5, 6, seed=1)
    update(true, posteriors(pred, 4))
    expected = [np.mean([hard_dice(true[i], pred[i], k) for i in (0, 1)]) for k in range(4)]
    np.testing.assert_allclose(metric.per_label(), expected, rtol=1e-5)


def test_serialization():
    for labels in (3, ["background", "left", "right"]):
        metric = DiceMetric(labels, name="overlap")
        again = keras.metrics.deserialize(keras.metrics.serialize(metric))
        assert isinstance(again, DiceMetric)
        assert again.get_config() == metric.get_config()
        assert again.num_classes == 3


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: DiceMetric(1), "labels must name or count two classes or more, received 1"),
        (lambda: DiceMetric([]), "labels must name or count two classes"),
        (
            lambda: DiceMetric(3).update_state(np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3))),
            r"received \(1, 4, 4, 3\) and \(1, 4, 4, 3\)",
        ),
        (
            lambda: DiceMetric(3).update_state(np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4, 2))),
            r"posteriors \(batch, \*spatial, 3\), received",
        ),
        (
            lambda: DiceMetric(3).update_state(np.zeros((1, 4, 1)), np.zeros((1, 4, 4, 3))),
            "expected class indices",
        ),
    ],
)
def test_refusals(function, message):
    with pytest.raises(ValueError, match=message):
        function()
