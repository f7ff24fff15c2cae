"""Pieces of a segmentation that cannot be: islands of structures that are one piece."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.defaults import MINIMUM_SIZE

if TYPE_CHECKING:
    from synthtf.data.label_table import LabelTable

# What one structure of a side, or of the middle, is called in FreeSurfer's and our tables.
_ONE_PIECE = re.compile(
    r"thalamus|caudate|putamen|pallidum|hippocampus|amygdala|accumbens|ventral[ -]?(dc|dienceph)"
    r"|brain[ -]?stem|(3rd|4th|third|fourth)[ -]ventricle|cerebell",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Cleaning:
    """What is removed from a segmentation.

    Attributes:
        largest_pieces: Whether to keep only the largest piece of the foreground, and of each of
            the classes that `one_piece_classes` lists.
        minimum_size: Volume in mm³ below which a piece of any label is removed.

    Raises:
        ValueError: If the size is negative or not finite.
    """

    largest_pieces: bool = True
    minimum_size: float = MINIMUM_SIZE

    def __post_init__(self) -> None:
        """Check the size."""
        if not (math.isfinite(self.minimum_size) and self.minimum_size >= 0):
            raise ValueError(
                f"minimum_size must be a volume of at least 0 mm³, received {self.minimum_size}"
            )

    def apply(self, posteriors: np.ndarray, classes: Sequence[Sequence[int]], voxel: float) -> None:
        """Clean posteriors, in place.

        Args:
            posteriors: `(x, y, z, labels)`, float, summing to one; the first is the background.
            classes: Channels of each class that is one piece, from `one_piece_classes`.
            voxel: Volume of a voxel in mm³.
        """
        if self.largest_pieces:
            keep_largest_component(posteriors)
            remove_islands(posteriors, classes)
        if self.minimum_size:
            every = [[channel] for channel in range(1, posteriors.shape[-1])]
            remove_islands(posteriors, every, math.ceil(self.minimum_size / voxel))


def one_piece_classes(table: "LabelTable", outputs: Sequence[int]) -> list[list[int]]:
    """Channels of the classes of labels that form one piece in every brain.

    These are the brain without the CSF around it, its left and its right side, and each of the
    deep grey structures, parts of the cerebellum and the brain stem, and the third and the fourth
    ventricle, which are known by their names. White matter, cortex and lateral ventricles are
    left out, whose thin parts a segmentation may miss: what lies beyond is no island. On three
    scans, they cost as much as they won, as did filling holes; vessels and lesions may be holes.

    Args:
        table: Labels with names, sides, and which belong to the brain.
        outputs: Label value of each channel; the first is the background.

    Returns:
        Lists of channels; none of them is empty.
    """
    row = {value: index for index, value in enumerate(table.ids)}
    known = [(channel, row[v]) for channel, v in enumerate(outputs) if channel and v in row]
    brain = [channel for channel, index in known if table.brain[index] == "yes"]
    sides = [
        [c for c, index in known if c in brain and table.sides[index] == side]
        for side in ("left", "right")
    ]
    single = [[c] for c, index in known if _ONE_PIECE.search(table.names[index])]
    return [channels for channels in (brain, *sides, *single) if channels]


def keep_largest_component(posteriors: np.ndarray, threshold: float = 0.25) -> None:
    """Keep the largest connected component of the union of all foreground classes.

    Elsewhere the posteriors become background, in place. Voxels are connected
    through their faces.

    Args:
        posteriors: `(x, y, z, classes)`, float, summing to one; the first class is
            the background. Changed in place.
        threshold: Sum of the foreground posteriors above which a voxel belongs to
            the union.

    Reference:
        The threshold of SynthSeg's post-processing (Billot et al., 2023).
    """
    from scipy import ndimage

    components, count = ndimage.label(1 - posteriors[..., 0] > threshold)
    if count == 0:
        return
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    removed = components != sizes.argmax()
    posteriors[removed] = 0
    posteriors[removed, 0] = 1


def largest_filled(inside: np.ndarray) -> np.ndarray:
    """Keep the largest connected component of a mask, and fill its holes.

    Voxels are connected through their faces.

    Args:
        inside: boolean array.

    Returns:
        Boolean array of the same shape.
    """
    from scipy import ndimage

    components, count = ndimage.label(inside)
    if count > 1:
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        inside = components == sizes.argmax()
    return ndimage.binary_fill_holes(inside)


def remove_islands(
    posteriors: np.ndarray, classes: Sequence[Sequence[int]], minimum: int | None = None
) -> None:
    """Give islands of each class to what is the most likely beside it, in place.

    A voxel belongs to a class if its most likely label does. In an island, the posteriors of the
    class become 0, and the others are scaled to sum to one.

    Args:
        posteriors: `(x, y, z, labels)`, float, summing to one. Changed in place.
        classes: Channels of each class.
        minimum: Voxels below which a piece is an island; None: all but the largest piece are.

    Reference:
        Topological classes of SynthSeg's post-processing (Billot et al., 2023), which leaves
        holes where islands were.
    """
    from scipy import ndimage

    labels = posteriors.argmax(axis=-1).astype(np.int16)
    boxes = ndimage.find_objects(labels)  # of labels from 1 on, so of channels from 1 on
    boxes += [None] * (posteriors.shape[-1] - 1 - len(boxes))
    for channels in classes:
        found = [boxes[channel - 1] for channel in channels if boxes[channel - 1] is not None]
        if not found:
            continue
        box = tuple(
            slice(min(p.start for p in parts), max(p.stop for p in parts))
            for parts in zip(*found, strict=True)
        )
        member = np.zeros(posteriors.shape[-1], bool)
        member[list(channels)] = True
        pieces, count = ndimage.label(member[labels[box]])
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        island = sizes < minimum if minimum is not None else np.arange(count + 1) != sizes.argmax()
        island[0] = False
        if island.any():
            _give_away(posteriors[box], island[pieces], channels)


def _give_away(posteriors: np.ndarray, voxels: np.ndarray, channels: Sequence[int]) -> None:
    values = posteriors[voxels]
    values[:, list(channels)] = 0
    total = values.sum(axis=-1, keepdims=True)
    # Where nothing else is likely at all, background is.
    values[:, :1] = np.where(total > 0, values[:, :1], 1)
    posteriors[voxels] = values / np.where(total > 0, total, 1)
