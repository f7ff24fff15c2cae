"""Comparing objects that are told apart, such as cells, with a reference."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment

IOU = 0.5
"""Intersection over union from which on two objects count as one."""


@dataclass(frozen=True)
class ObjectMatch:
    """Which objects of two label maps are the same.

    Attributes:
        objects: how many there are.
        reference_objects: how many there are in the reference.
        matched: how many of both are the same.
        mean_iou: mean intersection over union of these; NaN if there are none.
    """

    objects: int
    reference_objects: int
    matched: int
    mean_iou: float

    @property
    def average_precision(self) -> float:
        """Matched objects, relative to all: matched, false and missed ones; NaN without any."""
        every = self.objects + self.reference_objects - self.matched
        return self.matched / every if every else float("nan")


def match_objects(
    prediction: np.ndarray, reference: np.ndarray, threshold: float = IOU
) -> ObjectMatch:
    """Match the objects of two label maps one to one, as many as possible, then the best ones.

    Args:
        prediction: label map of integers, a number for each object and 0 elsewhere.
        reference: label map of the same shape.
        threshold: intersection over union from which on two objects may be matched, in (0, 1].

    Returns:
        How many there are and how many match. `average_precision` is that of the Data Science
        Bowl 2018 and of StarDist.

    Raises:
        ValueError: if the shapes differ, or a map is not of integers.

    Example:
        >>> found, true = np.array([[1, 1, 0, 2]]), np.array([[5, 5, 5, 0]])
        >>> match_objects(found, true).average_precision
        0.5

    Reference:
        Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science
        Bowl, Nature Methods 2019.
    """
    if prediction.shape != reference.shape:
        raise ValueError(
            f"expected label maps of one shape, received {prediction.shape} and {reference.shape}"
        )
    if any(x.dtype.kind not in "iu" for x in (prediction, reference)):
        raise ValueError(
            f"expected label maps of integers, received {prediction.dtype} and {reference.dtype}"
        )
    (found, rows), (true, columns) = (
        np.unique(x.ravel(), return_inverse=True) for x in (prediction, reference)
    )
    shared = sparse.coo_matrix((np.ones(rows.size), (rows, columns))).toarray()
    sizes = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    iou = (shared / np.maximum(sizes, 1))[np.ix_(found != 0, true != 0)]
    allowed = iou >= threshold
    # A match is worth more than all overlaps together, which are at most one each.
    worth = np.where(allowed, iou + min(iou.shape), 0)
    pairs = linear_sum_assignment(worth, maximize=True)
    values = iou[pairs][allowed[pairs]]
    mean = float(values.mean()) if values.size else float("nan")
    return ObjectMatch(*iou.shape, int(values.size), mean)
