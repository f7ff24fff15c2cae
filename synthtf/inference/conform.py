"""Bringing a scan to the grid that a network needs, and the result back."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from nibabel import orientations

from synthtf.data.resampling import apply_matrices, axis_matrix

MAX_VOXELS = 2**29
"""Largest grid that is conformed: 2 GiB as float32."""

_SAME = 0.05
"""Voxels by which the ends of two grids may differ for the grids to count as the same."""

_LEAST = 0.01
"""Posterior that a class with a gain needs nearby to be looked at."""

Box = tuple[slice, slice, slice]
Gain = Callable[[int, Box], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class ConformedGrid:
    """A grid in RAS orientation with a given spacing, about the centre of a scan.

    The scan is reoriented by flips and permutations of its axes, to the closest
    RAS; it is not rotated, so an oblique scan stays oblique. Each axis is then
    resampled separately. An axis whose spacing already fits is left untouched.

    Attributes:
        shape: Voxels of the grid.
        affine: `(4, 4)`, from voxels of the grid to mm in the scan's world.
        scan_shape: Voxels of the scan.
        orientation: `(3, 2)` integers, the flips and permutations to RAS as
            `nibabel.orientations` has them.
        ratios: Per axis of the grid, its voxel size over the scan's; exactly 1
            where the axis is untouched.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    scan_shape: tuple[int, int, int]
    orientation: np.ndarray
    ratios: tuple[float, float, float]

    @classmethod
    def of(
        cls, shape: Sequence[int], affine: np.ndarray, spacing: Sequence[float]
    ) -> "ConformedGrid":
        """Plan the grid for a scan.

        Args:
            shape: Voxels of the scan, three axes.
            affine: `(4, 4)` of the scan, voxels to mm. Oblique, left-handed or
                sheared is fine.
            spacing: Voxel size of the grid in mm, along right, anterior, superior.

        Raises:
            ValueError: If the scan is not 3D, the affine is singular, the spacing
                is not three positive numbers, or the grid would be too large.
        """
        _check_geometry(shape, affine, spacing)
        affine = np.asarray(affine, np.float64)
        orientation = orientations.io_orientation(affine)
        oriented_affine = affine @ orientations.inv_ornt_aff(orientation, shape)
        oriented_shape = _oriented_shape(shape, orientation)
        voxel_size = np.linalg.norm(oriented_affine[:3, :3], axis=0)
        ratios, sizes = [], []
        for num, size, target in zip(oriented_shape, voxel_size, spacing, strict=True):
            ratio = float(target / size)
            if abs(ratio - 1) * num < 2 * _SAME:
                ratio = 1.0
            ratios.append(ratio)
            sizes.append(max(1, int(np.ceil(num / ratio - _SAME))))
        if np.prod(sizes, dtype=np.float64) > MAX_VOXELS:
            extent = np.round(voxel_size * oriented_shape).astype(int).tolist()
            raise ValueError(
                f"Expected a field of view that fits {MAX_VOXELS} voxels of "
                f"{tuple(spacing)} mm. Received {tuple(extent)} mm: check the voxel size in "
                "the header, or crop the scan"
            )
        start = [
            (n - 1) / 2 - (m - 1) / 2 * r
            for n, m, r in zip(oriented_shape, sizes, ratios, strict=True)
        ]
        to_oriented = np.diag([*ratios, 1.0])
        to_oriented[:3, 3] = start
        return cls(
            shape=tuple(sizes),
            affine=oriented_affine @ to_oriented,
            scan_shape=tuple(int(n) for n in shape),
            orientation=orientation.astype(int),
            ratios=tuple(ratios),
        )

    @property
    def oriented_shape(self) -> tuple[int, int, int]:
        """Voxels of the scan in RAS orientation."""
        return _oriented_shape(self.scan_shape, self.orientation)

    @property
    def untouched(self) -> "ConformedGrid":
        """This grid as the grid of its own scan: restoring leaves everything where it is."""
        return dataclasses.replace(
            self,
            scan_shape=self.shape,
            orientation=np.array([[0, 1], [1, 1], [2, 1]]),
            ratios=(1.0, 1.0, 1.0),
        )

    def conform(self, data: np.ndarray) -> np.ndarray:
        """Resample the voxels of the scan to the grid.

        Args:
            data: `scan_shape`, intensities.

        Returns:
            `shape`, float32, contiguous.

        Raises:
            ValueError: If `data` has another shape than the scan.
        """
        if data.shape != self.scan_shape:
            raise ValueError(f"Expected voxels of shape {self.scan_shape}. Received: {data.shape}")
        oriented = orientations.apply_orientation(data, self.orientation)
        matrices = [
            None if ratio == 1 else axis_matrix(num_in, num_out, ratio)
            for num_in, num_out, ratio in zip(
                self.oriented_shape, self.shape, self.ratios, strict=True
            )
        ]
        return np.ascontiguousarray(apply_matrices(oriented, matrices))

    def covered(self, data: np.ndarray, box: Box | None = None) -> np.ndarray:
        """Cut out of the scan what a box of the grid reaches.

        Args:
            data: `scan_shape`, any type.
            box: Part of the grid; None for all of it.

        Returns:
            Part of the scan, in RAS orientation.
        """
        oriented = orientations.apply_orientation(data, self.orientation)
        return oriented[_Window.of(self, box).region]

    def restore_covered(self, channel: np.ndarray, box: Box | None = None) -> np.ndarray:
        """Resample one channel to the part of the scan that `covered` cuts out.

        Args:
            channel: `(x, y, z)`, values in `box`.
            box: As for `covered`.

        Returns:
            Values of that part, float32.
        """
        return _Window.of(self, box).resample(channel, 0.0)

    def restore(
        self,
        channel: np.ndarray,
        box: Box | None = None,
        outside: float = 0.0,
        gain: np.ndarray | None = None,
    ) -> np.ndarray:
        """Resample one channel from the grid to the scan.

        Linear where the scan is finer than the grid, averaged where it is
        coarser; the edges of the grid continue.

        Args:
            channel: `(x, y, z)`, values in `box`.
            box: The part of the grid that `channel` covers; None for all of it.
            outside: Value of the grid outside `box`.
            gain: Factors on the part of the scan that `covered` cuts out.

        Returns:
            `scan_shape`, float32.

        Raises:
            ValueError: If the shapes of `channel` and `box` differ.
        """
        window = _Window.of(self, box)
        result = np.full(self.oriented_shape, outside, np.float32)
        inside = window.resample(channel, outside)
        result[window.region] = inside if gain is None else inside * gain
        return self.undo_orientation(result)

    def restore_labels(
        self,
        posteriors: np.ndarray,
        values: Sequence[int],
        box: Box | None = None,
        gain: Gain | None = None,
    ) -> np.ndarray:
        """Resample posteriors from the grid to the scan and take the most likely label.

        The classes are gone through one by one with a running maximum, so that
        memory does not grow with their number. Ties go to the first class.

        Args:
            posteriors: `(x, y, z, classes)`, values in `box`, summing to one; the
                first class is the background, which also fills the grid outside.
            values: Label value of each class.
            box: The part of the grid that `posteriors` covers; None for all of it.
            gain: Gives factors for the posteriors of a class, by its index, on a part of what
                `covered` cuts out of the scan.

        Returns:
            `scan_shape`, int32.

        Raises:
            ValueError: If the shapes of `posteriors`, `values` and `box` disagree.
        """
        if posteriors.ndim != 4 or posteriors.shape[-1] != len(values):
            raise ValueError(
                f"Expected posteriors with a last axis of {len(values)} classes, one per value. "
                f"Received: {posteriors.shape}"
            )
        window = _Window.of(self, box)
        best = window.resample(posteriors[..., 0], outside=1.0)
        if gain is not None:
            best *= gain(0, (slice(None),) * 3)
        winner = np.full(best.shape, values[0], np.int32)
        # Posteriors sum to one: a class that nowhere nearby reaches its even share cannot win.
        least = 0.99 / len(values) if gain is None else _LEAST
        for index, value in enumerate(values[1:], start=1):
            channel = posteriors[..., index]
            reach = window.reach(channel > least)
            if reach is None:
                continue
            rows, columns = reach
            candidate = window.resample_part(channel, rows, columns)
            if gain is not None:
                candidate *= gain(index, rows)
            np.copyto(winner[rows], value, where=candidate > best[rows])
            np.maximum(best[rows], candidate, out=best[rows])
        labels = np.full(self.oriented_shape, values[0], np.int32)
        labels[window.region] = winner
        return self.undo_orientation(labels)

    def undo_orientation(self, oriented: np.ndarray) -> np.ndarray:
        """Bring an array in RAS orientation back to the axes of the scan."""
        back = orientations.ornt_transform(
            orientations.axcodes2ornt(("R", "A", "S")), self.orientation
        )
        return np.ascontiguousarray(orientations.apply_orientation(oriented, back))


