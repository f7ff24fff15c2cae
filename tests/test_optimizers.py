import keras
import numpy as np
import pytest

from synthtf.networks import UNetConfig, unet
from synthtf.optimizers import ConvMuon, orthogonalize


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def step(optimizer, variables, gradients):
    """Apply gradients, and give how the variables change."""
    before = [np.array(v) for v in variables]
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    return [np.array(v) - b for v, b in zip(variables, before, strict=True)]


@pytest.mark.parametrize("shape", [(40, 8), (8, 40), (16, 16)])
def test_singular_values_come_close_to_one(shape):
    u, s, v = np.linalg.svd(gaussian(*shape), full_matrices=False)
    found = np.array(orthogonalize(keras.ops.convert_to_tensor(u * s @ v)))
    values = np.linalg.svd(found, compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.25
    # The singular vectors stay: u' x v is diagonal.
    inner = u.T @ found @ v.T
    np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-3)


def test_zeros_stay_zeros():
    assert not np.array(orthogonalize(keras.ops.zeros((4, 6)))).any()


@pytest.mark.parametrize("ndim", [2, 3])
def test_kernels_change_by_the_learning_rate_whatever_the_gradient(ndim):
    shape = (*(3,) * ndim, 8, 16)
    for size in (1e-4, 1.0, 1e3):
        kernel = keras.Variable(gaussian(*shape))
        change = step(ConvMuon(0.01), [kernel], [size * gaussian(*shape, seed=1)])[0]
        assert 0.7 * 0.002 < np.sqrt(np.mean(change**2)) < 1.2 * 0.002


def test_momentum_is_nesterov():
    """Of a constant gradient g, the second step follows g + m (g + m g)."""
    shape = (3, 3, 4, 8)
    kernel = keras.Variable(np.zeros(shape, "float32"))
    first, second = gaussian(*shape), gaussian(*shape, seed=1)
    optimizer = ConvMuon(0.01, momentum=0.5)
    step(optimizer, [kernel], [first])
    change = step(optimizer, [kernel], [second])[0]
    ahead = second + 0.5 * (second + 0.5 * first)
    matrix = keras.ops.convert_to_tensor(ahead.reshape(-1, 8))
    expected = -0.01 * 0.2 * 36**0.5 * np.array(orthogonalize(matrix)).reshape(shape)
    np.testing.assert_allclose(change, expected, atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [(16,), (8, 16), (1, 1, 8, 16), (3, 3, 1, 16), (3, 3, 8, 2)],
    ids=["bias", "matrix", "one voxel", "one channel", "few outputs"],
)
def test_all_else_learns_by_adam(shape):
    mine, adams = keras.Variable(gaussian(*shape)), keras.Variable(gaussian(*shape))
    muon, adam = ConvMuon(0.01), keras.optimizers.Adam(0.01)
    for seed in (1, 2):
        change = step(muon, [mine], [gaussian(*shape, seed=seed)])[0]
        expected = step(adam, [adams], [gaussian(*shape, seed=seed)])[0]
        np.testing.assert_allclose(change, expected, atol=1e-7)


def test_options_survive():
    optimizer = ConvMuon(0.02, momentum=0.8, clipnorm=1.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert type(again) is ConvMuon


@pytest.mark.parametrize("momentum", [-0.1, 1])
def test_refuses_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match=r"`momentum` must lie in \[0, 1\)"):
        ConvMuon(momentum=momentum)


def test_a_network_learns():
    image = gaussian(4, 32, 32, 1)
    target = np.eye(2, dtype="float32")[(image[..., 0] > 0.5).astype(int)]
    keras.utils.set_random_seed(1)
    model = unet(2, 2, UNetConfig(features=8, levels=2))
    model.compile(ConvMuon(5e-3), "categorical_crossentropy", jit_compile=False)
    losses = model.fit(image, target, epochs=30, batch_size=4, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
