"""What a training step costs, said before it where that is much."""

import math
import os
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from synthtf import xla
from synthtf.training.memory import layer_calls, training_bytes

if TYPE_CHECKING:
    from synthtf.training.combined import CombinedModel

_MUCH = 10.0  # seconds per step that are worth a word
# Fewer operations take less than that on any processor: nothing is measured.
_CHEAP = 1e11
_PASSES = 3  # forward, and backward to the inputs and to the weights
_SIDE, _CHANNELS = 24, 24  # of the convolution that the rate is measured on


@dataclass(frozen=True)
class StepCost:
    """Estimate of a training step.

    Attributes:
        operations: Multiplications and additions of the convolutions.
        memory: Bytes that the step adds to a process on a processor, see `training_bytes`.
    """

    operations: float
    memory: int


def step_cost(model: "CombinedModel", batch_size: int = 1) -> StepCost:
    """Estimate the cost of a training step of a combined model.

    A convolution takes two operations per weight and voxel, and twice as many again on the way
    back if its weights are learned. The synthesis is left out: it costs little where a network
    costs much.

    Args:
        model: Whose synthesis makes images of a fixed shape.
        batch_size: Samples, or pairs, per step.

    Returns:
        The estimate.
    """
    shape = _shape(model)
    operations = 0
    for call in layer_calls(model.task_model, shape)[1]:
        if call.convolves:
            weights = call.kernel_voxels * call.inputs[0].shape[-1] * call.outputs[0].shape[-1]
            passes = _PASSES if call.layer.trainable else 1
            operations += 2 * passes * weights * math.prod(call.outputs[0].shape[1:-1])
    memory = training_bytes(model.task_model, shape, batch_size)[1]
    return StepCost(float(batch_size * operations), memory)


def warn_of_cost(model: "CombinedModel", data: Any, verbose: int | str = "auto") -> None:
    """Warn before a training whose steps take long, or more memory than there is.

    Nothing is said on a GPU. The rate of this machine is measured, by a small convolution, only
    where the number of operations calls for it.

    Args:
        model: To train.
        data: What it is trained on; its `batch_size` counts, if it has one.
        verbose: Of `fit`; 0 for no warning.
    """
    if not verbose or xla.has_accelerator():
        return
    batch_size = max(1, (getattr(data, "batch_size", 1) or 1) // model.maps_per_sample)
    if _most_operations(model, batch_size) < _CHEAP:
        return
    cost = step_cost(model, batch_size)
    if cost.operations < _CHEAP:
        return
    seconds = cost.operations / measured_rate()
    memory = _memory_of_machine()
    if seconds < _MUCH and cost.memory < memory:
        return
    cores = os.cpu_count() or 1
    room = f", more than the {_gigabytes(memory)} of this machine" * (cost.memory >= memory)
    warnings.warn(
        f"a step takes about {cost.operations:.1e} operations, {_readable(seconds)} on this "
        f"machine of {cores} core{'s' * (cores > 1)}, and {_gigabytes(cost.memory)} of memory"
        f"{room}; choose a smaller shape, a larger spacing or fewer features, or use a GPU",
        UserWarning,
        stacklevel=3,
    )


def measured_rate() -> float:
    """Operations per second of convolutions on this machine as it is now."""
    shape = (1, *(_SIDE,) * 3, _CHANNELS)
    image = keras.ops.ones(shape, "float32")
    kernel = keras.ops.ones((3, 3, 3, _CHANNELS, _CHANNELS), "float32")
    durations = []
    for _ in range(4):
        start = time.perf_counter()
        made = keras.ops.conv(image, kernel, padding="same", data_format="channels_last")
        np.asarray(keras.ops.convert_to_numpy(made))
        durations.append(time.perf_counter() - start)
    # The first one also compiles, or wakes threads.
    return 2 * 27 * _CHANNELS**2 * _SIDE**3 / min(durations[1:])


def _most_operations(model: "CombinedModel", batch_size: int) -> float:
    """Bound that needs no walk through the network: every weight works at every voxel."""
    weights = sum(math.prod(w.shape) for w in model.task_model.weights)
    return 2.0 * _PASSES * weights * math.prod(_shape(model)) * batch_size * model.maps_per_sample


def _shape(model: "CombinedModel") -> tuple[int, ...]:
    """Voxels per axis of the synthetic images."""
    images = model.synthesis.output
    return tuple(images["image" if "image" in images else "moving"].shape[1:-1])


def _memory_of_machine() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not on this system
        return math.inf


def _gigabytes(number: float) -> str:
    return f"{number / 1e9:.{1 if number < 1e10 else 0}f} GB"


def _readable(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes"
