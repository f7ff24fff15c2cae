"""The detector of features in a trained run: its size and its weights."""

import numpy as np
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.networks import DetectorConfig, UNetConfig, class_weights, detector
from synthtf.tasks.registration import brain_structures
from synthtf.tasks.run import Run


def detector_of(run: Run) -> DetectorConfig:
    """Give the size of the detector of a run.

    That is a registration of the kind "affine" or "rigid", or a segmentation, whose structures are
    maps that compete for voxels, those of the brain first.

    Raises:
        ValueError: If the run is of another task or kind.
    """
    facts = run.metadata
    if run.task == "segmentation":
        backbone = UNetConfig.from_dict({"side_channel": False, **facts["network"]})
        channel = _structures_first(run.table).index
        pairs = run.output_pairs if backbone.side_channel else ()
        return DetectorConfig(
            len(run.output_labels) - 1,
            backbone,
            halve=False,
            competing=True,
            pairs=tuple((channel(left) - 1, channel(right) - 1) for left, right in pairs),
        )
    if facts.get("kind") not in ("affine", "rigid"):
        raise ValueError(
            f"{run.folder}: expected a segmentation, or a registration of the kind affine or "
            f"rigid. Received: {facts.get('kind', run.task)}"
        )
    return DetectorConfig.from_dict(facts["network"])


def detector_weights(run: Run) -> list[np.ndarray] | None:
    """Give the weights of the detector of a run, or None if it has none."""
    if run.task == "segmentation":
        return _weights_of_structures(run)
    found = detector(run.task_model)
    return None if found is None else found.get_weights()


def _structures_first(table: LabelTable) -> tuple[int, ...]:
    """Output labels in the order of a detector's channels: background, brain, others."""
    structures = brain_structures(table)
    others = [v for v in table.output_labels if v not in (0, *structures)]
    return (0, *structures, *others)


def _weights_of_structures(run: Run) -> list[np.ndarray]:
    """Weights of a segmentation network whose classes are in the order of a detector's channels."""
    order = [run.output_labels.index(label) for label in _structures_first(run.table)]
    last = {id(weight) for weight in class_weights(run.task_model)}
    weights = [(ops.convert_to_numpy(w), id(w) in last) for w in run.task_model.weights]
    return [values[..., order] if chosen else values for values, chosen in weights]
