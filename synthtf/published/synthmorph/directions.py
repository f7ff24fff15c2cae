"""A registration in one direction, between the voxels of two images, and what it moves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.published.surfa_space import interpolate, sample_linear
from synthtf.published.synthmorph.matrices import apply
from synthtf.published.synthmorph.networks import Warp


@dataclass(frozen=True)
class Direction:
    """A transform from voxels of a target to voxels of a source, which moves the source.

    Attributes:
        source: image that is moved.
        target: image whose grid it moves to.
        transform: `(4, 4)`, or a deformation; between voxels.
    """

    source: Volume
    target: Volume
    transform: "np.ndarray | Warp"

    @property
    def is_affine(self) -> bool:
        """Whether the transform is a matrix."""
        return isinstance(self.transform, np.ndarray)

    @property
    def world(self) -> np.ndarray:
        """The matrix in RAS mm, from target to source; only of affine transforms."""
        return self.source.affine @ self.transform @ np.linalg.inv(self.target.affine)

    def _planes(self) -> Iterator[tuple[int, list[np.ndarray], list[np.ndarray]]]:
        """Voxels of each plane of the target, and where in the source each is."""
        y, z = np.indices(self.target.shape[1:], dtype="float64", sparse=True)
        for plane in range(self.target.shape[0]):
            voxels = list(np.broadcast_arrays(np.float64(plane), y, z))
            yield plane, voxels, _follow(self.transform, voxels)

    def moved(self) -> np.ndarray:
        """The source on the grid of the target: float32, interpolated linearly, 0 outside."""
        data = np.asarray(self.source.data, "float32")
        if self.is_affine:
            return sample_linear(data, self.transform, self.target.shape)
        result = np.empty(self.target.shape, "float32")
        for plane, _, points in self._planes():
            result[plane] = interpolate(data, [x.astype("float32") for x in points])
        return result

    def field(self) -> np.ndarray:
        """Displacement of each voxel of the target, `(x, y, z, 3)`, RAS mm, float32."""
        result = np.empty((*self.target.shape, 3), "float32")
        for plane, voxels, points in self._planes():
            there, here = apply(self.source.affine, points), apply(self.target.affine, voxels)
            result[plane] = np.stack([x - y for x, y in zip(there, here, strict=True)], axis=-1)
        return result


def _follow(transform: "np.ndarray | Warp", points: Sequence[np.ndarray]) -> list[np.ndarray]:
    return apply(transform, points) if isinstance(transform, np.ndarray) else transform(points)