@dataclasses.dataclass(frozen=True)
class _Window:
    """How a box of the grid maps to a region of the reoriented scan."""

    box_shape: tuple[int, int, int]
    region: Box
    matrices: tuple[np.ndarray | None, ...]
    weights: tuple[np.ndarray, ...]  # per axis, the share of each voxel that the box covers

    @classmethod
    def of(cls, grid: ConformedGrid, box: Box | None) -> "_Window":
        box = box or tuple(slice(0, n) for n in grid.shape)
        region, matrices, weights = [], [], []
        for part, num_grid, num_scan, ratio in zip(
            box, grid.shape, grid.oriented_shape, grid.ratios, strict=True
        ):
            if ratio == 1:
                region.append(part)
                matrices.append(None)
                weights.append(np.ones(part.stop - part.start, np.float32))
                continue
            matrix = axis_matrix(num_grid, num_scan, 1 / ratio)[:, part]
            rows = _span(matrix.any(axis=1)) or slice(0, 0)
            region.append(rows)
            matrices.append(matrix[rows])
            weights.append(matrix[rows].sum(axis=1))
        box_shape = tuple(part.stop - part.start for part in box)
        return cls(box_shape, tuple(region), tuple(matrices), tuple(weights))

    def resample(self, channel: np.ndarray, outside: float) -> np.ndarray:
        if channel.shape != self.box_shape:
            raise ValueError(
                f"Expected values of shape {self.box_shape}, as the box. Received: {channel.shape}"
            )
        result = apply_matrices(channel, self.matrices)
        if outside:
            x, y, z = self.weights
            covered = x[:, None, None] * y[None, :, None] * z[None, None, :]
            result = result + outside * (1 - covered)
        return result

    def reach(self, likely: np.ndarray) -> tuple[Box, Box] | None:
        """Part of the region that a mask of the box reaches, and what that part is made of."""
        rows, columns = [], []
        for axis, matrix in enumerate(self.matrices):
            others = tuple(other for other in range(3) if other != axis)
            own = _span(likely.any(axis=others))
            if own is not None and matrix is not None:
                reached = _span(matrix[:, own].any(axis=1))
                own = None if reached is None else _span(matrix[reached].any(axis=0))
            else:
                reached = own
            if own is None:
                return None
            rows.append(reached)
            columns.append(own)
        return tuple(rows), tuple(columns)

    def resample_part(self, channel: np.ndarray, rows: Box, columns: Box) -> np.ndarray:
        """The `rows` of `resample`, from the `columns` that `reach` found for them."""
        matrices = [
            None if matrix is None else matrix[row, column]
            for matrix, row, column in zip(self.matrices, rows, columns, strict=True)
        ]
        return apply_matrices(channel[columns], matrices)


