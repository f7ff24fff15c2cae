import numpy as np
from keras import ops

from synthtf.ops.polar import turn


def test_agrees_with_numpy_in_all_directions():
    angle = np.concatenate([np.linspace(0, 2 * np.pi, 721)[:-1], np.arange(8) * np.pi / 4])
    x, y = (3 * np.cos(angle)).astype("float32"), (3 * np.sin(angle)).astype("float32")
    out = ops.convert_to_numpy(turn(x[None], y[None]))[0]
    expected = np.arctan2(y, x) / (2 * np.pi) % 1
    difference = np.abs(out - expected)
    assert np.minimum(difference, 1 - difference).max() < 1e-6
    assert out.min() >= 0
    assert out.max() < 1


def test_axes_and_origin():
    x, y = np.array([[1, 0, -1, 0, 0]], "float32"), np.array([[0, 1, 0, -1, 0]], "float32")
    assert ops.convert_to_numpy(turn(x, y))[0].tolist() == [0, 0.25, 0.5, 0.75, 0]
