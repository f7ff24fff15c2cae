"""A trained segmentation as a detector of features: its structures compete for voxels."""

import numpy as np
from keras import ops

from synthtf.networks import DetectorConfig, UNetConfig, class_weights
from synthtf.runs.run import Run


def detector_size(network: UNetConfig, run: Run) -> DetectorConfig:
    """Give the size of the detector that a network is, its structures of the brain first."""
    channel = _structures_first(run).index
    pairs = run.output_pairs if network.side_channel else ()
    return DetectorConfig(
        len(run.output_labels) - 1,
        network,
        halve=False,
        competing=True,
        pairs=tuple((channel(left) - 1, channel(right) - 1) for left, right in pairs),
    )


def detector_weights(run: Run) -> list[np.ndarray]:
    """Give the weights of a network whose classes are in the order of a detector's channels."""
    order = [run.output_labels.index(label) for label in _structures_first(run)]
    last = {id(weight) for weight in class_weights(run.task_model)}
    weights = [(ops.convert_to_numpy(w), id(w) in last) for w in run.task_model.weights]
    return [values[..., order] if chosen else values for values, chosen in weights]


def _structures_first(run: Run) -> tuple[int, ...]:
    """Output labels in the order of a detector's channels: background, brain, others."""
    structures = run.table.brain_outputs
    others = [v for v in run.table.output_labels if v not in (0, *structures)]
    return (0, *structures, *others)
