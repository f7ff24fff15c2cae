"""SynthStrip's weights: the network of the file, and files that do not fit."""

import numpy as np
import pytest
from published_weights import strip_state
from scipy.ndimage import correlate
from torch_files import save

from synthtf.interop import load_synthstrip


def convolve(x, state, name, slope=0.2):
    """A convolution of PyTorch, channels first, with zeros around."""
    kernel, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
    y = np.stack(
        [
            sum(correlate(c, k, mode="constant") for c, k in zip(x, k_out, strict=True)) + b
            for k_out, b in zip(kernel, bias, strict=True)
        ]
    )
    return np.where(y > 0, y, slope * y)


def forward(image, state, levels=2):
    """The network, written out with SciPy."""
    x, skips = image[None].astype("float64"), []
    for level in range(levels):
        for index in range(2):
            x = convolve(x, state, f"encoder.{level}.{index}")
        skips.append(x)
        n, *sizes = x.shape
        x = x.reshape(n, *(part for s in sizes for part in (s // 2, 2)))
        x = x.max(axis=tuple(range(2, 2 * len(sizes) + 1, 2)))
    for level in range(levels):
        for index in range(2):
            x = convolve(x, state, f"decoder.{level}.{index}")
        for axis in range(1, x.ndim):
            x = x.repeat(2, axis)
        x = np.concatenate([x, skips.pop()])
    x = convolve(x, state, "remaining.0")
    return convolve(x, state, "remaining.1", slope=1)[0]


@pytest.mark.parametrize("ndim", [2, 3])
def test_network_of_a_file(tmp_path, ndim):
    state = strip_state(ndim=ndim)
    save(tmp_path / "x.pt", state, wrap=lambda s: {"epoch": 3, "model_state_dict": s})
    model = load_synthstrip(tmp_path / "x.pt")
    image = np.random.default_rng(1).uniform(size=(8, 12, 4)[:ndim]).astype("float32")
    found = model.predict_on_batch(image[None, ..., None])[0, ..., 0]
    np.testing.assert_allclose(found, forward(image, state), atol=1e-5)


def test_published_size(tmp_path):
    """Features 16 to 64, seven levels: 54 tensors, as the command expects them."""
    encoder = [(n, n) for n in (2, 4, 8, 8, 8, 8)]
    decoder = [(n, n) for n in (8, 8, 8, 8, 8, 4)]
    state = strip_state(encoder, decoder, (2, 2, 1))
    assert len(state) == 54
    save(tmp_path / "x.pt", state)
    model = load_synthstrip(tmp_path / "x.pt")
    assert model.count_params() == sum(value.size for value in state.values())


ONE = np.ones(1, "float32")
BREAKS = {
    "first": ({"encoder.0.0.conv.weight": None}, "lacks the tensor encoder.0.0.conv/weight of Sy"),
    "bias": (
        {"decoder.1.1.conv.bias": None},
        r"lacks the tensor decoder.1.1.conv/bias, of shape \(2,\)",
    ),
    "level": (
        {"encoder.1.0.conv.weight": None, "encoder.1.0.conv.bias": None},
        "lacks the tensor encoder.1.0.conv/weight of SynthStrip's network",
    ),
    "kernel": (
        {"encoder.0.1.conv.weight": np.ones((3, 2, 5, 5, 5), "float32")},
        r"encoder.0.1.conv/weight has the shape \(3, 2, 5, 5, 5\), but .* \(3, 2, 3, 3, 3\)",
    ),
    "skip": (
        {"remaining.0.conv.weight": np.ones((3, 2, 3, 3, 3), "float32")},
        r"remaining.0.conv/weight has the shape \(3, 2, 3, 3, 3\), but .* \(3, 5, 3, 3, 3\)",
    ),
    "outputs": (
        {
            "remaining.1.conv.weight": np.ones((2, 3, 3, 3, 3), "float32"),
            "remaining.1.conv.bias": np.ones(2, "float32"),
        },
        r"remaining.1.conv/weight has the shape \(2, 3, 3, 3, 3\), but .* \(1, 3, 3, 3, 3\)",
    ),
    "axes": ({"encoder.0.0.conv.weight": ONE}, r"must be a 2D or 3D kernel. Received: shape \(1,"),
    "more": ({"other.weight": ONE}, "holds the tensor other/weight, which the network does not"),
    "far level": ({"encoder.99999999.0.conv.weight": ONE}, "lacks the tensor encoder.2.0.conv"),
    "far index": ({"remaining.99999999.conv.weight": ONE}, "lacks the tensor remaining.2.conv"),
}


@pytest.mark.parametrize(("changes", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_the_first_tensor_at_fault_is_named(tmp_path, changes, message):
    state = {k: v for k, v in {**strip_state(), **changes}.items() if v is not None}
    save(tmp_path / "x.pt", state)
    with pytest.raises(ValueError, match=message) as error:
        load_synthstrip(tmp_path / "x.pt")
    assert str(error.value).startswith(str(tmp_path / "x.pt"))
