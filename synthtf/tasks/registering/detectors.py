"""The detector of features in trained runs: its size and its weights."""

from typing import Any

import keras
import numpy as np

from synthtf.networks import DetectorConfig, detector
from synthtf.runs.run import Run, as_run
from synthtf.tasks.registry import task_of
from synthtf.tasks.task import copied


def detector_of(run: Any) -> DetectorConfig:
    """Give the size of the detector of a run.

    Raises:
        ValueError: if its network has none, nor is one.
    """
    run = as_run(run)
    return task_of(run.metadata).detector_size(run)


def detector_weights(run: Any) -> list[np.ndarray] | None:
    """Give the weights of the detector of a run, or None if it has none."""
    run = as_run(run)
    return task_of(run.metadata).detector_weights(run)


def copy_weights(run: Run, network: keras.Model, same_task: bool) -> bool:
    """Copy all weights, those of the detector, or, of one that is given, all others.

    Args:
        run: with the weights.
        network: registration network that gets them.
        same_task: whether the run is a registration.

    Returns:
        Whether the networks fit.
    """
    finder = detector(network)
    if finder is not None and not finder.trainable:
        return copied(_others(run.task_model), _others(network))
    if same_task and copied(run.task_model.weights, network.weights):
        return True
    return finder is not None and copied(detector_weights(run) or (), finder.weights)


def _others(network: keras.Model) -> list[keras.Variable]:
    """Weights that are not the detector's."""
    finder = detector(network)
    given = {id(weight) for weight in finder.weights} if finder is not None else set()
    return [weight for weight in network.weights if id(weight) not in given]
