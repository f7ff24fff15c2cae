"""The spaces that SynthMorph works in, and the way from an image to its network and back."""

from dataclasses import dataclass, replace

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.published.synthmorph.matrices import exact, square_root

# Columns: left, inferior, anterior; 1 mm.
_DIRECTIONS = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True)
class Spaces:
    """Both images, each with its way to the network, in voxels counted from zero.

    Attributes:
        moving: moving image.
        fixed: fixed image.
        to_moving: `(4, 4)`, from voxels of the network to voxels of the moving image.
        to_fixed: `(4, 4)`, from voxels of the network to voxels of the fixed image.
        extent: voxels per axis of the cube that the network sees, 1 mm each.
    """

    moving: Volume
    fixed: Volume
    to_moving: np.ndarray
    to_fixed: np.ndarray
    extent: int

    @classmethod
    def of(cls, moving: Volume, fixed: Volume, extent: int, centered: bool = True) -> "Spaces":
        """Put the network's space around the centre of each image.

        Args:
            moving: moving image.
            fixed: fixed image.
            extent: voxels per axis.
            centered: whether each image is at the centre of its space; if not, both have that of
                the fixed image, as for a deformation without an affine transform.
        """
        own = network_affine(moving if centered else fixed, extent)
        ways = own, network_affine(fixed, extent)
        inverse = (np.linalg.inv(image.affine) for image in (moving, fixed))
        return cls(moving, fixed, *(i @ way for i, way in zip(inverse, ways, strict=True)), extent)

    def started(self, init: np.ndarray, halfway: bool = False) -> "Spaces":
        """Apply a transform before the network sees the images.

        Args:
            init: `(4, 4)`, from RAS mm of the moving to RAS mm of the fixed image.
            halfway: whether each image goes half of the way.
        """
        voxels = np.linalg.inv(self.fixed.affine) @ init @ self.moving.affine
        step = np.linalg.inv(self.to_fixed) @ voxels @ self.to_moving
        to_fixed = self.to_fixed
        if halfway:
            step = square_root(step)
            to_fixed = to_fixed @ step
        return replace(self, to_moving=self.to_moving @ np.linalg.inv(step), to_fixed=to_fixed)

    @property
    def affines(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the network's voxels are in the moving and in the fixed image, RAS mm."""
        return self.moving.affine @ self.to_moving, self.fixed.affine @ self.to_fixed

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Both images as the network sees them: `(extent, extent, extent)`, in [0, 1].

        Raises:
            ValueError: if an image has no contrast there.
        """
        return (
            _seen(self.moving, self.to_moving, self.extent),
            _seen(self.fixed, self.to_fixed, self.extent),
        )


def network_affine(image: Volume, extent: int) -> np.ndarray:
    """Matrix from voxels of the network's space to RAS mm, around the centre of an image."""
    affine = np.eye(4)
    affine[:3, :3] = _DIRECTIONS
    center = image.affine @ [*(n / 2 for n in image.shape), 1]
    affine[:3, 3] = center[:3] - _DIRECTIONS @ np.full(3, extent / 2)
    return affine


def sample(data: np.ndarray, matrix: np.ndarray, extent: int) -> np.ndarray:
    """Sample an image on a cube, linearly; 0 where a coordinate leaves the voxel centres.

    Args:
        data: `(x, y, z)`, float32.
        matrix: `(4, 4)`, from voxels of the cube to voxels of the image.
        extent: voxels per axis of the cube.
    """
    from scipy.ndimage import affine_transform

    matrix = exact(matrix)
    return affine_transform(
        data, matrix[:3, :3], matrix[:3, 3], (extent,) * 3, order=1, mode="constant"
    )


def _seen(image: Volume, matrix: np.ndarray, extent: int) -> np.ndarray:
    seen = sample(np.asarray(image.data, "float32"), matrix, extent)
    seen -= seen.min()
    if not seen.max() > 0:
        raise ValueError(f"{image.name} has no contrast within {extent} mm about the centre")
    return seen / seen.max()
