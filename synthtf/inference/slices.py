"""What a network of two dimensions finds in an image, or in each axial slice of a scan."""

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from nibabel import orientations

from synthtf.data.geometry import orientation
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.components import largest_filled
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.prediction import load_run, predict
from synthtf.inference.scan_intensities import fit_intensities
from synthtf.inference.segmenting import mirrored_channels

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_FLAT = (2,)
_NUM_BORDERS = 2  # of the brain with CSF, and without


def segment_slices(scan: "Volume | str | PathLike", run: "Run", ct: bool = False) -> Volume:
    """Segment an image, or each axial slice of a scan, with a network of two dimensions.

    As `segment` does for scans, but for the search for the brain, the sharpening by intensities
    and the cleaning, which look at the whole head: the image is brought to RAS orientation and the
    network's spacing within the plane, normalised, and segmented; posteriors are averaged with
    those of the mirror image, and brought back to the image's own grid.

    Args:
        scan: an image of two dimensions, a volume, or the file of one.
        run: a network that segments.
        ct: whether the scan is in Hounsfield units.

    Returns:
        Labels on the grid of the scan.

    Raises:
        ValueError: if the scan has several frames, or the run is of another task or of three
            dimensions.
    """
    run = load_run(run, "segmentation", _FLAT)
    volume, grid, image = _conformed(scan, run, ct)
    labels = run.output_labels
    mirrored = None if run.table.one_sided else mirrored_channels(labels, run.output_pairs)
    found = _predict(run, image, len(labels), mirrored)
    return _like(grid.restore_labels(found, labels), volume)


def strip_slices(scan: "Volume | str | PathLike", run: "Run", ct: bool = False) -> Volume:
    """Find the brain in an image, or in the axial slices of a scan, with a flat network.

    Args:
        scan: as for `segment_slices`.
        run: a network that strips.
        ct: whether the scan is in Hounsfield units.

    Returns:
        Mask on the grid of the scan.

    Raises:
        ValueError: as `segment_slices`.
    """
    run = load_run(run, "stripping", _FLAT)
    volume, grid, image = _conformed(scan, run, ct)
    limit = run.positive("limit")
    distance = _predict(run, image, _NUM_BORDERS, range(_NUM_BORDERS))[..., 0]
    distance = grid.restore(np.clip(distance, -limit, limit), outside=limit)
    return _like(largest_filled(distance < 0).astype(np.uint8), volume)


def _conformed(
    scan: "Volume | str | PathLike", run: "Run", ct: bool
) -> tuple[Volume, ConformedGrid, np.ndarray]:
    """Give a scan, the grid of the network's slices, and what the network is shown."""
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    if volume.data.ndim != volume.ndim:
        raise ValueError(f"{volume.name}: expected one frame. Received: {volume.data.shape}")
    data, affine = _as_slices(volume)
    axes, sizes = orientations.io_orientation(affine)[:, 0], np.linalg.norm(affine, axis=0)[:3]
    grid = ConformedGrid.of(data.shape, affine, (*run.spacing, float(sizes[axes == 2][0])))
    image = grid.conform(fit_intensities(data, volume.name, ct))
    return volume, grid, normalize_intensity(image, ct=ct)


def _as_slices(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Give `(x, y, slices)` and its affine; an image lies flat, whatever it is a section of."""
    if volume.ndim == 3:
        return volume.data, volume.affine
    letters, affine = orientation(volume), np.eye(4)
    ranks = ["LRPAIS".index(letter) // 2 for letter in letters]
    affine[:2, :2] = 0
    for axis, (letter, rank, mm) in enumerate(zip(letters, ranks, volume.spacing, strict=True)):
        affine[int(rank > min(ranks)), axis] = mm if letter in "RAS" else -mm
    return volume.data[..., None], affine


def _predict(run: "Run", image: np.ndarray, num_outputs: int, mirrored: object) -> np.ndarray:
    """Apply the network to each slice."""
    slices = (image[..., index] for index in range(image.shape[2]))
    return np.stack([predict(run, one, num_outputs, mirrored) for one in slices], axis=2)


def _like(data: np.ndarray, volume: Volume) -> Volume:
    """Give what was found in the shape of a scan, with its geometry."""
    data = data.reshape(volume.data.shape)
    return Volume(data, volume.affine, volume.header, volume.path, volume.ndim)
