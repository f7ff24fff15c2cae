"""Reading published weights of VoxelMorph and SynthMorph from their TensorFlow code."""

import os
import re
from dataclasses import dataclass, replace

import keras
import numpy as np

from synthtf.interop.h5 import Weights, check_weights, read_keras_config, read_keras_h5
from synthtf.interop.small_files import naming
from synthtf.networks import RegistrationConfig, registration_unet
from synthtf.ranges import as_whole

_FIRST = re.compile(r"(?P<prefix>.*)enc_conv_0_0")
_NAMED = re.compile(r".*(?P<part>enc_conv|dec_conv|dec_final_conv)_(?P<number>\d+)(?:_\d+)?")
_COUNTED = re.compile(r"conv[23]d(?:_(?P<number>\d+))?")
_STEPS = 7  # default integration steps of VoxelMorph
_RESOLUTION = 2  # default voxel size of its integration, in voxels of the image


@dataclass(frozen=True)
class _Network:
    """Description of the network in a file: its convolutions, in order, and their sizes."""

    names: list[str]
    tensors: tuple[str, str]
    ndim: int
    levels: int
    features: list[int]
    full_resolution: bool


def load_voxelmorph(path: str | os.PathLike, integration_steps: int | None = None) -> keras.Model:
    """Build VoxelMorph's dense network with published weights; the file determines its size.

    SynthMorph's networks for deformable registration of 2021 are networks of this kind.

    Args:
        path: path of a file in HDF5 format: of legacy Keras, with layers such as
            `vxm_dense_unet_enc_conv_0_0`, `vxm_dense_unet_dec_conv_3_0`,
            `vxm_dense_unet_dec_final_conv_0` and `vxm_dense_flow`; or weights of Keras 3, with
            convolutions called `conv3d`, `conv3d_1` and so on.
        integration_steps: number of squarings that turn the velocity into a displacement. Default:
            taken from the file, else as in VoxelMorph.

    Returns:
        Model as from `synthtf.networks.registration_unet`, not symmetric, for images in [0, 1].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Balakrishnan et al., VoxelMorph: a learning framework for deformable medical image
        registration, IEEE TMI 2019. Hoffmann et al., SynthMorph: learning contrast-invariant
        registration without acquired images, IEEE TMI 2022.
    """
    weights, network, config = _read(path)
    if integration_steps is not None:
        config = replace(config, integration_steps=integration_steps)
    model = registration_unet(network.ndim, config, name="voxelmorph")
    for name, layer in zip(network.names, _convolutions(model, config), strict=True):
        kernel, bias = (weights[name][tensor] for tensor in network.tensors)
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)
    return model


def voxelmorph_sizes(path: str | os.PathLike) -> tuple[int, RegistrationConfig]:
    """Give the number of spatial axes and the sizes of the network that `load_voxelmorph` builds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network.
    """
    _, network, config = _read(path)
    return network.ndim, config


def _read(path: str | os.PathLike) -> tuple[Weights, _Network, RegistrationConfig]:
    """Read a file, and check every tensor before anything is built."""
    weights = read_keras_h5(path)
    network = _architecture(weights, path)
    check_weights(weights, _expected(network), path)
    config = RegistrationConfig(
        encoder=tuple(network.features[: network.levels]),
        decoder=tuple(network.features[network.levels :]),
        integration_steps=_steps(path),
        symmetric=False,
        full_resolution=network.full_resolution,
    )
    return weights, network, config


def _convolutions(model: keras.Model, config: RegistrationConfig) -> list[keras.Layer]:
    """Return all convolutions, in VoxelMorph's order."""
    levels = len(config.encoder)
    names = [
        *(f"encoder_{index}" for index in range(levels)),
        *(f"decoder_{index}" for index in range(levels)),
        *(f"final_{index}" for index in range(len(config.decoder) - levels)),
        "velocity_conv",
    ]
    return [model.get_layer(name) for name in names]