def _span(mask: np.ndarray) -> slice | None:
    """From the first to the last true element."""
    found = np.flatnonzero(mask)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else None


def pad_to_multiple(image: np.ndarray, multiple: int, ndim: int = 3) -> tuple[np.ndarray, Box]:
    """Zero-pad a volume on both sides so that each axis is a multiple.

    Args:
        image: `(x, y, z)`, or `(x, y, z, channels)`.
        multiple: Positive integer.
        ndim: Number of spatial axes, which come first.

    Returns:
        The padded volume, and the slices that cut the original out of it.

    Raises:
        ValueError: If `multiple` is below one.

    Example:
        >>> padded, inner = pad_to_multiple(np.ones((3, 4, 5)), 4)
        >>> padded.shape, padded[inner].shape
        ((4, 4, 8), (3, 4, 5))
    """
    if multiple < 1:
        raise ValueError(f"Expected a multiple of at least 1. Received: {multiple}")
    shape = image.shape[:ndim]
    extra = [-n % multiple for n in shape]
    low = [n // 2 for n in extra]
    inner = tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))
    padding = [(a, n - a) for a, n in zip(low, extra, strict=True)]
    return np.pad(image, [*padding, *[(0, 0)] * (image.ndim - ndim)]), inner


def _oriented_shape(shape: Sequence[int], orientation: np.ndarray) -> tuple[int, int, int]:
    oriented = [0, 0, 0]
    for num, (axis, _) in zip(shape, orientation, strict=True):
        oriented[int(axis)] = int(num)
    return tuple(oriented)


def _check_geometry(shape: Sequence[int], affine: np.ndarray, spacing: Sequence[float]) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(
            f"Expected a 3D scan with at least one voxel per axis. Received shape: {tuple(shape)}"
        )
    affine = np.asarray(affine, np.float64)
    if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
        raise ValueError(f"Expected a finite 4 x 4 affine. Received: {affine.tolist()}")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() == 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-4:
        raise ValueError(f"Expected an affine that is not singular. Received: {affine.tolist()}")
    if len(spacing) != 3 or not min(spacing) > 0:
        raise ValueError(f"Expected a spacing of three positive mm. Received: {tuple(spacing)}")
