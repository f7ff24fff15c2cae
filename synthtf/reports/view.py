"""What a report draws: the scan in RAS orientation, with the segmentation on its grid."""

import warnings
from dataclasses import dataclass

import numpy as np
from nibabel import orientations

from synthtf.data.geometry import reorient
from synthtf.data.grid import check_same_grid
from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume
from synthtf.figures.mosaic import Mosaic, mosaics, robust_window
from synthtf.inference.applying import apply_transform
from synthtf.inference.foreground import foreground_box

_ENOUGH = 1e5  # mm³ of labels within which the intensities are those of a brain
_MARGIN = 10.0  # mm around what is drawn


@dataclass(frozen=True, eq=False)
class View:
    """Part of a scan that holds something, and its labels.

    Attributes:
        image: RAS array, 3D.
        labels: Label map on its grid.
        spacing: Voxel size in mm.
        window: Intensities that are black and white.
        axes: Per axis, the axis of the file that it is ("i", "j" or "k"), the index of its first
            voxel along that, and 1 or -1 for the direction.
    """

    image: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, ...]
    window: tuple[float, float]
    axes: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, scan: Volume, segmentation: Volume) -> tuple["View", list[str]]:
        """Make the view of a scan and its segmentation.

        Args:
            scan: 3D.
            segmentation: Label map, 3D; where it has another grid it is resampled by nearest
                neighbour.

        Returns:
            The view, and a warning if the grids differ.

        Raises:
            ValueError: If no label lies in the field of view of the scan.
        """
        labels, notes = _on_grid(segmentation, scan)
        image, labels = reorient(scan), reorient(labels)
        box = _box(image, labels.data)
        enough = int(_ENOUGH / np.prod(image.spacing))
        view = cls(
            image=image.data[box],
            labels=labels.data[box],
            spacing=image.spacing,
            window=robust_window(image.data, labels.data, enough),
            axes=_axes(scan, box),
        )
        return view, notes

    def mosaics(self, num_slices: int, size: int, filled: bool = False) -> list[Mosaic]:
        """Draw the three planes, as `synthtf.figures.mosaic.mosaics` does."""
        return mosaics(
            self.image,
            self.labels,
            self.spacing,
            window=self.window,
            num_slices=num_slices,
            size=size,
            filled=filled,
        )

    def captions(self, mosaic: Mosaic) -> list[str]:
        """Name each slice of a mosaic by its place in the file, such as "k 80"."""
        axis, first, step = self.axes[mosaic.axis]
        return [f"{axis} {first + step * index}" for index in mosaic.slices]


def _on_grid(segmentation: Volume, scan: Volume) -> tuple[Volume, list[str]]:
    try:
        check_same_grid(segmentation, scan)
    except ValueError:
        pass
    else:
        return segmentation, []
    with warnings.catch_warnings():
        # Below, that is an error.
        warnings.filterwarnings("ignore", "[\\s\\S]*no voxel of the result")
        moved = apply_transform(segmentation, Affine(np.eye(4)), like=scan, interpolation="nearest")
    if segmentation.data.any() and not moved.data.any():
        raise ValueError(
            f"{segmentation.name}: expected a segmentation of {scan.name}, but no label lies in "
            "its field of view: are they of one scan, and has no header lost its place?"
        )
    reason = "places in space" if segmentation.shape == scan.shape else "grids"
    return moved, [
        f"scan and segmentation have different {reason}: for the pictures, the segmentation was "
        "resampled to the scan; volumes are those of its own voxels"
    ]


def _box(image: Volume, labels: np.ndarray) -> tuple[slice, ...]:
    """Foreground of the scan together with all labels."""
    box = foreground_box(image.data, image.spacing, _MARGIN)
    found = []
    for axis, (part, size) in enumerate(zip(box, image.spacing, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(labels.any(axis=others))
        low, high = part.start, part.stop
        if used.size:
            extra = int(np.ceil(_MARGIN / size))
            low = max(0, min(low, int(used[0]) - extra))
            high = min(labels.shape[axis], max(high, int(used[-1]) + 1 + extra))
        found.append(slice(low, high))
    return tuple(found)


def _axes(scan: Volume, box: tuple[slice, ...]) -> tuple[tuple[str, int, int], ...]:
    found = {}
    for axis, (target, step) in enumerate(orientations.io_orientation(scan.affine)):
        start = box[int(target)].start
        first = start if step > 0 else scan.shape[axis] - 1 - start
        found[int(target)] = ("ijk"[axis], first, int(step))
    return tuple(found[axis] for axis in range(3))
