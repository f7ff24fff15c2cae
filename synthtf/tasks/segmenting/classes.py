"""Weights of a network for other classes: what the labels in common have learned is kept."""

import math

import numpy as np
from keras import ops

from synthtf.networks import has_sides, side_spread, trained_class_layer
from synthtf.runs.run import Run
from synthtf.tasks.task import copied


def copy_weights(run: Run, target: Run) -> bool:
    """Copy the weights of a network of segmentation to one that may have other output labels.

    Args:
        run: with the weights.
        target: whose network gets them.

    Returns:
        Whether the networks fit but for their classes.
    """
    old, new = run.task_model, target.task_model
    if has_sides(old) != has_sides(new):
        return False
    layers = [trained_class_layer(network) for network in (old, new)]
    skipped = {id(w) for layer in layers for w in layer.weights}
    skipped |= {id(w) for network in (old, new) for w in side_spread(network)}
    others = [[w for w in network.weights if id(w) not in skipped] for network in (old, new)]
    if layers[0].kernel.shape[:-1] != layers[1].kernel.shape[:-1] or not copied(*others):
        return False
    known = _channels(run)
    columns = [known.index(v) if v in known else None for v in _channels(target)]
    for source, result in zip(layers[0].weights, layers[1].weights, strict=True):
        result.assign(_chosen(ops.convert_to_numpy(source), columns))
    return True


def _chosen(values: np.ndarray, columns: list[int | None]) -> np.ndarray:
    """Pick columns of the last axis; one of None is the mean of all, biases less log 2."""
    # Side channels lower the logits of the likelier side by up to log 2.
    mean = values.mean(axis=-1) - (math.log(2) if values.ndim == 1 else 0.0)
    return np.stack([mean if c is None else values[..., c] for c in columns], axis=-1)


def _channels(run: Run) -> list[int]:
    """Label of each channel of the last layer that is trained; of a pair, the first one."""
    partners = {right for _, right in run.output_pairs} if has_sides(run.task_model) else set()
    return [label for label in run.output_labels if label not in partners]
