"""Volumes in space as the package surfa of FreeSurfer's tools treats them.

SynthStrip and SynthMorph bring scans to their networks, and results back, by these rules. They
differ from those of this package in what happens half a voxel around the border of a grid, and in
rounding: matrices and coordinates are float32, so that a voxel whose place should be 0 may be
found just outside.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from nibabel import orientations

_SAME = 1e-5  # mm and voxels


@dataclass(frozen=True, eq=False)
class Image:
    """One frame of voxels with their place.

    Attributes:
        data: `(x, y, z)`.
        affine: `(4, 4)`, from voxels to RAS mm.
        voxel_size: mm along each axis, as the header says them. None: as the affine does.
    """

    data: np.ndarray
    affine: np.ndarray
    voxel_size: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Complete the voxel size."""
        affine = np.asarray(self.affine, "float64")
        sizes = (
            np.sqrt((affine[:3, :3] ** 2).sum(0)) if self.voxel_size is None else (self.voxel_size)
        )
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "voxel_size", tuple(float(size) for size in sizes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels per axis."""
        return self.data.shape

    def with_data(self, data: np.ndarray) -> "Image":
        """Put other voxels into the same place."""
        return Image(data, self.affine, self.voxel_size)

    def reoriented(self, axes: str) -> "Image":
        """Swap and flip axes; an oblique image stays oblique.

        Args:
            axes: where the three axes shall point to, such as "LIA".
        """
        change = orientations.ornt_transform(
            _orientation(self.affine), orientations.axcodes2ornt(axes)
        )
        if np.array_equal(change, [[0, 1], [1, 1], [2, 1]]):
            return self
        data = orientations.apply_orientation(self.data, change)
        affine = self.affine @ orientations.inv_ornt_aff(change, self.shape)
        sizes = np.empty(3)
        sizes[change[:, 0].astype(int)] = self.voxel_size
        return Image(data, affine, tuple(sizes))

    def resized(self, voxel_size: float) -> "Image":
        """Give voxels of another size the value of the nearest voxel; 0 beyond the borders.

        The centre of the image stays where it is; shear is lost.

        Args:
            voxel_size: mm along all axes.
        """
        if np.allclose(self.voxel_size, voxel_size, rtol=0, atol=_SAME):
            return self
        sizes = np.array(self.voxel_size) * self.shape / voxel_size
        shape = tuple(int(size) for size in np.ceil(sizes))
        rotation, upper = np.linalg.qr(self.affine[:3, :3])
        affine = np.eye(4)
        affine[:3, :3] = rotation * np.sign(np.diag(upper)) * voxel_size
        center = self.affine @ np.append(np.array(self.shape) / 2, 1)
        affine[:3, 3] = center[:3] - affine[:3, :3] @ (np.array(shape) / 2)
        data = sample_nearest(self.data, np.linalg.inv(self.affine) @ affine, shape)
        return Image(data, affine, (voxel_size,) * 3)

    def cropped(self) -> "Image":
        """Crop to the box of the voxels above 0; the whole image if there are none."""
        inside = self.data > 0
        if not inside.any():
            return self
        ends = []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            found = np.flatnonzero(inside.any(axis=others))
            ends.append((int(found[0]), int(found[-1]) + 1))
        return self._moved(
            self.data[tuple(slice(*end) for end in ends)], [start for start, _ in ends]
        )

    def fitted(self, shape: Sequence[int]) -> "Image":
        """Bring the image to a shape about its centre: pad with zeros, or crop.

        Args:
            shape: voxels per axis.
        """
        data, start = self.data, []
        for axis, size in enumerate(shape):
            extra = size - data.shape[axis]
            low, high = math.floor(extra / 2), math.ceil(extra / 2)
            if extra > 0:
                data = np.pad(data, [(low, high) if a == axis else (0, 0) for a in range(3)])
                start.append(-low)
            else:
                data = np.take(data, range(-high, -high + size), axis)
                start.append(-high)
        return self._moved(data, start)

    def _moved(self, data: np.ndarray, start: Sequence[int]) -> "Image":
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.asarray(start, "float64")
        return Image(data, affine, self.voxel_size)

    def resampled_like(self, grid: "Image", fill: float = 0.0) -> "Image":
        """Bring the image to the grid of another one, linearly.

        Values are copied where the grids differ by whole voxels only.

        Args:
            grid: image that has the grid.
            fill: value outside of this image.

        Returns:
            float32 voxels on that grid; of the type of this image if they are copied.
        """
        matrix = np.linalg.inv(self.affine) @ grid.affine
        if self.shape == grid.shape and np.allclose(self.affine, grid.affine, rtol=0, atol=_SAME):
            return grid.with_data(self.data)
        if np.allclose(matrix[:3, :3], np.eye(3), rtol=0, atol=_SAME):
            place = np.linalg.inv(matrix)[:3, 3]
            if np.allclose(place, place.round(), rtol=0, atol=_SAME):
                return grid.with_data(_pasted(self.data, place.round(), grid.shape, fill))
        return grid.with_data(sample_linear(self.data, matrix, grid.shape, fill))


def sample_nearest(
    data: np.ndarray, matrix: np.ndarray, shape: Sequence[int], fill: float = 0
) -> np.ndarray:
    """Sample a volume at the nearest voxel.

    A place is outside if a coordinate is below 0, even by less than half a voxel, or at least as
    large as the number of voxels. Others are rounded, halves up; beyond the last voxel the last
    one is taken.

    Args:
        data: `(x, y, z)`.
        matrix: `(4, 4)`, from voxels of the result to voxels of `data`.
        shape: voxels per axis of the result.
        fill: value outside.

    Returns:
        `shape`, of the type of `data`.
    """
    result = np.empty(shape, data.dtype)
    for plane, places in _places(matrix, shape):
        result[plane] = nearest(data, places, fill)
    return result


def nearest(data: np.ndarray, places: Sequence[np.ndarray], fill: float = 0) -> np.ndarray:
    """Take the nearest voxels of a volume; which are outside is said for `sample_nearest`.

    Args:
        data: `(x, y, z)`.
        places: coordinates, one float32 array per axis, all of one shape.
        fill: value outside.

    Returns:
        Array of that shape, of the type of `data`.
    """
    inside = np.ones(places[0].shape, bool)
    voxels = []
    for place, size in zip(places, data.shape, strict=True):
        inside &= (place >= 0) & (place < size)
        low = np.floor(place)
        voxels.append(np.clip((low + (place - low >= 0.5)).astype(int), 0, size - 1))
    result = np.full(inside.shape, fill, data.dtype)
    np.copyto(result, data[tuple(voxels)], where=inside)
    return result


def sample_linear(
    data: np.ndarray, matrix: np.ndarray, shape: Sequence[int], fill: float = 0
) -> np.ndarray:
    """Sample a volume by linear interpolation.

    A place is outside if a coordinate is below 0, or at least as large as the number of voxels;
    between the last voxel and that number, the last voxel is repeated.

    Args:
        data: `(x, y, z)`.
        matrix: `(4, 4)`, from voxels of the result to voxels of `data`.
        shape: voxels per axis of the result.
        fill: value outside.

    Returns:
        `shape`, float32.
    """
    data = np.asarray(data, "float32")
    result = np.empty(shape, "float32")
    for plane, places in _places(matrix, shape):
        result[plane] = interpolate(data, places, fill)
    return result


def interpolate(data: np.ndarray, places: Sequence[np.ndarray], fill: float = 0) -> np.ndarray:
    """Interpolate a volume linearly at places; which are outside is said for `sample_linear`.

    Args:
        data: `(x, y, z)`, float32.
        places: coordinates, one float32 array per axis, all of one shape.
        fill: value outside.

    Returns:
        float32 array of that shape.
    """
    shape = places[0].shape
    result = np.full(shape, fill, "float32")
    inside = np.ones(shape, bool)
    corners = []
    for place, size in zip(places, data.shape, strict=True):
        low = np.floor(place)
        inside &= (low >= 0) & (low <= size - 1)
        first = np.clip(low.astype(int), 0, size - 1)
        corners.append(((first, np.minimum(first + 1, size - 1)), place - low))
    if not inside.any():
        return result
    (x, dx), (y, dy), (z, dz) = corners
    value = np.zeros(shape, "float32")
    for i, wx in enumerate((1 - dx, dx)):
        for j, wy in enumerate((1 - dy, dy)):
            for k, wz in enumerate((1 - dz, dz)):
                value += wx * wy * wz * data[x[i], y[j], z[k]]
    np.copyto(result, value, where=inside)
    return result


def _places(matrix: np.ndarray, shape: Sequence[int]) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Coordinates of the voxels of each plane, in float32 and in surfa's order of additions."""
    m = matrix.astype("float32")
    y, z = np.indices(shape[1:], dtype="float32", sparse=True)
    for plane in range(shape[0]):
        x = np.float32(plane)
        yield plane, [row[0] * x + row[1] * y + row[2] * z + row[3] for row in m[:3]]


def _pasted(data: np.ndarray, start: np.ndarray, shape: Sequence[int], fill: float) -> np.ndarray:
    result = np.full(shape, fill, data.dtype)
    target, source = [], []
    for first, n, m in zip(start.astype(int), data.shape, shape, strict=True):
        low, high = max(first, 0), max(min(first + n, m), max(first, 0))
        target.append(slice(low, high))
        source.append(slice(low - first, high - first))
    result[tuple(target)] = data[tuple(source)]
    return result


def _orientation(affine: np.ndarray) -> np.ndarray:
    """Axis and direction in space of each axis of an image: that of its largest component."""
    columns = affine[:3, :3]
    axes = np.abs(columns).argmax(axis=0)
    if len(set(axes.tolist())) < 3:  # two axes by 45 degrees between others
        return orientations.io_orientation(affine)
    signs = np.where(columns[axes, range(3)] < 0, -1, 1)
    return np.stack([axes, signs], axis=1)
