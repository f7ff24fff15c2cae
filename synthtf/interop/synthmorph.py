"""Reading the published weights of SynthMorph: detectors, and the deformable hypernetwork.

The original loads by order. So names carry no information, and a file may hold the layers of a
network directly, or groups of one network or two, in either order.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from synthtf.interop.ordered_h5 import StoredTensor, ordered_tensors
from synthtf.networks.synthmorph import pooling_detector, velocity_unet

DETECTOR, DEFORMABLE = "detector", "deformable"

_CUBE = 27  # voxels of a kernel
_NDIM = 3
_IMAGES = 2  # of a pair
_SHOWN = {DETECTOR: "an affine or rigid detector", DEFORMABLE: "a deformable network"}


def synthmorph_parts(path: str | os.PathLike) -> tuple[str, ...]:
    """Say which networks of SynthMorph a file holds: "detector", "deformable", or both.

    Args:
        path: path of a file in HDF5 format.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds none; the message names the first tensor that does not fit.
    """
    with ordered_tensors(path) as tensors:
        return tuple(_find(tensors, path))


def load_synthmorph_detector(path: str | os.PathLike) -> keras.Model:
    """Build SynthMorph's affine or rigid detector with published weights.

    Args:
        path: path of a file such as `synthmorph.affine.2.h5` or `synthmorph.rigid.1.h5`; the
            widths, the depth and the number of features follow from it.

    Returns:
        Model as from `synthtf.networks.synthmorph.pooling_detector`: it turns an image in [0, 1],
        `(batch, x, y, z, 1)`, into feature maps.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Hoffmann et al., Anatomy-aware and acquisition-agnostic joint registration with
        SynthMorph, Imaging Neuroscience 2024.
    """
    with ordered_tensors(path) as tensors:
        found = _part(tensors, DETECTOR, path)
        widths = [kernel.shape[-1] for kernel, _ in found.convolutions]
        half = len(widths) // 2
        model = pooling_detector(
            widths[:half], widths[half:-1], widths[-1], name="synthmorph_detector"
        )
        layers = [layer for layer in model.layers if layer.weights]
        for layer, (kernel, bias) in zip(layers, found.convolutions, strict=True):
            layer.kernel.assign(_written(kernel.read(), kernel, path))
            layer.bias.assign(bias.read())
    return model


def load_synthmorph_deformable(path: str | os.PathLike, regularization: float = 0.5) -> keras.Model:
    """Build SynthMorph's deformable network with published weights, for one regularisation.

    The weights of the convolutions are functions of the regularisation, thirty times as large as
    the convolutions themselves. They are computed here, one by one, so that they never fill the
    memory.

    Args:
        path: path of a file such as `synthmorph.deform.3.h5`; widths and depth follow from it.
        regularization: λ in (0, 1), how smooth a deformation shall be. Default as in SynthMorph.

    Returns:
        Model as from `synthtf.networks.synthmorph.velocity_unet`: it turns a pair of images in
        [0, 1], `(batch, x, y, z, 2)`, into a velocity in their voxels.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network, with the first tensor that does not
            fit; or if λ is outside (0, 1).

    Reference:
        Hoffmann et al., Anatomy-aware and acquisition-agnostic joint registration with
        SynthMorph, Imaging Neuroscience 2024. Hoopes et al., Learning the effect of registration
        hyperparameters with HyperMorph, MELBA 2022.
    """
    if not 0 < regularization < 1:
        raise ValueError(
            f"`regularization` must lie in (0, 1). Received: regularization={regularization:g}"
        )
    with ordered_tensors(path) as tensors:
        found = _part(tensors, DEFORMABLE, path)
        hyper = np.array([regularization], "float32")
        for kernel, bias in found.dense:
            hyper = np.maximum(hyper @ kernel.read() + bias.read(), 0)
        widths = [outputs.shape[-1] for _, _, outputs, _ in found.convolutions]
        model = velocity_unet(
            widths[: found.levels], widths[found.levels : -1], name="synthmorph_deformable"
        )
        # In the order of a functional model's graph, which is the network's own.
        layers = [layer for layer in model.layers if layer.weights]
        for layer, (kernel, start, slope, bias) in zip(layers, found.convolutions, strict=True):
            values = _written(hyper @ kernel.read() + start.read(), kernel, path)
            layer.kernel.assign(values.reshape(layer.kernel.shape))
            layer.bias.assign(hyper @ slope.read() + bias.read())
    return model


@dataclass(frozen=True)
class _Found:
    """The tensors of a network, in groups, one per layer.

    Attributes:
        convolutions: kernel and bias of each; in a hypernetwork the kernel's slope and value at
            zero, and the bias' slope and value at zero.
        dense: kernel and bias of the layers of a hypernetwork before them.
        levels: convolutions on the way down.
    """

    convolutions: list[tuple[StoredTensor, ...]]
    dense: Sequence[tuple[StoredTensor, ...]] = ()
    levels: int = 0


def _part(tensors: list[StoredTensor], kind: str, path: str | os.PathLike) -> _Found:
    found = _find(tensors, path, kind)
    if kind not in found:
        raise ValueError(
            f"{path} must hold {_SHOWN[kind]} of SynthMorph. Received: {_SHOWN[next(iter(found))]}"
        )
    return found[kind]


def _find(
    tensors: list[StoredTensor], path: str | os.PathLike, kind: str | None = None
) -> dict[str, _Found]:
    """Find the networks in a file: all that it holds, else the first layer that is one."""
    try:
        return _parse(tensors, path)
    except ValueError:
        for layer in dict.fromkeys(tensor.layer for tensor in tensors):
            try:
                found = _parse([tensor for tensor in tensors if tensor.layer == layer], path)
            except ValueError:
                continue
            if kind is None or kind in found:
                return found
        raise


def _parse(tensors: list[StoredTensor], path: str | os.PathLike) -> dict[str, _Found]:
    """Read tensors as one network after the other."""
    rest = _Rest(tensors, path)
    found: dict[str, _Found] = {}
    while rest.next or not found:
        is_detector = rest.next is None or len(rest.next.shape) != 2
        kind, parse = (DETECTOR, _detector) if is_detector else (DEFORMABLE, _deformable)
        if kind in found:
            raise rest.fault("is one more than SynthMorph's networks have")
        found[kind] = parse(rest)
    return found


class _Rest:
    """The tensors that are still to be read, in order."""

    def __init__(self, tensors: list[StoredTensor], path: str | os.PathLike) -> None:
        self.tensors, self.path = tensors, path

    @property
    def next(self) -> StoredTensor | None:
        """The tensor that comes next, if there is one."""
        return self.tensors[0] if self.tensors else None

    def take(self, *shape: int | None) -> StoredTensor:
        """Take the next tensor, which must have a shape; None stands for any size."""
        tensor = self.next
        if tensor is None or len(tensor.shape) != len(shape):
            raise self.fault(f"must be of the shape {_shown(shape)}")
        if any(n not in (None, m) for n, m in zip(shape, tensor.shape, strict=True)):
            raise self.fault(f"must be of the shape {_shown(shape)}")
        if 0 in tensor.shape:
            raise self.fault("must not be empty")
        self.tensors = self.tensors[1:]
        return tensor

    def fault(self, reason: str, tensor: StoredTensor | None = None) -> ValueError:
        """The error that the tensor that comes next, or another one, does not fit."""
        tensor = tensor or self.next
        if tensor is None:
            return ValueError(f"{self.path} ends too early: its next tensor {reason}")
        return ValueError(
            f"{self.path}: the tensor {tensor.name} {reason}. Received: {tensor.shape}"
        )


def _written(values: np.ndarray, tensor: StoredTensor, path: str | os.PathLike) -> np.ndarray:
    """Refuse a kernel that is all zero, as one that was never written."""
    if not values.any():
        raise ValueError(f"{path}: the tensor {tensor.name} is all zero: it was never written")
    return values


def _shown(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if n is None else str(n) for n in shape)}{',' * (len(shape) == 1)})"


def _detector(rest: _Rest) -> _Found:
    """Read convolutions: as many with pooling as without, and the last one."""
    convolutions: list[tuple[StoredTensor, ...]] = []
    channels = 1
    while not convolutions or (rest.next is not None and len(rest.next.shape) != 2):
        kernel = rest.take(3, 3, 3, channels, None)
        channels = kernel.shape[-1]
        convolutions.append((kernel, rest.take(channels)))
    if len(convolutions) < 3 or len(convolutions) % 2 == 0:
        raise rest.fault(
            f"must be a kernel of shape {_shown((3, 3, 3, channels, None))}: a detector has an odd "
            f"number of convolutions, at least 3, not {len(convolutions)}"
        )
    return _Found(convolutions)


def _deformable(rest: _Rest) -> _Found:
    """Read dense layers and, after them, hyper-convolutions."""
    dense: list[tuple[StoredTensor, ...]] = []
    units = 1
    while not dense or not _begins_convolutions(rest.tensors, units):
        kernel = rest.take(units, None)
        units = kernel.shape[-1]
        dense.append((kernel, rest.take(units)))
    convolutions: list[tuple[StoredTensor, ...]] = []
    while not convolutions or (rest.next is not None and len(rest.next.shape) == 2):
        slope = rest.take(units, None)
        start = rest.take(slope.shape[-1])
        bias_slope = rest.take(units, None)
        convolutions.append((slope, start, bias_slope, rest.take(bias_slope.shape[-1])))
    return _Found(convolutions, dense, _levels(convolutions, rest))


def _begins_convolutions(tensors: list[StoredTensor], units: int) -> bool:
    """Whether the next layer has a kernel of its own for its bias, as no dense layer does."""
    if len(tensors) < 3 or any(len(tensors[index].shape) != 2 for index in (0, 2)):
        return False
    (_, size), (inputs, outputs) = tensors[0].shape, tensors[2].shape
    return inputs == units and (size != units or size == _CUBE * _IMAGES * outputs)


def _levels(convolutions: list[tuple[StoredTensor, ...]], rest: _Rest) -> int:
    """Find out from the inputs of all convolutions where skip connections begin; check them."""
    widths = [bias.shape[-1] for *_, bias in convolutions]
    # The number of inputs of each convolution, times its outputs and the voxels of its kernel.
    sizes = [slope.shape[-1] for slope, *_ in convolutions]
    before = [_IMAGES, *widths[:-1]]
    plain = [_CUBE * i * o for i, o in zip(before, widths, strict=True)]
    skips = [index for index in range(2, len(sizes)) if sizes[index] != plain[index]]
    levels = skips[0] - 1 if skips else max(1, len(sizes) - 1)
    for index, (slope, *_) in enumerate(convolutions):
        inputs = before[index]
        if levels < index <= 2 * levels:
            inputs += widths[2 * levels - index]
        size = _CUBE * inputs * widths[index]
        if sizes[index] != size:
            raise rest.fault(f"must be of the shape {_shown((slope.shape[0], size))}", slope)
    if len(sizes) <= 2 * levels:
        raise rest.fault(
            f"must be that of one of {2 * levels + 1} convolutions or more: there are {levels} "
            f"levels. The file has {len(sizes)} convolutions"
        )
    if widths[-1] != _NDIM:
        raise rest.fault(f"must be of the shape ({_NDIM},)", convolutions[-1][-1])
    return levels