def _architecture(weights: Weights, path: str | os.PathLike) -> _Network:
    """Infer the network from the names and shapes, before anything is built."""
    counted = {int(m["number"] or 0): m.string for m in map(_COUNTED.fullmatch, weights) if m}
    if any(_FIRST.fullmatch(name) for name in weights):
        names, levels = _named(weights)
        tensors = ("kernel", "bias")
    elif counted:
        names, levels = [counted[number] for number in sorted(counted)], None
        tensors = ("0", "1")
        if "0" not in weights[names[0]]:
            tensors = ("kernel", "bias")
    else:
        raise ValueError(f"{path} lacks the tensor vxm_dense_unet_enc_conv_0_0/kernel")
    kernels = [_tensor(weights, name, tensors[0], path) for name in names]
    ndim = kernels[0].ndim - 2
    if ndim not in (2, 3):
        raise ValueError(
            f"{path}: the tensor {names[0]}/{tensors[0]} must be a 2D or 3D kernel. "
            f"Received: shape {kernels[0].shape}"
        )
    for name, kernel in zip(names, kernels, strict=True):
        if kernel.ndim != ndim + 2:
            raise ValueError(
                f"{path}: the tensor {name}/{tensors[0]} must be a {ndim}D kernel, like "
                f"{names[0]}/{tensors[0]}. Received: shape {kernel.shape}"
            )
    # A kernel with more inputs than the outputs of the convolution before has a skip connection.
    skips = [
        index
        for index in range(1, len(kernels))
        if kernels[index].shape[-2] != kernels[index - 1].shape[-1]
    ]
    if levels is None:
        levels = max(1, skips[0] - 1) if skips else 1
    if len(names) <= 2 * levels:
        raise ValueError(
            f"{path} must hold at least {2 * levels + 1} convolutions for the {levels} levels of "
            f"VoxelMorph's U-Net. Received: {len(names)}"
        )
    features = [kernel.shape[-1] for kernel in kernels[:-1]]
    return _Network(names, tensors, ndim, levels, features, 2 * levels in skips)


def _named(weights: Weights) -> tuple[list[str], int]:
    """Return the names of the convolutions, in order, and the number of levels."""
    prefix = next(m["prefix"] for m in map(_FIRST.fullmatch, weights) if m)
    counts = {"enc_conv": 0, "dec_conv": 0, "dec_final_conv": 0}
    for match in filter(None, map(_NAMED.fullmatch, weights)):
        counts[match["part"]] = max(counts[match["part"]], int(match["number"]) + 1)
    # Numbers beyond the number of tensors would make lists of any length.
    counts = {part: min(count, len(weights)) for part, count in counts.items()}
    levels = counts["enc_conv"]
    return [
        *(f"{prefix}enc_conv_{level}_0" for level in range(levels)),
        *(f"{prefix}dec_conv_{level}_0" for level in reversed(range(levels))),
        *(f"{prefix}dec_final_conv_{index}" for index in range(counts["dec_final_conv"])),
        f"{prefix.removesuffix('unet_')}flow",
    ], levels


def _expected(network: _Network) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the shape of every tensor, by layer."""
    levels = network.levels
    outputs = [*network.features, network.ndim]
    inputs = [2, *network.features]
    last = levels if network.full_resolution else levels - 1
    for index in range(last):
        inputs[levels + 1 + index] += network.features[levels - 1 - index]
    size = (3,) * network.ndim
    kernel, bias = network.tensors
    return {
        name: {kernel: (*size, n, m), bias: (m,)}
        for name, n, m in zip(network.names, inputs, outputs, strict=True)
    }


def _steps(path: str | os.PathLike) -> int:
    """Return the integration steps of a file; refuse settings that synthtf does not build."""
    config = read_keras_config(path)
    resolution = config.get("int_resolution", config.get("int_downsize", _RESOLUTION))
    if resolution != _RESOLUTION:
        raise ValueError(
            f"{path}: the velocity must be integrated at 1 / {_RESOLUTION} of the resolution. "
            f"Received: 1 / {resolution}"
        )
    with naming(path):
        return as_whole(config.get("int_steps", _STEPS), "int_steps", 1, 20)


def _tensor(weights: Weights, layer: str, name: str, path: str | os.PathLike) -> np.ndarray:
    if name not in weights.get(layer, {}):
        raise ValueError(f"{path} lacks the tensor {layer}/{name} of VoxelMorph's U-Net")
    return weights[layer][name]
