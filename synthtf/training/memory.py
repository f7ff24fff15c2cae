"""How much memory a training step takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

_FLOAT = 4  # bytes
_KEPT = 0.8  # of the outputs of all layers: some share memory
_PER_WEIGHT = 4  # the weight, its gradient, and Adam's two moments


def training_bytes(
    network: keras.Model, shape: Sequence[int], batch_size: int = 1, channels: int = 0
) -> tuple[int, int]:
    """Estimate the memory that a training step of a task network adds to a process.

    What has to be kept for the gradients is 0.8 times the outputs of all layers of the network
    for each sample, and four numbers per weight. TensorFlow on processors in addition unfolds the
    input of a convolution, voxels x input channels x voxels of the kernel, for one sample at a
    time; the widest one counts. The factor was measured for segmentations, with 33 labels and 5
    levels, on two processor cores: with 24 features on 64³ and 96³ voxels, without a mixture on
    64³, and with 12 features on two samples of 64³, the peak of the process over its size before
    was 2.8, 8.5, 2.8 and 1.7 GB, and the estimate between 6 % below and 4 % above it. GPUs and
    other tasks were not measured.

    Args:
        network: With one input image or a dictionary of inputs, spatial sizes open.
        shape: Voxels per axis, each a multiple of what the network needs.
        batch_size: Samples, or pairs, per step.
        channels: Of maps of this shape per sample that the objective compares and the network
            does not make.

    Returns:
        Bytes that any device must hold, and those on processors.
    """
    images, calls = layer_calls(network, shape)
    outputs = images + [output for call in calls for output in call.outputs]
    unfolded = [0] + [
        call.kernel_voxels * math.prod(call.inputs[0].shape[1:]) for call in calls if call.convolves
    ]
    numbers = sum(math.prod(x.shape) for x in outputs) + channels * math.prod(shape)
    weights = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    kept = _FLOAT * (_KEPT * batch_size * numbers + _PER_WEIGHT * weights)
    return int(kept), int(kept + _FLOAT * max(unfolded))


@dataclass(frozen=True)
class LayerCall:
    """One use of a layer in a network, for inputs of a known size.

    Attributes:
        layer: what is called.
        inputs: its tensors, without values.
        outputs: likewise.
    """

    layer: keras.Layer
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]

    @property
    def convolves(self) -> bool:
        """Whether the layer is a convolution."""
        return hasattr(self.layer, "kernel_size")

    @property
    def kernel_voxels(self) -> int:
        """Voxels of the kernel of a convolution."""
        size = self.layer.kernel_size  # a number, of a `HyperConv`
        ndim = len(self.inputs[0].shape) - 2
        return size**ndim if isinstance(size, int) else math.prod(size)


def layer_calls(
    network: keras.Model, shape: Sequence[int]
) -> tuple[list[keras.KerasTensor], list[LayerCall]]:
    """List every call of a layer in a network for one sample, those in models within it too.

    Args:
        network: with one input image or a dictionary of inputs, spatial sizes open.
        shape: voxels per axis, each a multiple of what the network needs.

    Returns:
        The inputs of the network, and the calls.
    """
    calls = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model):
            _walk(layer, args[0], call)
            return layer(*args, **kwargs)
        result = layer(*args, **kwargs)
        inputs, outputs = keras.tree.flatten(args), keras.tree.flatten(result)
        calls.append(LayerCall(layer, tuple(inputs), tuple(outputs)))
        return result

    def sized(x: Any) -> Any:
        # Axes in front of the spatial ones, such as that of several images, have a size of 1.
        more = (1,) * max(0, len(x.shape) - 2 - len(shape))
        return keras.KerasTensor((1, *more, *shape, x.shape[-1]) if len(x.shape) > 2 else (1, 1))

    images = keras.tree.map_structure(sized, network.input)
    _walk(network, images, call)
    return keras.tree.flatten(images), calls


def _walk(network: keras.Model, inputs: Any, call: Any) -> None:
    """Go through a network once more, for inputs of a size, since its own shapes are open."""
    if isinstance(inputs, dict):
        sized = {key: keras.Input(batch_shape=x.shape, name=key) for key, x in inputs.items()}
    else:
        sized = keras.Input(batch_shape=inputs.shape)
    keras.models.clone_model(network, input_tensors=sized, call_function=call)
