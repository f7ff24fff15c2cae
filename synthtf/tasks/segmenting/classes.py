"""Weights of a network for other classes: what the labels in common have learned is kept."""

import math

import numpy as np
from keras import ops

from synthtf.networks import has_sides, side_spread, trained_class_layer
from synthtf.runs.run import Run
from synthtf.tasks.task import as_kernel, copied

# By which the logit of a new class is below that of what it begins from: its posterior is then a
# fifth, enough to learn from. A side channel lowers that of the likelier side by log 2 at most.
_LOWER = math.log(4)


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
    kernels = [layer.kernel for layer in layers]
    wide = (*kernels[1].shape[:-1], kernels[0].shape[-1])
    if as_kernel(kernels[0], wide) is None or not copied(*others):
        return False
    origins = [_origins(label, run, target) for label in _channels(target)]
    for source, result in zip(layers[0].weights, layers[1].weights, strict=True):
        fitting = as_kernel(source, (*result.shape[:-1], source.shape[-1]))
        result.assign(_chosen(ops.convert_to_numpy(fitting), origins))
    return True


def _chosen(values: np.ndarray, origins: list[int | list[int]]) -> np.ndarray:
    """Pick columns of the last axis; a new one is the mean of several, biases less `_LOWER`."""
    lower = _LOWER if values.ndim == 1 else 0.0
    columns = [
        values[..., c] if isinstance(c, int) else values[..., c].mean(axis=-1) - lower
        for c in origins
    ]
    return np.stack(columns, axis=-1)


def _origins(label: int, run: Run, target: Run) -> int | list[int]:
    """Channel of a label in a run, or those that a label begins from that it does not have."""
    known = _channels(run)
    if label in known:
        return known.index(label)
    partners = {right: left for left, right in run.output_pairs}
    parts = [v for v, output in target.table.mapping.items() if output == label]
    counted = {run.table.mapping[v] for v in parts if v in run.table.mapping}
    found = {partners.get(v, v) if v not in known else v for v in counted}
    return sorted(known.index(v) for v in found) or list(range(len(known)))


def _channels(run: Run) -> list[int]:
    """Label of each channel of the last layer that is trained; of a pair, the first one."""
    partners = {right for _, right in run.output_pairs} if has_sides(run.task_model) else set()
    return [label for label in run.output_labels if label not in partners]
