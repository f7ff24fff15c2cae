import keras
import numpy as np
import pytest
from keras import ops

from synthtf.metrics import (
    DiceMetric,
    FoldingFraction,
    folding_fraction,
    inverse_consistency_error,
    target_registration_error,
)
from synthtf.ops import affine_matrix, integrate_velocity, jacobian_determinant


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


# Registration


def array(x):
    return ops.convert_to_numpy(x)


def smooth_velocity(shape, strength, seed=0):
    """One wave along each axis, of a batch of two."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(0, 2 * np.pi, n) for n in shape], indexing="ij")
    waves = [sum(np.sin(g + rng.uniform(0, 6)) for g in grid) for _ in range(2 * len(shape))]
    field = np.stack(waves, -1).reshape(*shape, 2, len(shape))
    return strength * np.moveaxis(field, -2, 0).astype("float32")


@pytest.mark.parametrize("ndim", [2, 3])
def test_folding_fraction(ndim):
    shape = (12, 10, 8)[:ndim]
    field = np.zeros((3, *shape, ndim), "float32")
    # Along the second axis: half of the second sample shrinks to a point, the third is mirrored.
    x = np.broadcast_to(np.arange(10.0).reshape(-1, *(1,) * (ndim - 2)), shape)
    field[1, :6, ..., 1] = -x[:6]
    field[2, ..., 1] = -2 * x
    found = array(folding_fraction(field))
    np.testing.assert_allclose(found[[0, 2]], [0, 1])
    np.testing.assert_allclose(found[1], 6 / 12, atol=1 / 12)
    expected = np.mean(array(jacobian_determinant(field)) <= 0, axis=tuple(range(1, ndim + 1)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_folding_fraction_as_a_metric():
    rng = np.random.default_rng(0)
    field = rng.normal(size=(5, 8, 9, 2)).astype("float32")
    each = array(folding_fraction(field))
    metric = FoldingFraction()
    metric.update_state(None, field[:3])
    metric.update_state(np.zeros(2), field[3:])
    np.testing.assert_allclose(float(metric.result()), each.mean(), rtol=1e-5)
    assert 0 < float(metric.result()) < 1
    metric.reset_state()
    assert float(metric.result()) == 0
    metric.update_state(None, field[:2], sample_weight=[1, 3])
    np.testing.assert_allclose(float(metric.result()), (each[0] + 3 * each[1]) / 4, rtol=1e-5)


def test_folding_fraction_in_evaluate():
    inputs = keras.Input((8, 9, 2))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    jit = keras.backend.backend() == "jax"
    model.compile("sgd", "mse", metrics=[FoldingFraction()], jit_compile=jit)
    field = np.random.default_rng(0).normal(size=(3, 8, 9, 2)).astype("float32")
    results = model.evaluate(field, field, batch_size=2, verbose=0, return_dict=True)
    expected = array(folding_fraction(field)).mean()
    np.testing.assert_allclose(results["folding_fraction"], expected, rtol=1e-5)


def test_serialization_of_folding_fraction():
    metric = FoldingFraction(name="folds")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(again, FoldingFraction)
    assert again.get_config() == metric.get_config()


@pytest.mark.parametrize("shape", [(20, 16), (10, 12, 8)])
def test_target_registration_error_of_a_shift(shape):
    """In mm, from a shift of 3 and 4 voxels along the first axes."""
    ndim = len(shape)
    spacing = (2.0, 1.5, 1.0)[:ndim]
    field = np.zeros((2, *shape, ndim), "float32")
    moved = field.copy()
    moved[1, ..., :2] = 3, 4
    expected = [0, np.hypot(3 * 2.0, 4 * 1.5)]
    points = np.random.default_rng(0).uniform(0, 7, (2, 5, ndim)).astype("float32")
    for where in (None, points):
        error = target_registration_error(moved, field, where, spacing)
        np.testing.assert_allclose(array(error), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(20, 16), (10, 12, 8)])
def test_target_registration_error_of_a_rotation(shape):
    """A point at distance r from the centre moves by 2 r sin(angle / 2)."""
    ndim, angle = len(shape), 40.0
    rotation = np.zeros((1, 3 if ndim == 3 else 1), "float32")
    rotation[0, 0] = angle
    none = np.zeros((1, ndim), "float32")
    matrix = affine_matrix(none, rotation, none + 1, 0 * rotation)
    identity = np.eye(ndim + 1, dtype="float32")[None]
    centre = (np.array(shape) - 1) / 2
    # In 3D about the first axis, so that the distance is that from this axis.
    turned = slice(None) if ndim == 2 else slice(1, None)
    points = np.random.default_rng(0).uniform(0, np.array(shape) - 1, (1, 9, ndim))
    radius = np.linalg.norm((points[0] - centre)[:, turned], axis=-1)
    expected = np.mean(2 * radius * np.sin(np.deg2rad(angle / 2)))
    error = target_registration_error(matrix, identity, points, shape=shape)
    np.testing.assert_allclose(array(error), [expected], rtol=1e-4)
    # Against a field that holds still, the shape is known; and all voxels count.
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    radius = np.linalg.norm((grid - centre)[..., turned], axis=-1)
    expected = np.mean(2 * radius * np.sin(np.deg2rad(angle / 2)))
    error = target_registration_error(matrix, np.zeros((1, *shape, ndim)))
    np.testing.assert_allclose(array(error), [expected], rtol=1e-4)


def test_points_at_all_voxels_are_all_voxels():
    shape = (9, 11, 7)
    first, second = (smooth_velocity(shape, 1.0, seed) for seed in (0, 1))
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    points = np.broadcast_to(grid.reshape(1, -1, 3), (2, grid.size // 3, 3)).astype("float32")
    expected = array(target_registration_error(first, second, spacing=2))
    found = array(target_registration_error(first, second, points, spacing=2))
    assert (expected > 1).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_coarse_fields_are_linear_between_their_points():
    """A field on every second voxel, of a linear displacement, is the full one."""
    ramp = np.stack(np.meshgrid(np.arange(9.0), np.arange(13.0), indexing="ij"), -1)[None] * 0.3
    points = np.random.default_rng(0).uniform(0, 8, (1, 6, 2))
    for where in (None, points):
        error = target_registration_error(ramp[:, ::2, ::3], ramp, where, shape=(9, 13))
        np.testing.assert_allclose(array(error), 0, atol=1e-5)
        assert array(target_registration_error(ramp, 0 * ramp, where))[0] > 1


@pytest.mark.parametrize("shape", [(40, 36), (20, 24, 28)])
def test_inverse_consistency(shape):
    velocity = smooth_velocity(shape, 0.8)
    forward, backward = integrate_velocity(velocity), integrate_velocity(-velocity)
    size = array(target_registration_error(forward, 0 * forward, spacing=2))
    error = array(inverse_consistency_error(forward, backward, spacing=2))
    assert error.shape == (2,) and (error < 0.1 * size).all()
    assert (array(inverse_consistency_error(forward, 0 * forward, spacing=2)) == size).all()
    # Adding the fields would only be right for small ones.
    assert (error < array(inverse_consistency_error(forward, -forward, spacing=2))).all()


def test_inverse_consistency_of_matrices():
    matrix = np.array([[[0.9, -0.2, 3], [0.1, 1.1, -2], [0, 0, 1]]], "float32")
    inverse = np.linalg.inv(matrix)
    error = inverse_consistency_error(matrix, inverse, shape=(20, 30))
    np.testing.assert_allclose(array(error), 0, atol=1e-4)
    shift = np.eye(3, dtype="float32")[None]
    shift[0, :2, 2] = 3, 4
    error = inverse_consistency_error(shift, shift, spacing=0.5, shape=(20, 30))
    np.testing.assert_allclose(array(error), 5, rtol=1e-5)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: DiceMetric(1), "`labels` must be the names of two .* Received: labels=1"),
        (lambda: DiceMetric([]), "`labels` must be the names of two or more"),
        (lambda: DiceMetric(True), "`labels` must be one number"),
        (
            lambda: DiceMetric(3).update_state(np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3))),
            r"Received: y_true with shape \(1, 4, 4, 3\), y_pred with shape \(1, 4, 4, 3\)",
        ),
        (
            lambda: DiceMetric(3).update_state(np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4, 2))),
            r"`y_pred` posteriors \(batch, \*spatial, 3\)\. Received",
        ),
        (
            lambda: DiceMetric(3).update_state(np.zeros((1, 4, 1)), np.zeros((1, 4, 4, 3))),
            "`y_true` must be class indices",
        ),
        (lambda: folding_fraction(np.zeros((1, 4, 4, 3))), "must be a matrix .* or a field"),
        (
            lambda: target_registration_error(np.eye(3)[None], np.eye(3)[None]),
            "`shape` must be given for two matrices",
        ),
        (
            lambda: target_registration_error(np.eye(4)[None], np.zeros((1, 5, 5, 2))),
            "must be a matrix",
        ),
        (
            lambda: target_registration_error(*np.zeros((2, 1, 5, 5, 2)), np.zeros((1, 9, 3))),
            r"`points` must have the shape \(batch, num, 2\). Received: .*\(1, 9, 3\)",
        ),
        (
            lambda: target_registration_error(*np.zeros((2, 1, 5, 5, 2)), spacing=(1, 1, 1)),
            "`spacing` must be a number or one per axis",
        ),
        (
            lambda: inverse_consistency_error(*np.zeros((2, 1, 5, 5, 2)), spacing=0),
            "`spacing` must be positive",
        ),
    ],
)
def test_refusals(function, message):
    with pytest.raises(ValueError, match=message):
        function()
