"""Reading the published weights of SynthSeg's segmentation networks."""

import os
import re

import keras
import numpy as np

from synthtf.interop.h5 import Weights, check_weights, read_keras_h5
from synthtf.networks import UNetConfig, unet

_DOWN = re.compile(r"unet_conv_downarm_(\d+)_(\d+)")
_LAYER = re.compile(r"(?P<arm>down|up)_(?P<level>\d+)_(?P<kind>conv|norm)(?:_(?P<index>\d+))?")


def load_synthseg(path: str | os.PathLike) -> keras.Model:
    """Build SynthSeg's U-Net with published weights; the file determines its size.

    Args:
        path: path of a file of legacy Keras in HDF5 format, with layers such as
            `unet_conv_downarm_0_0`, `unet_bn_down_0`, `unet_conv_uparm_5_0`, `unet_bn_up_0` and
            `unet_likelihood`.

    Returns:
        Model as from `synthtf.networks.unet` with batch normalisation: it turns an image of
        shape `(batch, *spatial, 1)`, with intensities in [0, 1], into posteriors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Billot et al., SynthSeg: segmentation of brain MRI scans of any contrast and resolution
        without retraining, Medical Image Analysis 2023.
    """
    weights = read_keras_h5(path)
    config, ndim, num_outputs = _architecture(weights, path)
    model = unet(num_outputs, ndim, config)
    _assign(model, weights, path)
    return model


def load_synthseg_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Load published weights of SynthSeg into a network; all of them or none.

    Args:
        model: network from `synthtf.networks.unet`, with batch normalisation.
        path: path of the weights, as for `load_synthseg`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file and the network differ; the message names the first tensor that
            does not fit.
    """
    _assign(model, read_keras_h5(path), path)


def _assign(model: keras.Model, weights: Weights, path: str | os.PathLike) -> None:
    variables = {
        name: {variable.name: variable for variable in layer.weights}
        for name, layer in _published_names(model).items()
    }
    expected = {
        layer: {name: tuple(variable.shape) for name, variable in tensors.items()}
        for layer, tensors in variables.items()
    }
    check_weights(weights, expected, path)
    for layer, tensors in variables.items():
        for name, variable in tensors.items():
            variable.assign(weights[layer][name])


def _published_names(model: keras.Model) -> dict[str, keras.Layer]:
    """Map SynthSeg's name of each layer with weights to the layer, in the network's order."""
    found = {layer.name: _LAYER.fullmatch(layer.name) for layer in model.layers if layer.weights}
    levels = 1 + max((int(m["level"]) for m in found.values() if m), default=0)
    names = {}
    for layer in model.layers:
        match = found.get(layer.name)
        if match:
            names[_published_name(match, levels)] = layer
        elif layer.name == "logits":
            names["unet_likelihood"] = layer
        elif layer.weights:
            raise ValueError(
                "`model` must come from synthtf.networks.unet. "
                f"Received: model {model.name!r} with the layer {layer.name!r}"
            )
    return names


def _published_name(match: re.Match, levels: int) -> str:
    level = int(match["level"])
    # SynthSeg numbers its upsampling arm from 0 for normalisation, and from `levels` for the rest.
    step = level if match["arm"] == "down" else levels - 2 - level
    if match["kind"] == "norm":
        return f"unet_bn_{match['arm']}_{step}"
    if match["arm"] == "up":
        step += levels
    return f"unet_conv_{match['arm']}arm_{step}_{match['index']}"


def _architecture(weights: Weights, path: str | os.PathLike) -> tuple[UNetConfig, int, int]:
    """Infer the configuration, the spatial axes and the classes, before anything is built."""
    found = [tuple(map(int, m.groups())) for m in map(_DOWN.fullmatch, weights) if m]
    first = _tensor(weights, "unet_conv_downarm_0_0", "kernel", path)
    ndim = first.ndim - 2
    if ndim not in (2, 3) or len(set(first.shape[:-2])) > 1 or first.shape[-2] != 1:
        raise ValueError(
            f"{path}: the tensor unet_conv_downarm_0_0/kernel must be a 2D or 3D kernel of equal "
            f"sizes with one input channel. Received: shape {first.shape}"
        )
    levels = 1 + max(level for level, _ in found)
    convolutions = 1 + max(index for _, index in found)
    features = first.shape[-1]
    last = [
        _tensor(weights, f"unet_conv_downarm_{level}_{convolutions - 1}", "bias", path).size
        for level in range(levels)
    ]
    config = UNetConfig(
        features=features,
        levels=levels,
        convolutions=convolutions,
        multiplier=last[1] / max(last[0], 1) if levels > 1 else 2,
        kernel_size=first.shape[0],
        normalization="batch",
    )
    num_outputs = _tensor(weights, "unet_likelihood", "bias", path).size
    if num_outputs < 2:
        raise ValueError(
            f"{path}: the tensor unet_likelihood/bias must have a value per label, two or more. "
            f"Received: {num_outputs}; it is the network of SynthSR or another that makes an image"
        )
    _check_sizes(weights, config, ndim, num_outputs, path)
    return config, ndim, num_outputs


def _check_sizes(
    weights: Weights, config: UNetConfig, ndim: int, num_outputs: int, path: str | os.PathLike
) -> None:
    """Check the downsampling arm and the logits, before a network larger than the file is built."""
    expected = {}
    channels = 1
    for level in range(config.levels):
        for index in range(config.convolutions):
            features = config.level_features(level)
            shape = (config.kernel_size,) * ndim + (channels, features)
            expected[f"unet_conv_downarm_{level}_{index}"] = {"kernel": shape}
            channels = features
    shape = (1,) * ndim + (config.features, num_outputs)
    expected["unet_likelihood"] = {"kernel": shape}
    kernels = {layer: {"kernel": _tensor(weights, layer, "kernel", path)} for layer in expected}
    check_weights(kernels, expected, path)


def _tensor(weights: Weights, layer: str, name: str, path: str | os.PathLike) -> np.ndarray:
    if name not in weights.get(layer, {}):
        raise ValueError(f"{path} lacks the tensor {layer}/{name} of SynthSeg's U-Net")
    return weights[layer][name]
