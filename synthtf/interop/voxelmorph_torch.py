"""Reading weights of VoxelMorph's PyTorch package."""

import os
import re

import keras
import numpy as np

from synthtf.interop.h5 import Weights, check_weights
from synthtf.interop.torch_file import read_torch
from synthtf.networks.pairwise import pairwise_unet
from synthtf.runs.unused import discard_unused_networks

_DOWN = re.compile(r"model\.downsampling_conv_blocks\.(\d+)\.conv_block\.conv0")


def load_voxelmorph_torch(path: str | os.PathLike, integration_steps: int = 5) -> keras.Model:
    """Build VoxelMorph's PyTorch network with its weights; the file determines its size.

    A state dict does not hold the settings of a network. The defaults of `VxmPairwise` are
    assumed: rectifiers, linear upsampling. At the border of the field of view displacements may
    differ, since VoxelMorph's package takes velocities to be zero outside.

    Args:
        path: path of a file of `torch.save`, with the state dict of a `voxelmorph.nn.models.
            VxmPairwise` of voxelmorph 0.3.4 or newer, for images of one channel.
        integration_steps: number of squarings that turn the velocity into a displacement.

    Returns:
        Model as from `synthtf.networks.pairwise_unet`, for images in [0, 1].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Balakrishnan et al., VoxelMorph: a learning framework for deformable medical image
        registration, IEEE TMI 2019.
    """
    discard_unused_networks()
    weights = read_torch(path)
    levels = 1 + max((int(m[1]) for m in map(_DOWN.fullmatch, weights) if m), default=0)
    # A number beyond the number of tensors would make lists of any length.
    levels = min(levels, len(weights))
    names = {
        **{f"encoder_{i}": f"model.downsampling_conv_blocks.{i}.conv_block" for i in range(levels)},
        "lowest": "model.lowest_resolution_conv_block",
        **{f"decoder_{i}": f"model.upsampling_conv_blocks.{i}.conv_block" for i in range(levels)},
        "output_conv": "model.out_layer",
        "velocity_conv": "flow_layer",
    }
    names = {ours: f"{theirs}.conv0" for ours, theirs in names.items()}
    ndim, outputs = _check(weights, names, levels, path)
    model = pairwise_unet(
        outputs[:levels], outputs[levels:-2], ndim, integration_steps, name="voxelmorph"
    )
    for ours, theirs in names.items():
        layer = model.get_layer(ours)
        # In PyTorch the channels come first, outputs before inputs.
        layer.kernel.assign(np.moveaxis(weights[theirs]["weight"], (0, 1), (-1, -2)))
        layer.bias.assign(weights[theirs]["bias"])
    return model


def _check(
    weights: Weights, names: dict[str, str], levels: int, path: str | os.PathLike
) -> tuple[int, list[int]]:
    """Check every shape before anything is built; return the axes and the features."""
    for layer in names.values():
        if "weight" not in weights.get(layer, {}):
            raise ValueError(f"{path} lacks the tensor {layer}/weight of VoxelMorph's U-Net")
    kernels = [weights[layer]["weight"] for layer in names.values()]
    ndim = kernels[0].ndim - 2
    if ndim not in (2, 3) or any(kernel.ndim != ndim + 2 for kernel in kernels):
        raise ValueError(f"{path}: all convolutions must have kernels of a 2D or a 3D network")
    outputs = [len(kernel) for kernel in kernels[:-2]] + [ndim, ndim]
    inputs = [2, *outputs[:-1]]
    for index in range(levels):
        inputs[levels + 1 + index] += outputs[levels - 1 - index]
    expected = {}
    for ours, n, m in zip(names, inputs, outputs, strict=True):
        size = (1 if ours == "output_conv" else 3,) * ndim
        expected[names[ours]] = {"weight": (m, n, *size), "bias": (m,)}
    check_weights(weights, expected, path)
    return ndim, outputs
