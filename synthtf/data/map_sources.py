"""Sources of label maps: files or arrays, read and conformed on demand."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from synthtf.data.geometry import (
    conform_labels,
    crop_or_pad,
    labels_centre,
    orientation,
    per_axis,
    resampled_size,
)
from synthtf.data.map_scans import MapScan, find_scans
from synthtf.data.paths import expand_inputs, stem
from synthtf.data.volumes import Volume, as_labels, read_geometry, read_with_notes


@dataclass(frozen=True)
class MapGrid:
    """The grid that label maps are conformed to.

    Attributes:
        shape: number of voxels, a scalar or one per RAS axis. Default: the smallest box that
            holds the whole extent of every map, each centred.
        spacing: mm per voxel, a scalar or one per RAS axis. Default: the spacing of the first
            map.
        centre_on: labels whose bounding box is centred in `shape`; without `shape`, whole maps
            are centred. Default: all labels except 0.
    """

    shape: int | Sequence[int] | None = None
    spacing: float | Sequence[float] | None = None
    centre_on: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a source holds, on the grid of the data set.

    Attributes:
        labels: the conformed label map.
        scan: its real scan, float32 in [0, 1], or None.
        notes: one line per warning.
    """

    labels: Volume
    scan: np.ndarray | None
    notes: list[str]


@dataclass(frozen=True, eq=False)
class MapSource:
    """A label map that is read when it is needed.

    Attributes:
        has_labels: whether there is a label map at all, or a real scan alone.
        name: name of the map, for messages and tables.
        path: path of the file, or None.
        array: the array, or None.
        scan: its real scan, if there is one.
    """

    has_labels: ClassVar[bool] = True

    name: str
    path: Path | None = None
    array: np.ndarray | None = None
    scan: MapScan | None = None

    def read(self) -> tuple[Volume, list[str]]:
        """Return the label map as stored, int32, and one line per warning.

        Raises:
            ValueError: if the map cannot be used; the message names the file.
        """
        if self.path is None:
            return Volume(as_labels(self.array, self.name), np.eye(4)), []
        return read_with_notes(self.path, labels=True)

    def frame(self) -> Volume:
        """Return the extent of the map without its voxels, from the header alone."""
        if self.path is None:
            return Volume(self.array, np.eye(4))
        shape, affine = read_geometry(self.path)
        # One byte for the whole volume, since only shape and affine are used.
        return Volume(np.broadcast_to(np.uint8(0), shape), affine, path=self.path)

    def read_scan(self, to: Volume) -> tuple[np.ndarray, list[str]]:
        """Return its real scan on a conformed grid, float32 in [0, 1], and one line per warning.

        Args:
            to: the conformed label map.

        Raises:
            ValueError: as `MapScan.conform`.
        """
        volume, notes = self.scan.read(self.frame())
        return self.scan.conform(volume, to), notes

    def load(
        self, conform: "Conformer", check: Callable[[np.ndarray], None] | None = None
    ) -> Loaded:
        """Read the label map and its scan, and bring them to a grid.

        A map that is all background on the grid has no scan.

        Args:
            conform: the grid.
            check: is called with the label map as stored.

        Raises:
            ValueError: if something cannot be used; the message names it.
        """
        volume, notes = self.read()
        if check is not None:
            check(volume.data)
        labels, scan = conform(volume, str(self)), None
        if self.scan is not None and labels.data.any():
            scan, more = self.read_scan(labels)
            notes += more
        return Loaded(labels, scan, notes)

    def __str__(self) -> str:
        """Return the path or the name, for messages."""
        return str(self.path or self.name)


def find_sources(maps: object, scans: object = None) -> list[MapSource]:
    """List the label maps that the user names.

    Args:
        maps: folder, file or .txt list; or a sequence of files or of integer arrays.
        scans: their real scans, see `find_scans`. None: there are none.

    Returns:
        At least one source.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if there is no map, or an entry is neither a path nor an integer array of two
            or three axes; or as `find_scans`.
    """
    sources = _sources(maps)
    if scans is None:
        return sources
    paths, names = [source.path for source in sources], [source.name for source in sources]
    found = find_scans(scans, maps, paths, names)
    return [replace(source, scan=scan) for source, scan in zip(sources, found, strict=True)]


