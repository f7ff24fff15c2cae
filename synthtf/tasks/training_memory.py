"""How much memory a training step takes."""

import math
from collections.abc import Sequence

import keras

from synthtf.networks import UNetConfig, unet

_FLOAT = 4  # bytes
_KEPT = 0.8  # of the outputs of all layers: some share memory
_PER_WEIGHT = 4  # the weight, its gradient, and Adam's two moments


def training_bytes(
    network: UNetConfig, shape: Sequence[int], num_outputs: int, batch_size: int = 1
) -> tuple[int, int]:
    """Estimate the memory that a training step of a segmentation network adds to a process.

    What has to be kept for the gradients is 0.8 times the outputs of all layers of the network
    for each sample, and four numbers per weight. TensorFlow on processors in addition unfolds the
    input of a convolution, voxels x input channels x voxels of the kernel, for one sample at a
    time; the widest one counts. The factor was measured, with 33 labels and 5 levels, on two
    processor cores: with 24 features on 64³ and 96³ voxels, without a mixture on 64³, and with 12
    features on two samples of 64³, the peak of the process over its size before was 2.8, 8.5, 2.8
    and 1.7 GB, and the estimate between 6 % below and 4 % above it. GPUs were not measured.

    Args:
        network: Size of the U-Net.
        shape: Voxels per axis, each a multiple of `network.multiple`.
        num_outputs: Output labels.
        batch_size: Samples per step.

    Returns:
        Bytes that any device must hold, and those on processors.
    """
    model = unet(num_outputs, len(shape), network)
    # Once more on an image of this size, since the shapes of the network itself are open.
    sized = keras.models.clone_model(model, input_tensors=keras.Input((*shape, 1)))
    tensors = [tensor for op in sized.operations for tensor in keras.tree.flatten(op.output)]
    numbers = sum(math.prod(tensor.shape[1:]) for tensor in tensors)
    weights = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    kept = _FLOAT * (_KEPT * batch_size * numbers + _PER_WEIGHT * weights)
    unfolded = max(
        math.prod(layer.kernel_size) * math.prod(layer.input.shape[1:])
        for layer in sized.layers
        if hasattr(layer, "kernel_size")
    )
    return int(kept), int(kept + _FLOAT * unfolded)
