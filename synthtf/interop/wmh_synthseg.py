"""Reading the published weights of WMH-SynthSeg."""

import os
import re

import keras
import numpy as np

from synthtf.interop.h5 import Weights, check_weights
from synthtf.interop.torch_file import kernel_of, read_torch
from synthtf.networks.grouped import group_count, grouped_unet

_LAYER = re.compile(r"(encoders|decoders)\.(\d+)\.basic_module\.SingleConv[12]\.(?:groupnorm|conv)")
_FINAL = "final_conv"


def load_wmh_synthseg(path: str | os.PathLike, least_outputs: int = 1) -> keras.Model:
    """Build WMH-SynthSeg's network with published weights; the file determines its size.

    Args:
        path: path of a file of PyTorch, such as `WMH-SynthSeg_v10_231110.pth`, with tensors such as
            `encoders.0.basic_module.SingleConv1.groupnorm.weight`,
            `decoders.3.basic_module.SingleConv2.conv.weight` and `final_conv.bias`. PyTorch is not
            needed.
        least_outputs: channels that the network must have at least.

    Returns:
        Model as from `synthtf.networks.grouped_unet`: it turns an image of shape
        `(batch, *spatial, 1)`, with voxels of 1 mm and intensities up to 1, into
        `(batch, *spatial, outputs)`, without activation.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Laso et al., Quantifying white matter hyperintensity and brain volumes in heterogeneous
        clinical and low-field portable MRI, ISBI 2024.
    """
    weights = read_torch(path)
    levels = 1 + max(
        (int(m[2]) for m in map(_LAYER.fullmatch, weights) if m and m[1] == "encoders"), default=0
    )
    # A number beyond the number of tensors would make lists of any length.
    levels = min(levels, len(weights))
    blocks = [
        *(("encoders", level) for level in range(levels)),
        *(("decoders", level) for level in range(levels - 1)),
    ]
    names = [
        f"{part}.{level}.basic_module.SingleConv{index}"
        for part, level in blocks
        for index in (1, 2)
    ]
    outputs = [len(kernel_of(weights, f"{name}.conv", path, "WMH-SynthSeg")) for name in names]
    ndim = _check(weights, names, outputs, levels, least_outputs, path)
    pairs = list(zip(outputs[::2], outputs[1::2], strict=True))
    num_outputs = len(weights[_FINAL]["weight"])
    model = grouped_unet(pairs[:levels], pairs[levels:], num_outputs, ndim, name="wmh_synthseg")
    layers = iter([layer for layer in model.layers if layer.weights])
    for name in names:
        norm, conv = next(layers), next(layers)
        norm.gamma.assign(weights[f"{name}.groupnorm"]["weight"])
        norm.beta.assign(weights[f"{name}.groupnorm"]["bias"])
        conv.kernel.assign(_keras_order(weights[f"{name}.conv"]["weight"]))
    final = next(layers)
    final.kernel.assign(_keras_order(weights[_FINAL]["weight"]))
    final.bias.assign(weights[_FINAL]["bias"])
    return model


def _check(
    weights: Weights,
    names: list[str],
    outputs: list[int],
    levels: int,
    least_outputs: int,
    path: str | os.PathLike,
) -> int:
    """Check every shape before anything is built; return the axes."""
    ndim = kernel_of(weights, f"{names[0]}.conv", path, "WMH-SynthSeg").ndim - 2
    expected, skips, channels = {}, [], 1
    for index, (name, count) in enumerate(zip(names, outputs, strict=True)):
        level, second = divmod(index, 2)
        if level >= levels and not second:
            channels += skips.pop()
        if group_count(channels) is None:
            raise ValueError(
                f"{path}: the tensor {name}.groupnorm/weight has {channels} channels, which do not "
                "make 8 groups"
            )
        expected[f"{name}.groupnorm"] = {"weight": (channels,), "bias": (channels,)}
        expected[f"{name}.conv"] = {"weight": (count, channels, *(3,) * ndim)}
        channels = count
        if second and level < levels - 1:
            skips.append(channels)
    final = len(kernel_of(weights, _FINAL, path, "WMH-SynthSeg"))
    final = max(final, least_outputs)
    expected[_FINAL] = {"weight": (final, channels, *(1,) * ndim), "bias": (final,)}
    check_weights(weights, expected, path)
    return ndim


def _keras_order(kernel: np.ndarray) -> np.ndarray:
    """In PyTorch the channels come first, outputs before inputs."""
    return np.moveaxis(kernel, (0, 1), (-1, -2))