def _sources(maps: object) -> list[MapSource]:
    if isinstance(maps, (str, os.PathLike)):
        return [MapSource(stem(path), path) for path in expand_inputs(maps)]
    if not isinstance(maps, (list, tuple)) or not maps:
        empty = "an empty " if isinstance(maps, (list, tuple)) else ""
        raise ValueError(
            "`maps` must be a folder, a file, a .txt list, or a list of files or arrays. "
            f"Received: {empty}{type(maps).__name__}"
        )
    return [_source(entry, i) for i, entry in enumerate(maps)]


def _source(entry: object, index: int) -> MapSource:
    if isinstance(entry, (str, os.PathLike)):
        return MapSource(stem(entry), Path(entry))
    array = np.asarray(entry)
    if array.ndim not in (2, 3) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`maps[{index}]` must be a path or an integer array of two or three axes. "
            f"Received: {array.dtype} of shape {array.shape}"
        )
    return MapSource(f"map {index}", array=array)


@dataclass(frozen=True)
class Conformer:
    """Brings every map of a data set to one grid.

    Attributes:
        shape: number of voxels per axis.
        spacing: mm per voxel, one per axis.
        centre_on: labels to centre on, as in `MapGrid`.
        whole: whether whole maps are centred, instead of the labels in them.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    centre_on: tuple[int, ...] | None
    whole: bool

    @classmethod
    def of(cls, sources: Sequence[MapSource], grid: MapGrid) -> "Conformer":
        """Find the common grid of a data set from headers alone; scans without labels follow it.

        Args:
            sources: label maps, at least one.
            grid: the user's choices.

        Returns:
            The conformer.

        Raises:
            ValueError: if 2D and 3D maps are mixed, or shape or spacing are not positive.
        """
        frames = [source.frame() for source in sources]
        ndim = frames[0].ndim
        for source, frame in zip(sources, frames, strict=True):
            if frame.ndim != ndim:
                raise ValueError(
                    f"{source} is {frame.ndim}D, but {sources[0]} is {ndim}D; "
                    "a data set holds maps of one kind"
                )
        pairs = zip(sources, frames, strict=True)
        frames = [frame for source, frame in pairs if source.has_labels]
        spacing = grid.spacing
        if spacing is None:
            spacing = _ras_order(frames[0], frames[0].spacing)
        spacing = per_axis(spacing, ndim, "spacing")
        whole = grid.shape is None
        if whole:
            boxes = [_conformed_shape(frame, spacing) for frame in frames]
            shape = tuple(max(sizes) for sizes in zip(*boxes, strict=True))
        else:
            shape = per_axis(grid.shape, ndim, "shape", whole=True)
        centre_on = None if grid.centre_on is None else tuple(int(i) for i in grid.centre_on)
        return cls(shape, spacing, centre_on, whole)

    def __call__(self, volume: Volume, name: str) -> Volume:
        """Return a label map on the common grid.

        Args:
            volume: label map.
            name: name of the file or array, for the message.

        Returns:
            int32 volume of `shape`.

        Raises:
            ValueError: as in `conform_labels`.
        """
        conformed = conform_labels(volume, self.spacing)
        centre = None if self.whole else labels_centre(conformed, self.centre_on, name)
        return crop_or_pad(conformed, self.shape, centre)


def _ras_order(frame: Volume, values: Sequence[float]) -> list[float]:
    """Return values per axis of the file in the order of the RAS axes."""
    ranks = ["LRPAIS".index(letter) // 2 for letter in orientation(frame)]
    return [values[i] for i in np.argsort(ranks)]


def _conformed_shape(frame: Volume, spacing: Sequence[float]) -> list[int]:
    sizes, old = _ras_order(frame, frame.shape), _ras_order(frame, frame.spacing)
    return [resampled_size(*axis) for axis in zip(sizes, old, spacing, strict=True)]
