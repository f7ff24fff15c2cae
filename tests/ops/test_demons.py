import keras
import numpy as np
import pytest
from keras import ops

from synthtf import xla
from synthtf.ops import demons_step
from synthtf.ops.demons import _solve

SHAPES = {2: (20, 24), 3: (14, 12, 16)}


def blobs(ndim, shift):
    """Two maps of a Gaussian each, two samples that differ."""
    grid = np.moveaxis(np.indices(SHAPES[ndim]), 0, -1) - (np.array(SHAPES[ndim]) - 1) / 2
    samples = []
    for size in (10.0, 20.0):
        distances = [np.square(grid - shift - offset).sum(-1) for offset in (0, 1.5)]
        samples.append(np.exp(-np.stack(distances, -1) / size))
    return np.stack(samples).astype("float32")


def rounds(moving, fixed, ndim, count=12, smoothness=1.0):
    velocity = np.zeros((*moving.shape[:-1], ndim), "float32")
    for _ in range(count):
        velocity = demons_step(moving, fixed, velocity, np.full(len(moving), smoothness))
    return ops.convert_to_numpy(velocity)


@pytest.mark.parametrize("ndim", [2, 3])
def test_brings_maps_together(ndim):
    """A Gaussian two voxels further along the first axis: there, the velocity is two."""
    shift = np.eye(ndim)[0] * 2
    found = rounds(blobs(ndim, shift), blobs(ndim, 0 * shift), ndim)
    centre = tuple(n // 2 for n in SHAPES[ndim])
    for sample in found:
        assert 1.3 < sample[centre][0] < 2.5
        assert np.abs(sample[centre][1:]).max() < 0.5


@pytest.mark.parametrize("ndim", [2, 3])
def test_swapping_negates(ndim):
    moving, fixed = blobs(ndim, 1.0), blobs(ndim, -0.5)
    forward, backward = rounds(moving, fixed, ndim, 3), rounds(fixed, moving, ndim, 3)
    np.testing.assert_allclose(forward, -backward, atol=1e-5)


def test_a_graph_finds_the_same(monkeypatch):
    """There, XLA compiles some parts."""
    monkeypatch.setattr(xla, "LARGE", 1)
    inputs = [blobs(3, 1.0), blobs(3, 0.0), np.zeros((2, *SHAPES[3], 3), "float32"), np.ones(2)]
    known = ops.convert_to_numpy(demons_step(*inputs))
    symbols = [keras.Input(x.shape[1:]) for x in inputs]
    step = keras.layers.Lambda(lambda x: demons_step(*x), known.shape[1:])
    model = xla.choose(keras.Model(symbols, step(symbols)))
    np.testing.assert_allclose(model.predict_on_batch(inputs), known, atol=1e-4)


def test_samples_do_not_matter_to_each_other():
    moving, fixed = blobs(2, 1.0), blobs(2, 0.0)
    together = rounds(moving, fixed, 2, 3)
    for n in range(2):
        alone = rounds(moving[n : n + 1], fixed[n : n + 1], 2, 3)
        np.testing.assert_allclose(together[n], alone[0], atol=1e-5)


def test_steps_are_short_and_flat_maps_make_none():
    moving, fixed = blobs(2, 4.0) * 100, blobs(2, 0.0) * 100
    assert np.linalg.norm(rounds(moving, fixed, 2, 1, 0.01), axis=-1).max() <= 0.5001
    flat = np.ones_like(moving)
    np.testing.assert_array_equal(rounds(flat, flat, 2, 1), 0)


@pytest.mark.parametrize("size", [2, 3])
def test_solves(size):
    rng = np.random.default_rng(size)
    root = rng.standard_normal((5, size, size))
    matrices = root @ root.transpose(0, 2, 1) + np.eye(size)
    values = rng.standard_normal((5, size))
    rows = [[matrices[:, i, j] for j in range(size)] for i in range(size)]
    found = np.stack(_solve(rows, [values[:, i] for i in range(size)]), -1)
    np.testing.assert_allclose(found, np.linalg.solve(matrices, values[..., None])[..., 0])
