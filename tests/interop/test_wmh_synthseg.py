"""WMH-SynthSeg's weights: the network of the file, and files that do not fit."""

import numpy as np
import pytest
from published_weights import wmh_state
from scipy.ndimage import correlate
from torch_files import save

from synthtf.interop import load_wmh_synthseg


def normalize(x, weight, bias):
    """Group normalisation of PyTorch, channels first."""
    groups = 8 if len(x) >= 8 else 1
    y = x.reshape(groups, -1)
    y = (y - y.mean(axis=1, keepdims=True)) / np.sqrt(y.var(axis=1, keepdims=True) + 1e-5)
    shape = (-1, *[1] * (x.ndim - 1))
    return y.reshape(x.shape) * weight.reshape(shape) + bias.reshape(shape)


def block(x, state, name):
    for index in (1, 2):
        part = f"{name}.basic_module.SingleConv{index}"
        x = normalize(x, state[f"{part}.groupnorm.weight"], state[f"{part}.groupnorm.bias"])
        x = np.stack(
            [
                sum(correlate(c, k, mode="constant") for c, k in zip(x, kernel, strict=True))
                for kernel in state[f"{part}.conv.weight"]
            ]
        )
        x = np.where(x > 0, x, 0.01 * x)
    return x


def forward(image, state, levels=2):
    """The network, written out with SciPy."""
    x, skips = image[None].astype("float64"), []
    for level in range(levels):
        if level:
            n, *sizes = x.shape
            x = x.reshape(n, *(part for s in sizes for part in (s // 2, 2)))
            x = x.max(axis=tuple(range(2, 2 * len(sizes) + 1, 2)))
        x = block(x, state, f"encoders.{level}")
        skips.append(x)
    skips.pop()
    for level in range(levels - 1):
        for axis in range(1, x.ndim):
            x = x.repeat(2, axis)
        x = block(np.concatenate([skips.pop(), x]), state, f"decoders.{level}")
    kernel, bias = state["final_conv.weight"], state["final_conv.bias"]
    x = np.tensordot(kernel.reshape(kernel.shape[:2]), x, 1)
    return x + bias.reshape(-1, *[1] * (x.ndim - 1))


@pytest.mark.parametrize("ndim", [2, 3])
def test_network_of_a_file(tmp_path, ndim):
    state = wmh_state(outputs=5, ndim=ndim)
    save(tmp_path / "x.pth", state, wrap=lambda s: {"model_state_dict": s})
    model = load_wmh_synthseg(tmp_path / "x.pth")
    image = np.random.default_rng(1).uniform(size=(8, 12, 4)[:ndim]).astype("float32")
    found = model.predict_on_batch(image[None, ..., None])[0]
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), forward(image, state), atol=1e-5)


def test_the_network_that_was_recorded(shared):
    folder = shared("oracles/published/wmh_synthseg")
    recorded = np.load(folder / "network.npz")
    model = load_wmh_synthseg(folder / "WMH-SynthSeg_v10_231110.pth")
    found = model.predict_on_batch(recorded["input"][None, ..., None])[0, ::2, ::2, ::2]
    found = np.moveaxis(found, -1, 0)
    assert np.abs(found).max() > 100
    # With Keras' own group normalisation the difference is four times as large.
    np.testing.assert_allclose(found, recorded["output_every_second"], atol=3e-3)


FIRST, LAST = "encoders.0.basic_module.SingleConv1", "decoders.0.basic_module.SingleConv2"
ONE = np.ones(1, "float32")
BREAKS = {
    "first": ({f"{FIRST}.conv.weight": None}, f"lacks the tensor {FIRST}.conv/weight of WMH-Synth"),
    "norm": (
        {f"{LAST}.groupnorm.bias": None},
        rf"lacks the tensor {LAST}.groupnorm/bias, of shape \(4,\)",
    ),
    "kernel": (
        {f"{FIRST}.conv.weight": np.ones((2, 1, 5, 5, 5), "float32")},
        rf"{FIRST}.conv/weight has the shape \(2, 1, 5, 5, 5\), but .* \(2, 1, 3, 3, 3\)",
    ),
    "groups": (
        {"encoders.0.basic_module.SingleConv2.conv.weight": np.ones((12, 2, 3, 3, 3), "float32")},
        r"encoders.1.basic_module.SingleConv1.groupnorm/weight has 12 channels, which do not make",
    ),
    "outputs": (
        {"final_conv.weight": np.ones((32, 3, 1, 1, 1), "float32")},
        r"final_conv/weight has the shape \(32, 3, 1, 1, 1\), but .* \(33, 3, 1, 1, 1\)",
    ),
    "axes": ({f"{FIRST}.conv.weight": ONE}, r"must be a 2D or 3D kernel. Received: shape \(1,"),
    "more": ({"other.weight": ONE}, "holds the tensor other/weight, which the network does not"),
    "far level": (
        {"encoders.99999999.basic_module.SingleConv1.conv.weight": ONE},
        "lacks the tensor encoders.2.basic_module.SingleConv1.conv/weight",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_the_first_tensor_at_fault_is_named(tmp_path, changes, message):
    whole = wmh_state()
    state = {k: v for k, v in {**whole, **changes}.items() if v is not None}
    save(tmp_path / "x.pth", state)
    with pytest.raises(ValueError, match=message) as error:
        load_wmh_synthseg(tmp_path / "x.pth", least_outputs=33)
    assert str(error.value).startswith(str(tmp_path / "x.pth"))
