"""Star-convex objects of a scan: which of them stay, and drawing them; by the package stardist."""

import importlib
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull

from synthtf.ops.stars import ray_directions


def suppress(
    points: np.ndarray,
    distances: np.ndarray,
    scores: np.ndarray,
    overlap: float,
    spacing: Sequence[float],
) -> np.ndarray:
    """Choose objects that do not overlap: the most probable ones.

    Args:
        points: `(objects, ndim)`, voxels from which the distances are measured, the most probable
            object first.
        distances: `(objects, rays)`, to the border, in mm, positive.
        scores: `(objects,)`, object probability, descending.
        overlap: Share of the smaller of two objects above which the less probable one is dropped.
        spacing: mm per voxel, one per axis.

    Returns:
        Numbers of the objects that stay, ascending.

    Raises:
        ValueError: If the package stardist is missing.
    """
    nms = _stardist("nms")
    if not len(points):
        return np.zeros(0, int)
    unit = min(spacing)  # Objects are compared in voxels, as if they were cubes.
    places, reach = points * np.array(spacing) / unit, distances / unit
    if points.shape[1] == 2:
        kept = nms.non_maximum_suppression_inds(reach, places, scores, overlap, verbose=False)
    else:
        rays = _rays(ray_directions(distances.shape[1], 3))
        kept = nms.non_maximum_suppression_3d_inds(
            reach, places, rays, scores, overlap, verbose=False
        )
    return np.flatnonzero(kept)


def draw(
    points: np.ndarray,
    distances: np.ndarray,
    spacing: Sequence[float],
    matrix: np.ndarray,
    shape: Sequence[int],
) -> np.ndarray:
    """Draw objects into a label map; where two overlap, the first one is seen.

    Between its rays an object is flat: distances grow by what a ball loses by that.

    Args:
        points: `(objects, ndim)`, voxels from which the distances are measured.
        distances: `(objects, rays)`, to the border, in mm, positive.
        spacing: mm per voxel of the points, one per axis.
        matrix: `(4, 4)`, from these voxels to those of the label map.
        shape: Voxels of the label map.

    Returns:
        int32 array of that shape: the number of each object, from 1 on; else 0. What is hidden
        altogether, or too small to be seen, gets no number.

    Raises:
        ValueError: If the package stardist is missing.
    """
    geometry, ndim = _stardist("geometry"), len(shape)
    if not len(points):
        return np.zeros(shape, np.int32)
    linear, shift = matrix[:ndim, :ndim], matrix[:ndim, 3]
    places = points @ linear.T + shift
    directions = ray_directions(distances.shape[1], ndim)
    ball = {2: math.pi, 3: 4 * math.pi / 3}[ndim]
    grown = (ball / ConvexHull(directions).volume) ** (1 / ndim)
    way = grown * directions / np.array(spacing) @ linear.T
    if ndim == 2:
        corners = places[:, :, None] + distances[:, None] * way.T
        numbers = np.arange(len(points))[::-1]
        drawn = geometry.polygons_to_label_coord(corners[::-1], tuple(shape), numbers)
    else:
        first = np.arange(len(points), 0, -1)
        rays = _rays(way)
        drawn = geometry.polyhedron_to_label(
            distances, places, rays, tuple(shape), first, verbose=False
        )
    seen = np.unique(np.append(drawn, 0), return_inverse=True)[1][:-1]
    return seen.reshape(shape).astype(np.int32)


def _rays(directions: np.ndarray) -> Any:
    """Give stardist's description of rays: their ends, and the triangles between them, outwards."""
    hull = ConvexHull(directions / np.linalg.norm(directions, axis=1, keepdims=True))
    faces = [face if np.linalg.det(directions[face]) < 0 else face[::-1] for face in hull.simplices]
    return _stardist("rays3d").Rays_Explicit(directions, np.array(faces))


def check_stardist() -> None:
    """Refuse to begin without the package stardist.

    Raises:
        ValueError: If it is missing.
    """
    _stardist("nms")


def _stardist(module: str) -> Any:
    """Import a module of stardist, which is not to change how warnings look."""
    kept = warnings.formatwarning
    try:
        return importlib.import_module(f"stardist.{module}")
    except ImportError as error:
        raise ValueError(
            f'telling objects apart needs stardist: pip install "synthtf[instances]" ({error})'
        ) from error
    finally:
        warnings.formatwarning = kept
