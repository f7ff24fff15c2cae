"""SynthSR's weights: a U-Net of SynthSeg's with one output, and files that do not fit."""

import numpy as np
import pytest
from published_weights import save_synthsr, synthsr_tensors

from synthtf.interop import load_synthsr


@pytest.mark.parametrize("channels", [1, 2])
def test_output_is_linear(tmp_path, channels):
    tensors = synthsr_tensors(channels)
    # What the network does not have is ignored.
    tensors["unet_prior/kernel"] = np.ones(3, "float32")
    save_synthsr(tmp_path / "x.h5", tensors)
    model = load_synthsr(tmp_path / "x.h5", channels)
    image = np.random.default_rng(1).uniform(size=(1, 8, 4, 4, channels)).astype("float32")
    found = model.predict_on_batch(image)
    assert found.shape == (1, 8, 4, 4, 1)
    assert found.std() > 0.01
    # Twice the last kernel and bias, twice the output.
    for part in ("kernel", "bias"):
        tensors[f"unet_likelihood/{part}"] = 2 * tensors[f"unet_likelihood/{part}"]
    save_synthsr(tmp_path / "y.h5", tensors)
    twice = load_synthsr(tmp_path / "y.h5", channels).predict_on_batch(image)
    np.testing.assert_allclose(twice, 2 * found, atol=1e-5)


BREAKS = {
    "two channels": (
        synthsr_tensors(2),
        r"unet_conv_downarm_0_0/kernel has the shape \(3, 3, 3, 2, 3\), .* for T1 and T2\?",
    ),
    "segmentation": (
        synthsr_tensors(outputs=33),
        r"unet_likelihood/kernel has the shape \(1, 1, 1, 3, 33\), but SynthSR has one output",
    ),
    "missing": (
        {k: v for k, v in synthsr_tensors().items() if "uparm_2_1/kernel" not in k},
        "lacks the tensor unet_conv_uparm_2_1/kernel",
    ),
    "shape": (
        {**synthsr_tensors(), "unet_bn_up_0/beta": np.ones(4, "float32")},
        r"unet_bn_up_0/beta has the shape \(4,\), but the network expects \(3,\)",
    ),
}


@pytest.mark.parametrize(("tensors", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_the_first_tensor_at_fault_is_named(tmp_path, tensors, message):
    save_synthsr(tmp_path / "x.h5", tensors)
    with pytest.raises(ValueError, match=message) as error:
        load_synthsr(tmp_path / "x.h5")
    assert str(tmp_path / "x.h5") in str(error.value)


def test_one_channel_is_not_enough_for_a_pair(tmp_path):
    save_synthsr(tmp_path / "x.h5", synthsr_tensors())
    with pytest.raises(ValueError, match=r"expects 2 input channels, not 1; .* for one image\?"):
        load_synthsr(tmp_path / "x.h5", channels=2)
