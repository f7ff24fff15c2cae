"""Pilots: a plan at half the resolution, or in two dimensions, whose weights begin the real one."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from synthtf.data.geometry import conform_labels, labels_centre
from synthtf.data.label_table import LabelTable
from synthtf.data.map_sources import Conformer, MapGrid, find_sources
from synthtf.ranges import per_axis
from synthtf.training.plan import TrainingPlan

PILOTS = ("half", "2d")


def pilot_of(maps: Any, plan: TrainingPlan) -> tuple[Any, TrainingPlan]:
    """Give what a plan trains on, and the plan, after its option `pilot`.

    Recipe, table and network stay as they are. With "half", voxels are twice as large and there are
    half as many along each axis, rounded up to what the network takes. With "2d", each label map is
    the axial slice through the middle of the brain, or of all its labels if the table knows none.

    Args:
        maps: as for `train_run`.
        plan: what to train.

    Returns:
        The maps and a plan without a pilot.

    Raises:
        ValueError: if there are no maps or real scans are shown in "2d", or the maps are slices.
    """
    if plan.pilot is None:
        return maps, plan
    if maps is None or plan.real is not None or plan.scans is not None:
        raise ValueError(
            f"`pilot` needs label maps, and no real scans. Received: pilot={plan.pilot!r}"
        )
    sources = find_sources(maps)
    spacing = Conformer.of(sources, MapGrid(spacing=plan.spacing)).spacing
    if plan.pilot == "half":
        multiple, shape = plan.task.multiple, plan.shape
        shape = shape and tuple(math.ceil(n / 2 / multiple) * multiple for n in shape)
        spacing = tuple(2.0 * mm for mm in per_axis(spacing, len(spacing)))
        return maps, replace(plan, spacing=spacing, shape=shape, pilot=None)
    if len(spacing) != 3:
        raise ValueError("`pilot` must not be '2d' for label maps of two dimensions")
    slices = [_middle(source, spacing, plan) for source in sources]
    shape = plan.shape and plan.shape[:2]
    return slices, replace(plan, spacing=spacing[:2], shape=shape, pilot=None)


def _middle(source: Any, spacing: tuple[float, ...], plan: TrainingPlan) -> np.ndarray:
    """Give the axial slice through the middle of a label map, at 1 mm as arrays have it."""
    table = None if plan.labels is None else LabelTable.of(plan.labels)
    volume, _ = source.read()
    conformed = conform_labels(volume, (1.0, 1.0, spacing[2]))
    centre = labels_centre(conformed, (table and table.brain_labels) or None, str(source))
    index = conformed.shape[2] // 2 if centre is None else round(centre[2])
    return np.ascontiguousarray(conformed.data[:, :, index])
