"""Survey of one label map: its labels and where they lie, counted once for many checks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthtf.data.geometry import orientation, reorient
from synthtf.data.label_table import count_labels
from synthtf.data.map_sources import MapSource

MOST_LABELS = 4096
"""Largest number of labels. A map with more values counts as an image."""

_BORDERS = {"R": ("left", "right"), "A": ("back", "front"), "S": ("bottom", "top")}


@dataclass(frozen=True, eq=False)
class MapSurvey:
    """Shape, labels and their extent in one label map.

    Attributes:
        name: name of the file or array, for messages.
        stored: orientation of the file, such as "LIA".
        axes: orientation of the attributes below: "RAS", or two of its letters in 2D.
        shape: number of voxels per axis.
        spacing: mm per voxel, one per axis.
        labels: labels that occur, sorted.
        profiles: for each axis, the number of voxels of each label in each slice across it,
            int64 `(len(labels), shape[axis])`.
        digest: checksum of the voxels, the same for two maps of the same content.
        notes: warnings from reading the file.
    """

    name: str
    stored: str
    axes: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    labels: tuple[int, ...]
    profiles: tuple[np.ndarray, ...]
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def counts(self) -> dict[int, int]:
        """Mapping from each label to its number of voxels."""
        return dict(zip(self.labels, self.profiles[0].sum(1).tolist(), strict=True))

    @property
    def is_empty(self) -> bool:
        """Whether the map is all background."""
        return not any(self.labels)

    def profile(self, labels: Sequence[int], axis: int) -> np.ndarray:
        """Return the total number of voxels of some labels in each slice across an axis."""
        return self.profiles[axis][np.isin(self.labels, list(labels))].sum(0)

    def extent(self, labels: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
        """Return the first and last voxel of some labels along each axis, or None."""
        found = [np.flatnonzero(self.profile(labels, axis)) for axis in range(self.ndim)]
        if not found[0].size:
            return None
        return tuple((int(at[0]), int(at[-1])) for at in found)

    def position(self, labels: Sequence[int], axis: int) -> float | None:
        """Return the barycentre of some labels along an axis in mm, or None if none occurs."""
        profile = self.profile(labels, axis)
        if not profile.any():
            return None
        return float(profile @ np.arange(profile.size) / profile.sum() * self.spacing[axis])

    def cut(self, labels: Sequence[int]) -> dict[str, int]:
        """Return the borders of the volume that labels touch, with the number of voxels."""
        touched = {}
        for axis, letter in enumerate(self.axes):
            profile = self.profile(labels, axis)
            for border, voxels in zip(_BORDERS[letter], (profile[0], profile[-1]), strict=True):
                if voxels and profile.size > 1:
                    touched[border] = int(voxels)
        return touched


def survey_map(source: MapSource) -> MapSurvey:
    """Read a label map and count its labels.

    Args:
        source: label map.

    Returns:
        The survey.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, is not a label map, or has more than `MOST_LABELS`
            values.

    Example:
        >>> survey = survey_map(MapSource("square", array=np.eye(3, dtype="int32")))
        >>> survey.counts, survey.extent([1])
        ({0: 6, 1: 3}, ((0, 2), (0, 2)))
    """
    volume, notes = source.read()
    counts = count_labels(volume.data)
    if len(counts) > MOST_LABELS:
        raise ValueError(f"{source}: {len(counts):,} different values; is this an image?")
    ras = reorient(volume)
    labels = tuple(counts)
    return MapSurvey(
        name=str(source),
        stored=orientation(volume),
        axes=orientation(ras),
        shape=ras.shape,
        spacing=ras.spacing,
        labels=labels,
        profiles=_profiles(_positions(ras.data, labels), len(labels)),
        digest=_digest(ras.data),
        notes=tuple(notes),
    )


def _digest(data: np.ndarray) -> str:
    digest = hashlib.blake2b(repr(data.shape).encode(), digest_size=16)
    digest.update(data)
    return digest.hexdigest()


def _positions(data: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Replace each label by its place in a sorted list."""
    if labels[-1] >= 2**16:
        return np.searchsorted(labels, data)
    places = np.zeros(labels[-1] + 1, np.int32)
    places[list(labels)] = np.arange(len(labels))
    return places[data]


def _profiles(positions: np.ndarray, num: int) -> tuple[np.ndarray, ...]:
    """Count in slabs along the first axis, to bound memory."""
    profiles = [np.zeros((num, size), np.int64) for size in positions.shape]
    for i, slab in enumerate(positions):
        profiles[0][:, i] = np.bincount(slab.ravel(), minlength=num)
        for axis, size in enumerate(slab.shape):
            ramp = np.arange(size).reshape([-1 if a == axis else 1 for a in range(slab.ndim)])
            flat = (slab * size + ramp).ravel()
            profiles[axis + 1] += np.bincount(flat, minlength=num * size).reshape(num, size)
    return tuple(profiles)
