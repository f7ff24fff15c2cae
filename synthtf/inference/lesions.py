"""Lesions among the labels of a network."""

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_LESION = re.compile(r"lesion|hyp(er|o)-?intens|\bwmh\b", re.IGNORECASE)


def lesion_labels(run: "Run") -> tuple[int, ...]:
    """Output labels that are lesions, or parts of lesions, by their tissue or their name.

    Args:
        run: Of a segmentation.

    Returns:
        Label values; none for a network that knows no lesions.
    """
    rows = zip(run.table.ids, run.table.names, run.table.groups, strict=True)
    found = {v for v, name, group in rows if _LESION.search(name) or _LESION.search(group)}
    return tuple(v for v in run.output_labels if v and v in found)


def check_lesions(run: "Run") -> tuple[int, ...]:
    """Give `lesion_labels`.

    Raises:
        ValueError: If there is none.
    """
    found = lesion_labels(run)
    if not found:
        raise ValueError(
            f"{run.name}: has no label for lesions; train one with a recipe that has a step "
            "RandomLesions, such as `lesions`"
        )
    return found


def count_lesions(labels: np.ndarray, values: tuple[int, ...]) -> int:
    """Count lesions: pieces that no face, edge or corner of a voxel joins.

    Args:
        labels: `(x, y, z)`, a segmentation.
        values: Labels that are lesions.
    """
    from scipy import ndimage

    return ndimage.label(np.isin(labels, values), np.ones((3, 3, 3)))[1]
