"""Reading the published weights of SynthSeg's networks.

Files of legacy Keras hold layers such as `unet_conv_downarm_0_0`, `unet_bn_down_0`,
`unet_conv_uparm_5_0`, `unet_bn_up_0` and `unet_likelihood`. What stands before `_conv_downarm` is
the part: "unet" in SynthSeg 1.0 and 2.0; "unet", "l2l" and "unet2" in SynthSeg-robust, which are
its network of tissues, its denoiser and its network of regions; "unet_parc" for the
parcellation of the cortex; "qc" for the judge of segmentations.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping

import keras
import numpy as np

from synthtf.interop.h5 import Shapes, Weights, check_weights, read_keras_h5
from synthtf.networks import UNetConfig, chain_networks, quality_encoder, unet

QUALITY = "qc"
"""Part that judges segmentations."""

ROBUST = ("unet", "l2l", "unet2")
"""Parts of SynthSeg-robust, in the order in which they are applied."""

_PARTS = (*ROBUST, "unet_parc", QUALITY)
_FIRST = "_conv_downarm_0_0"
_NORMALIZATION = ("gamma", "beta", "moving_mean", "moving_variance")
_QUALITY_NAMES = (
    (r"^down_(\d+)_conv_(\d+)$", r"conv_downarm_\1_\2"),
    (r"^down_(\d+)_shortcut$", r"expand_down_merge_\1"),
    (r"^down_(\d+)_norm$", r"bn_down_\1"),
)
_LAYER = re.compile(r"(?P<arm>down|up)_(?P<level>\d+)_(?P<kind>conv|norm)(?:_(?P<index>\d+))?")


def load_synthseg(path: str | os.PathLike, part: str | None = None) -> keras.Model:
    """Build a network of SynthSeg with published weights; the file determines its size.

    Args:
        path: path of a file of legacy Keras in HDF5 format, of weights or of a whole model. Layers
            of other networks in it are ignored.
        part: name of one of its networks. None: the only one; of SynthSeg-robust, all three, one
            after the other.

    Returns:
        Model that turns an image of shape `(batch, *spatial, channels)`, with intensities in
        [0, 1], into posteriors; the part "qc" is as from `synthtf.networks.quality_encoder`, the
        others as from `synthtf.networks.unet` with batch normalisation.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Billot et al., SynthSeg: segmentation of brain MRI scans of any contrast and resolution
        without retraining, Medical Image Analysis 2023; and Robust machine learning segmentation
        for large-scale analysis of heterogeneous clinical brain MRI datasets, PNAS 2023.
    """
    networks = load_synthseg_parts(path, None if part is None else (part,))
    for name, network in networks.items():
        if network.output.shape[-1] < 2:
            raise ValueError(
                f"{path}: the tensor {name}_likelihood/bias must have a value per label, two or "
                "more. Received: 1; it is the network of SynthSR or another that makes an image"
            )
    if len(networks) == 1:
        return next(iter(networks.values()))
    if not set(ROBUST) <= set(networks):
        names = ", ".join(networks)
        raise ValueError(f"{path} must hold one network, or `part` name it. Received: {names}")
    return chain_networks(*(networks[name] for name in ROBUST), name="synthseg_robust")


def load_synthseg_parts(
    path: str | os.PathLike, parts: tuple[str, ...] | None = None
) -> dict[str, keras.Model]:
    """Build the networks of a file of SynthSeg's weights.

    Args:
        path: path of the file, as for `load_synthseg`.
        parts: their names. None: all that are in the file.

    Returns:
        The models by name, as from `load_synthseg`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such networks; the message names the first tensor
            that does not fit.
    """
    weights = read_keras_h5(path)
    if parts is None:
        found = [name.removesuffix(_FIRST) for name in weights if name.endswith(_FIRST)]
        # Layers of other networks may be there without the rest of them.
        parts = tuple(part for part in found if part in _PARTS) or tuple(found) or ("unet",)
    return {part: _load(weights, part, path) for part in parts}


def load_synthseg_weights(model: keras.Model, path: str | os.PathLike, part: str = "unet") -> None:
    """Load published weights of SynthSeg into a U-Net; all of them or none.

    Args:
        model: network from `synthtf.networks.unet`, with batch normalisation.
        path: path of the weights, as for `load_synthseg`.
        part: name of the network in the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file and the network differ; the message names the first tensor that
            does not fit.
    """
    _assign(_unet_names(model, part), read_keras_h5(path), path)


def _load(weights: Weights, part: str, path: str | os.PathLike) -> keras.Model:
    if part == QUALITY:
        model = quality_encoder(*_quality_architecture(weights, path))
        _assign(_quality_names(model), weights, path)
        return model
    config, ndim, num_outputs, num_inputs = _architecture(weights, part, path)
    model = unet(num_outputs, ndim, config, num_inputs=num_inputs, name=part)
    _assign(_unet_names(model, part), weights, path)
    return model


def _assign(names: Mapping[str, keras.Layer], weights: Weights, path: str | os.PathLike) -> None:
    variables = {
        name: {variable.name: variable for variable in layer.weights}
        for name, layer in names.items()
    }
    expected = {
        layer: {name: tuple(variable.shape) for name, variable in tensors.items()}
        for layer, tensors in variables.items()
    }
    check_weights({name: weights[name] for name in expected if name in weights}, expected, path)
    for layer, tensors in variables.items():
        for name, variable in tensors.items():
            variable.assign(weights[layer][name])


def _unet_names(model: keras.Model, part: str) -> dict[str, keras.Layer]:
    """Map SynthSeg's name of each layer with weights to the layer, in the network's order."""
    found = {layer.name: _LAYER.fullmatch(layer.name) for layer in model.layers if layer.weights}
    levels = 1 + max((int(m["level"]) for m in found.values() if m), default=0)
    names = {}
    for layer in model.layers:
        match = found.get(layer.name)
        if match:
            names[f"{part}_{_published_name(match, levels)}"] = layer
        elif layer.name == "logits":
            names[f"{part}_likelihood"] = layer
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
        return f"bn_{match['arm']}_{step}"
    if match["arm"] == "up":
        step += levels
    return f"conv_{match['arm']}arm_{step}_{match['index']}"


def _quality_names(model: keras.Model) -> dict[str, keras.Layer]:
    """Map SynthSeg's name of each layer with weights to the layer, in the network's order."""
    names = {}
    for layer in (layer for layer in model.layers if layer.weights):
        name = layer.name
        for ours, theirs in _QUALITY_NAMES:
            name = re.sub(ours, theirs, name)
        names[f"{QUALITY}_{name}"] = layer
    return names


def _down_levels(
    weights: Weights, part: str, path: str | os.PathLike
) -> tuple[tuple[int, ...], list[int], int]:
    """Infer the way down, and check all of it but what a network of quality adds.

    Returns:
        Shape of the first kernel, feature maps of each level, and convolutions per level.
    """
    pattern = re.compile(rf"{re.escape(part)}_conv_downarm_(\d+)_(\d+)")
    found = [tuple(map(int, m.groups())) for m in map(pattern.fullmatch, weights) if m]
    first = _tensor(weights, f"{part}{_FIRST}", "kernel", path).shape
    if len(first) not in (4, 5) or len(set(first[:-2])) > 1 or 0 in first:
        raise ValueError(
            f"{path}: the tensor {part}{_FIRST}/kernel must be a 2D or 3D kernel of equal sizes. "
            f"Received: shape {first}"
        )
    levels, convolutions = 1 + max(level for level, _ in found), 1 + max(i for _, i in found)
    if levels * convolutions > len(weights):
        raise ValueError(
            f"{path} must hold {convolutions} layers {part}_conv_downarm_* of each of {levels} "
            f"levels. Received: {len(found)}"
        )
    features, expected, channels = [], {}, first[-2]
    for level in range(levels):
        names = [f"{part}_conv_downarm_{level}_{index}" for index in range(convolutions)]
        norm = f"{part}_bn_down_{level}"
        tensors = [t for name in (*names, norm) for t in weights.get(name, {}).values() if t.ndim]
        # What most tensors say: one that does not fit is then the one that is named.
        sizes = Counter(tensor.shape[-1] for tensor in tensors)
        features.append(sizes.most_common(1)[0][0] if sizes else channels)
        for name in names:
            expected[name] = {"kernel": (*first[:-2], channels, features[-1])}
            expected[name]["bias"] = (channels := features[-1],)
        expected[norm] = dict.fromkeys(_NORMALIZATION, (channels,))
    _check(weights, expected, path)
    return first, features, convolutions


def _architecture(
    weights: Weights, part: str, path: str | os.PathLike
) -> tuple[UNetConfig, int, int, int]:
    """Infer configuration, spatial axes, classes and channels, before anything is built."""
    first, features, convolutions = _down_levels(weights, part, path)
    config = UNetConfig(
        features=features[0],
        levels=len(features),
        convolutions=convolutions,
        multiplier=features[1] / features[0] if len(features) > 1 else 2,
        kernel_size=first[0],
        normalization="batch",
        without_skips=_without_skips(weights, part, features, path),
    )
    last, ndim = f"{part}_likelihood", len(first) - 2
    num_outputs = _tensor(weights, last, "bias", path).size
    expected = {
        f"{part}_conv_downarm_{level}_{convolutions - 1}": {"bias": (config.level_features(level),)}
        for level in range(len(features))
    }
    expected[last] = {"kernel": (*[1] * ndim, config.features, num_outputs)}
    _check(weights, expected, path)
    return config, ndim, num_outputs, first[-2]


def _without_skips(
    weights: Weights, part: str, features: list[int], path: str | os.PathLike
) -> int:
    """Count the finest levels whose first kernel on the way up sees only what comes up."""
    levels = len(features)
    for level in range(levels - 1):
        layer = f"{part}_conv_uparm_{2 * levels - 2 - level}_0"
        shape = _tensor(weights, layer, "kernel", path).shape
        if len(shape) < 2 or shape[-2] != features[level + 1]:
            return level
    return levels - 1


def _quality_architecture(
    weights: Weights, path: str | os.PathLike
) -> tuple[int, int, list[int], int]:
    """Infer groups, predictions, feature maps and kernel, before anything is built."""
    first, features, _ = _down_levels(weights, QUALITY, path)
    if len(first) != 5:
        raise ValueError(f"{path}: {QUALITY}{_FIRST}/kernel must be 3D. Received: {first}")
    last = f"{QUALITY}_final_conv_0"
    num_outputs = _tensor(weights, f"{QUALITY}_final_conv_1", "bias", path).size
    _check(weights, {last: {"kernel": (*first[:-2], features[-1], num_outputs)}}, path)
    return first[-2], num_outputs, features, first[0]


def _check(weights: Weights, expected: Shapes, path: str | os.PathLike) -> None:
    """Check some tensors before a network larger than the file is built."""
    known = {
        layer: {name: t for name, t in weights[layer].items() if name in expected[layer]}
        for layer in expected
        if layer in weights
    }
    check_weights(known, expected, path)


def _tensor(weights: Weights, layer: str, name: str, path: str | os.PathLike) -> np.ndarray:
    if name not in weights.get(layer, {}):
        raise ValueError(f"{path} lacks the tensor {layer}/{name} of SynthSeg's networks")
    return weights[layer][name]
