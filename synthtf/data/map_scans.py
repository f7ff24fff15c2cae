"""Real scans that belong to label maps: found, read on demand, and brought to the maps' grid."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from synthtf.data.grid import Grid
from synthtf.data.pairing import match_names, pair_files
from synthtf.data.paths import expand_inputs
from synthtf.data.resampling import sample
from synthtf.data.volumes import Volume, read_with_notes

_PERCENTILES = (0.5, 99.5)
_LEAST_SHARE = 0.5  # of the labelled voxels, that a scan of the same head shows


@dataclass(frozen=True, eq=False)
class MapScan:
    """The real scan of a label map.

    Attributes:
        path: path of the file, or None.
        array: the array, on the grid of the label map, or None.
        name: what it is called in messages.
    """

    path: Path | None = None
    array: np.ndarray | None = None
    name: str = ""

    def read(self, labels: Volume) -> tuple[Volume, list[str]]:
        """Return the scan as stored, float32, and one line per warning.

        Args:
            labels: extent of its label map as stored.

        Raises:
            ValueError: if it cannot be used; the message names it.
        """
        if self.path is not None:
            return read_with_notes(self.path)
        if self.array.shape != labels.shape:
            raise ValueError(
                f"{self.name} must be of the shape of its label map, {labels.shape}. "
                f"Received: {self.array.shape}"
            )
        return Volume(self.array.astype("float32"), labels.affine), []

    def conform(self, scan: Volume, to: Volume) -> np.ndarray:
        """Bring a scan to the grid of a conformed label map, and normalise it.

        Where voxels become larger, those of the scan are averaged first. What the scan does not
        show is 0.

        Args:
            scan: as read.
            to: the conformed label map, or an array of its shape.

        Returns:
            float32 array of the shape of the map, in [0, 1] between percentiles.

        Raises:
            ValueError: if it is of other axes than the map, shows another place, or is constant.
        """
        name = str(self)
        if scan.ndim != to.ndim:
            raise ValueError(f"{name} is {scan.ndim}D, but its label map is {to.ndim}D")
        ratios = [max(min(to.spacing) / mm, 1.0) for mm in scan.spacing]
        # Variance of a box of the larger voxels less that of the smaller ones.
        data = gaussian_filter(scan.data, [np.sqrt((ratio**2 - 1) / 12) for ratio in ratios])
        own, grid = Grid.of(scan), Grid.of(to)
        data = data.reshape(*own.shape, 1)
        last = np.array(own.shape)[:, None] - 1
        image, shown = np.empty(grid.shape, np.float32), np.empty(grid.shape, bool)
        for rows, points in grid.slabs():
            voxels = own.to_voxels(points).reshape(-1, 3).T
            image[rows] = sample(data, voxels).reshape(image[rows].shape)
            inside = ((voxels >= -0.5) & (voxels <= last + 0.5)).all(axis=0)
            shown[rows] = inside.reshape(image[rows].shape)
        labelled = to.data.reshape(grid.shape) != 0
        share = shown[labelled].mean() if labelled.any() else 1.0
        if share < _LEAST_SHARE:
            raise ValueError(
                f"{name} shows {share:.0%} of the voxels of its label map: it must be the scan of "
                "the same head, in the same space"
            )
        low, high = np.percentile(image[shown], _PERCENTILES) if shown.any() else (0, 0)
        if low == high and shown.any():
            low, high = image[shown].min(), image[shown].max()
        if low == high:
            raise ValueError(f"{name} is constant, so a network cannot learn from it")
        image = np.clip((image - np.float32(low)) / np.float32(high - low), 0, 1)
        return np.where(shown, image, np.float32(0)).reshape(to.data.shape)

    def __str__(self) -> str:
        """Return the path or the name, for messages."""
        return str(self.path or self.name)


def find_scans(
    scans: object, maps: object, paths: Sequence[Path | None], names: Sequence[str]
) -> list[MapScan]:
    """Find the real scan of each label map.

    Args:
        scans: folder or file, whose names without endings are those of the maps; .txt list; list
            of files or arrays, one per map in their order; or the file of each map by its path,
            as `pair_scans` gives it.
        maps: what the user gave for the label maps.
        paths: file of each map, None for arrays.
        names: names of the maps, for messages.

    Returns:
        One scan per map.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if a map has no scan; the message names the map.
    """
    if isinstance(scans, (list, tuple)):
        if len(scans) != len(paths):
            raise ValueError(
                f"`scans` must be one scan per label map, {len(paths)}. Received: {len(scans)}"
            )
        return [_scan(entry, f"scan of {name}") for entry, name in zip(scans, names, strict=True)]
    if not isinstance(scans, (str, os.PathLike, Mapping)):
        raise ValueError(
            "`scans` must be a folder, a file, a .txt list, or a list of files or arrays. "
            f"Received: {type(scans).__name__}"
        )
    if not isinstance(scans, Mapping):
        scans = pair_scans(maps, scans)
    found = []
    for path, name in zip(paths, names, strict=True):
        if path is None or Path(path) not in scans:
            raise ValueError(f"{path or name}: there is no scan of this label map")
        found.append(_scan(scans[Path(path)], name))
    return found


def pair_scans(maps: object, scans: str | os.PathLike) -> dict[Path, Path]:
    """Pair label maps with their scans.

    Args:
        maps: a file, a folder or a .txt list; or a list of files and arrays.
        scans: a file, a folder or a .txt list, too. Two .txt lists are paired line by line, all
            else by names without endings.

    Returns:
        The scan of each map that is a file.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if a map has no scan; the message names the map.
    """
    if isinstance(maps, (str, os.PathLike)):
        pairs, _ = pair_files(maps, scans)
        files = expand_inputs(maps)
    else:
        files = [Path(path) for path in maps if isinstance(path, (str, os.PathLike))]
        pairs, _ = match_names(files, expand_inputs(scans))
    found = dict(pairs)
    missing = [path for path in files if path not in found]
    if missing:
        raise ValueError(
            f"{missing[0]}: there is no scan of its name in {scans} (for {len(missing)} of "
            f"{len(files)} label maps); rename it, or give two .txt lists in the same order"
        )
    return found


def _scan(entry: object, name: str) -> MapScan:
    if isinstance(entry, (str, os.PathLike)):
        return MapScan(Path(entry))
    array = np.asarray(entry)
    if array.ndim not in (2, 3) or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be a path or a finite array of two or three axes. "
            f"Received: {array.dtype} of shape {array.shape}"
        )
    return MapScan(array=array, name=name)
