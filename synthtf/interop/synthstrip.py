"""Reading the published weights of SynthStrip."""

import os
import re

import keras
import numpy as np

from synthtf.interop.h5 import Weights, check_weights
from synthtf.interop.torch_file import kernel_of, read_torch
from synthtf.networks.pooled import pooled_unet

_CONV = re.compile(r"(?:(encoder|decoder)\.(\d+)|remaining)\.(\d+)\.conv")


def load_synthstrip(path: str | os.PathLike) -> keras.Model:
    """Build SynthStrip's network with published weights; the file determines its size.

    Args:
        path: path of a file of PyTorch, such as `synthstrip.1.pt` or `synthstrip.nocsf.1.pt`,
            with tensors such as `encoder.0.0.conv.weight`, `decoder.5.1.conv.bias` and
            `remaining.2.conv.weight`. PyTorch is not needed.

    Returns:
        Model as from `synthtf.networks.pooled_unet`: it turns an image of shape
        `(batch, *spatial, 1)`, with voxels of 1 mm and intensities in [0, 1], into the signed
        distance to the brain in mm.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """
    weights = read_torch(path)
    names = _names(weights)
    kernels = {
        name: kernel_of(weights, name, path, "SynthStrip")
        for part in names.values()
        for name in part
    }
    ndim = next(iter(kernels.values())).ndim - 2
    _check(weights, names, kernels, ndim, path)
    features = {key: [len(kernels[name]) for name in part] for key, part in names.items()}
    levels = sum(part == "encoder" for part, _ in names)
    encoder, decoder = (
        [features[part, level] for level in range(levels)] for part in ("encoder", "decoder")
    )
    model = pooled_unet(encoder, decoder, features["remaining", 0], ndim, name="synthstrip")
    convolutions = [layer for layer in model.layers if layer.weights]
    for name, layer in zip(kernels, convolutions, strict=True):
        # In PyTorch the channels come first, outputs before inputs.
        layer.kernel.assign(np.moveaxis(kernels[name], (0, 1), (-1, -2)))
        layer.bias.assign(weights[name]["bias"])
    return model


def _names(weights: Weights) -> dict[tuple[str, int], list[str]]:
    """Names of the convolutions of each part and level, in the order of the network."""
    found = [m for m in map(_CONV.fullmatch, weights) if m]
    # A number beyond the number of tensors would make lists of any length.
    most = len(weights)
    counts: dict[tuple[str, int], int] = {("remaining", 0): 1}
    levels = 1
    for match in found:
        part, level, index = match[1] or "remaining", int(match[2] or 0), int(match[3])
        key = part, min(level, most)
        counts[key] = max(counts.get(key, 1), min(index + 1, most))
        levels = max(levels, key[1] + 1)
    parts = [(part, level) for part in ("encoder", "decoder") for level in range(levels)]
    return {
        (part, level): [
            f"{part}.{level}.{i}.conv" if part != "remaining" else f"{part}.{i}.conv"
            for i in range(counts.get((part, level), 1))
        ]
        for part, level in [*parts, ("remaining", 0)]
    }


def _check(
    weights: Weights,
    names: dict[tuple[str, int], list[str]],
    kernels: dict[str, np.ndarray],
    ndim: int,
    path: str | os.PathLike,
) -> None:
    """Check every shape before anything is built."""
    expected = {}
    channels, skips = 1, []
    for (part, _), convolutions in names.items():
        for name in convolutions:
            outputs = len(kernels[name])
            if part == "remaining" and name == convolutions[-1]:
                outputs = 1
            shape = (outputs, channels, *(3,) * ndim)
            expected[name] = {"weight": shape, "bias": (outputs,)}
            channels = outputs
        if part == "encoder":
            skips.append(channels)
        elif part == "decoder":
            channels += skips.pop()
    check_weights(weights, expected, path)
