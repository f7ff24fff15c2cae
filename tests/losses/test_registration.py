import numpy as np
import pytest
from keras import ops

from synthtf.losses import bending_energy, dice_loss, gradient_loss, landmark_loss


def array(x):
    return ops.convert_to_numpy(x)


def grids(shape):
    return np.meshgrid(*[np.arange(n, dtype="float32") for n in shape], indexing="ij")


@pytest.mark.parametrize("ndim", [2, 3])
def test_oracles(shared, ndim):
    z = np.load(shared(f"oracles/geometry_{ndim}d.npz"))
    one_hot, prob, field = z["onehot"], z["prob"], z["displacement"][None]
    close = {"atol": 1e-4, "rtol": 1e-4}
    np.testing.assert_allclose(array(dice_loss(one_hot, prob)).mean(), z["vxm_dice_loss"], **close)
    np.testing.assert_allclose(array(gradient_loss(field, "l1")), z["grad_l1"], **close)
    np.testing.assert_allclose(array(gradient_loss(field, "l2")), z["grad_l2"], **close)


def test_gradient_loss_of_a_ramp():
    field = np.zeros((2, 5, 6, 2), "float32")
    field[1, ..., 0] = 3 * np.arange(6)
    # One of two axes and one of two components changes, by 3 per voxel.
    np.testing.assert_allclose(array(gradient_loss(field, "l1")), [0, 3 / 4])
    np.testing.assert_allclose(array(gradient_loss(field)), [0, 9 / 4])


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 5)])
def test_bending_energy_of_a_quadratic_field(shape):
    """Of x² and of x·y along each axis the second derivatives are 2, and twice 1."""
    ndim, (x, y, *_) = len(shape), grids(shape)
    field = np.zeros((3, *shape, ndim), "float32")
    field[0, ..., 0] = x**2
    field[1, ..., 1] = x * y
    field[2, ..., 0], field[2, ..., 1] = x**2 - 3 * y**2, 5 * x * y + 7 * x + 2
    expected = np.array([4, 2, 4 + 36 + 2 * 25]) / ndim**3
    np.testing.assert_allclose(array(bending_energy(field)), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 5)])
def test_bending_energy_of_an_affine_field_is_zero(shape):
    field = np.stack([sum((k + 1) * g for g in grids(shape)) for k in range(len(shape))], -1)
    np.testing.assert_allclose(array(bending_energy(field[None])), 0, atol=1e-6)
    assert array(gradient_loss(field[None])) > 1


def test_bending_energy_of_a_sine():
    n, cycles = 256, 4
    x = np.arange(n) * 2 * np.pi * cycles / n
    field = np.zeros((1, n, 3, 2), "float32")
    field[0, ..., 0] = np.sin(x)[:, None]
    expected = (2 * np.pi * cycles / n) ** 4 / 2 / 2 / 4
    np.testing.assert_allclose(array(bending_energy(field)), expected, rtol=0.02)


@pytest.mark.parametrize("ndim", [2, 3])
def test_each_sample_has_its_own_loss(ndim):
    rng = np.random.default_rng(0)
    field = rng.normal(size=(2, *(5, 6, 7)[:ndim], ndim)).astype("float32")
    for loss in (bending_energy, gradient_loss):
        both = array(loss(field))
        assert both.shape == (2,)
        for i in range(2):
            np.testing.assert_allclose(array(loss(field[i : i + 1])), both[i : i + 1], rtol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_are_right(gradient, ndim):
    """Euler: of a function of degree k, the slope along the point is k times its value."""
    shape = (1, *(5, 4, 6)[:ndim], ndim)
    field = np.random.default_rng(0).normal(size=shape).astype("float32")
    for loss, degree in (
        (bending_energy, 2),
        (gradient_loss, 2),
        (lambda x: gradient_loss(x, "l1"), 1),
    ):
        slope = gradient(lambda x, f=loss: ops.sum(f(x)), field)
        np.testing.assert_allclose(np.sum(slope * field), degree * array(loss(field)), rtol=1e-4)
        at_zero = gradient(lambda x, f=loss: ops.sum(f(x)), 0 * field)
        assert np.isfinite(at_zero).all() and (degree == 1 or not at_zero.any())


def test_half_precision_is_summed_in_float32():
    field = ops.cast(np.full((1, 9, 9, 2), 300.0, "float32"), "float16")
    for loss in (bending_energy(field), gradient_loss(field)):
        assert array(loss).dtype == "float32" and np.isfinite(array(loss)).all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: gradient_loss(np.zeros((1, 3, 3, 2)), "l3"), "`penalty` must be one of"),
        (lambda: dice_loss(np.zeros((1, 3)), np.zeros((1, 3))), r"same shape \(batch, \*spatial"),
        (
            lambda: bending_energy(np.zeros((1, 2, 3, 2))),
            r"three voxels along each axis. Received: displacement with spatial shape \(2, 3\)",
        ),
    ],
)
def test_refusals(function, message):
    with pytest.raises(ValueError, match=message):
        function()


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4)])
def test_landmark_loss_is_the_angle_between_maps_and_the_way_between_centres(shape):
    structures = np.zeros((2, *shape, 3), "float32")
    structures[0, :2, ..., 0] = structures[0, 2:4, ..., 1] = 1
    features = np.array([5.0, 1.0, 2.0], "float32") * structures
    np.testing.assert_allclose(array(landmark_loss(structures, features)), [0, 0], atol=2e-3)
    # The first feature spills over twice as many voxels, which moves its centre by two.
    features[0, 4:6, ..., 0] = 5
    expected = [(1 - np.sqrt(0.5) + 2) / 2, 0]
    np.testing.assert_allclose(array(landmark_loss(structures, features)), expected, atol=2e-3)
