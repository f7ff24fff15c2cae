"""Alignment of two images by all that a detector finds in them, not only by its centres of mass."""

from dataclasses import dataclass

import numpy as np

_VOXEL = 4.0  # mm: maps are compared on voxels of this size, or of their own if that is larger
_BLUR = 0.7  # voxels
_LEAST_PEAK = 0.2  # of a map's highest value anywhere: below, the structure was not found
_MAX_STEPS = 12
_SMALL = 0.02  # voxels, at the end of the longest axis: a step that ends the search
_DAMPING = 1e-3
_FLAT = 1e-4
_INSIDE = 0.99


def align_maps(
    moving: np.ndarray,
    fixed: np.ndarray,
    matrix: np.ndarray,
    spacing: float,
    map_spacing: float,
    rigid: bool = False,
) -> np.ndarray:
    """Improve a transform between images so that their feature maps overlap.

    Args:
        moving: maps of the moving image, `(x, y, z, features)`, non-negative.
        fixed: likewise, of the fixed image.
        matrix: `(4, 4)` from fixed to moving voxels of the images about the centre.
        spacing: voxel size of the images in mm.
        map_spacing: that of the maps.
        rigid: whether the transform shall be a rotation and a translation.

    Returns:
        `(4, 4)`, as `matrix`.
    """
    size = max(1, round(_VOXEL / map_spacing))
    to_maps = np.diag([spacing / (size * map_spacing)] * 3 + [1.0])
    to_images = np.linalg.inv(to_maps)
    coarse = (_pooled(maps, size) for maps in (moving, fixed))
    return to_images @ align_features(*coarse, to_maps @ matrix @ to_images, rigid) @ to_maps


def align_features(
    moving: np.ndarray, fixed: np.ndarray, matrix: np.ndarray, rigid: bool = False
) -> np.ndarray:
    """Improve a transform so that feature maps of two images overlap.

    The sum of squared differences of the maps, each weighted so that small structures count as
    much as large ones, falls by Gauss-Newton steps in the space in the middle, with the mean of
    the gradients of both images. Swapping the images inverts the transform.

    Args:
        moving: maps of the moving image, `(x, y, z, features)`, non-negative.
        fixed: likewise, of the fixed image, of the same shape.
        matrix: `(4, 4)` from fixed to moving voxels about the centre, where to start.
        rigid: whether the transform shall be a rotation and a translation.

    Returns:
        `(4, 4)`; `matrix` where no feature is found in both images.

    Reference: Baker and Matthews, Lucas-Kanade 20 years on, IJCV 2004; Benhimane and Malis,
        Real-time image-based tracking of planes using efficient second-order minimization,
        IROS 2004, for the mean of the gradients.
    """
    maps = _Maps.of(moving, fixed)
    if maps is None:
        return matrix
    generators = _generators(max(moving.shape[:3]) / 2, rigid)
    for _ in range(_MAX_STEPS):
        half = _square_root(matrix)
        step = _gauss_newton(maps, half, generators)
        matrix = half @ _exponential(np.tensordot(step, generators, 1)) @ half
        if np.abs(step).max() < _SMALL:
            break
    return matrix


@dataclass(frozen=True)
class _Maps:
    moving: np.ndarray  # (1, x, y, z, features + 1), the last one 1
    fixed: np.ndarray
    weights: np.ndarray  # (features,)

    @classmethod
    def of(cls, moving: np.ndarray, fixed: np.ndarray) -> "_Maps | None":
        """Blurred maps of what is found in both images."""
        from scipy import ndimage

        axes = (0, 1, 2)
        peak = np.minimum(moving.max(axes), fixed.max(axes))
        found = peak > _LEAST_PEAK * peak.max()
        if not peak.max() > 0:
            return None
        both = [
            ndimage.gaussian_filter(x[..., found].astype("float32"), _BLUR, axes=axes)
            for x in (moving, fixed)
        ]
        power = np.sqrt(np.prod([np.square(x).sum(axes) for x in both], axis=0))
        ones = np.ones((*moving.shape[:3], 1), "float32")
        both = [np.concatenate([x, ones], axis=-1)[None] for x in both]
        return cls(*both, 1 / power)

    def at(self, half: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both in the space in the middle, `(x, y, z, features)`, and what both show of it."""
        from keras import ops

        from synthtf.ops import resample

        pairs = ((self.moving, half), (self.fixed, np.linalg.inv(half)))
        moved = (resample(x, m[None].astype("float32"), fill=0.0) for x, m in pairs)
        moving, fixed = (ops.convert_to_numpy(x)[0] for x in moved)
        return moving[..., :-1], fixed[..., :-1], np.minimum(moving, fixed)[..., -1] > _INSIDE


def _pooled(maps: np.ndarray, size: int) -> np.ndarray:
    """Means over cubes of voxels; what is left over at the ends is cut off."""
    x, y, z = (n // size for n in maps.shape[:3])
    inner = tuple(
        slice((n - m * size) // 2, (n + m * size) // 2)
        for n, m in zip(maps.shape, (x, y, z), strict=False)
    )
    return maps[inner].reshape(x, size, y, size, z, size, -1).mean((1, 3, 5))


def _gauss_newton(maps: _Maps, half: np.ndarray, generators: np.ndarray) -> np.ndarray:
    """Amount of each generator by which the maps come closer."""
    moving, fixed, seen = maps.at(half)
    slopes = np.stack(np.gradient((moving + fixed) / 2, axis=(0, 1, 2)), -1)
    edges = seen & (np.abs(slopes).max(axis=(3, 4)) > _FLAT)
    slopes, rest = slopes[edges], (fixed - moving)[edges]
    weighted = slopes * maps.weights[:, None]
    # Per voxel: how the difference depends on a displacement, then the displacement on the step.
    curvature = weighted.transpose(0, 2, 1) @ slopes
    force = (weighted.transpose(0, 2, 1) @ rest[..., None])[..., 0]
    points = np.argwhere(edges) - (np.array(edges.shape) - 1) / 2
    points = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    moves = np.einsum("kij,nj->nik", generators[:, :3], points)
    hessian = np.einsum("nik,nil->kl", moves, curvature @ moves)
    gradient = np.einsum("nik,ni->k", moves, force)
    damping = _DAMPING * np.trace(hessian) / len(hessian)
    return np.linalg.solve(hessian + (damping + 1e-12) * np.eye(len(hessian)), gradient)


def _generators(radius: float, rigid: bool) -> np.ndarray:
    """Small changes of a matrix that each move points by about a voxel, `(k, 4, 4)`."""
    units = np.zeros((3, 4, 4, 4))
    for i in range(3):
        for j in range(4):
            units[i, j, i, j] = 1 if j == 3 else 1 / radius
    if not rigid:
        return units.reshape(12, 4, 4)
    turns = [units[i, j] - units[j, i] for i, j in ((0, 1), (0, 2), (1, 2))]
    return np.stack([*units[:, 3], *turns])


def _exponential(matrix: np.ndarray) -> np.ndarray:
    from scipy.linalg import expm

    return expm(matrix)


def _square_root(matrix: np.ndarray) -> np.ndarray:
    from scipy.linalg import sqrtm

    return np.real(sqrtm(matrix))
