"""From two scans and their segmentations to the transforms between them, as EasyReg finds them.

The centroids of the atlas' structures are constants of the original program, which do not come
with this package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from synthtf.data.grid import Grid
from synthtf.data.volumes import Volume
from synthtf.published.synthmorph.matrices import apply, fit

if TYPE_CHECKING:
    import keras

STEPS = 10
"""Squarings that integrate a velocity."""

_PARCELS = (1, 2, 3, *range(5, 36))
LABELS = (
    *(2, 4, 5, 7, 8, *range(10, 19), 26, 28, 41, 43, 44, 46, 47, *range(49, 55), 58, 60),
    *(side + parcel for side in (1000, 2000) for parcel in _PARCELS),
)
"""Labels of SynthSeg and its parcels, in the order of the centroids."""

_FEWEST = 50  # voxels of a structure; one of no more is left out
ATLAS = Grid(
    (160, 160, 192),
    np.array([[-1.0, 0, 0, 79], [0, 0, 1, -104], [0, -1, 0, 79], [0, 0, 0, 1]]),
)
"""The space of the network."""


@dataclass(frozen=True)
class Subject:
    """A scan, and its way from the atlas.

    Attributes:
        image: the scan.
        labels: its segmentation by SynthSeg with parcels, on a grid of its own.
        from_atlas: `(4, 4)`, from RAS mm of the atlas to RAS mm of the scan.
    """

    image: Volume
    labels: Volume
    from_atlas: np.ndarray

    @classmethod
    def of(cls, image: Volume, labels: Volume, atlas: np.ndarray) -> "Subject":
        """Fit the affine transform between atlas and scan.

        Args:
            image: the scan.
            labels: its segmentation by SynthSeg, with parcels.
            atlas: `(97, 3)`, centroid of each of `LABELS` in the atlas, RAS mm.

        Raises:
            ValueError: if the segmentation has no parcels, or too few structures.
        """
        if np.shape(atlas) != (len(LABELS), 3):
            raise ValueError(
                f"`atlas` must have the shape ({len(LABELS)}, 3). Received: {np.shape(atlas)}"
            )
        if not (labels.data > 1000).any():
            raise ValueError(
                f"{labels.name} has no labels above 1000; segment the scan with parcels (--parc)"
            )
        found = centroids(labels)
        known = np.isfinite(found).all(axis=1)
        if known.sum() < 4:
            raise ValueError(f"{labels.name} must have at least 4 structures of the atlas")
        return cls(image, labels, fit(np.asarray(atlas)[known], found[known], np.ones(known.sum())))

    def to_voxels(self, volume: Volume) -> np.ndarray:
        """Matrix from voxels of the atlas to those of a volume of the subject."""
        return np.linalg.inv(volume.affine) @ self.from_atlas @ ATLAS.affine

    def seen(self) -> np.ndarray:
        """The scan as the network sees it: in the atlas, without what has no label, up to 1.

        Raises:
            ValueError: if nothing is left.
        """
        grid = np.indices(ATLAS.shape, dtype="float32", sparse=True)
        image = _inside(self.image.data, apply(self.to_voxels(self.image), grid))
        places = apply(self.to_voxels(self.labels), grid)
        last = [n - 1 for n in self.labels.shape]
        nearest = [
            np.clip(np.round(x), 0, n).astype(int) for x, n in zip(places, last, strict=True)
        ]
        image[self.labels.data[tuple(nearest)] == 0] = 0
        if not image.max() > 0:
            raise ValueError(f"{self.image.name} is empty where {self.labels.name} has labels")
        return image / image.max()


@dataclass(frozen=True)
class Registered:
    """A registration in one direction.

    Attributes:
        coordinates: `(x, y, z, 3)`, for each voxel of the target where it is in the source, RAS mm.
        image: the source on the grid of the target.
    """

    coordinates: np.ndarray
    image: np.ndarray


def centroids(labels: Volume) -> np.ndarray:
    """Median place of each of `LABELS`, `(97, 3)` in RAS mm; NaN for what is too small."""
    result = np.full((len(LABELS), 3), np.nan)
    for index, label in enumerate(LABELS):
        voxels = np.argwhere(labels.data == label)
        if len(voxels) > _FEWEST:
            result[index] = apply(labels.affine, np.median(voxels, axis=0))
    return result


def register(
    reference: Subject, floating: Subject, network: "keras.Model | None" = None
) -> tuple[Registered, Registered]:
    """Register two scans symmetrically.

    Args:
        reference: the reference.
        floating: the scan that is registered to it.
        network: from `synthtf.interop.load_voxelmorph`, with EasyReg's weights. None: affinely.

    Returns:
        The floating scan on the grid of the reference, and the reference on that of the other.

    Raises:
        ValueError: if a scan is empty within its segmentation.
    """
    forward = backward = None
    if network is not None:
        forward, backward = _fields(network, reference.seen(), floating.seen())
    return (
        _moved(floating, reference, forward),
        _moved(reference, floating, backward),
    )


def _fields(
    network: "keras.Model", reference: np.ndarray, floating: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements in the atlas, in its voxels, towards the floating scan and the reference."""
    import keras

    from synthtf.layers import UpsampleField
    from synthtf.ops import integrate_velocity

    unet = keras.Model(network.input, network.output["velocity"])  # without the integration

    def velocity(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        pair = {"moving": moving[None, ..., None], "fixed": fixed[None, ..., None]}
        return unet.predict_on_batch(pair)

    upsample = UpsampleField(2)
    half = (velocity(reference, floating) - velocity(floating, reference)) / 2
    first, second = (
        np.asarray(upsample(integrate_velocity(sign * half, STEPS))[0]) for sign in (-1, 1)
    )
    return first, second


def _moved(source: Subject, target: Subject, field: np.ndarray | None) -> Registered:
    """Follow each voxel of the target through the atlas to the source."""
    shape = target.image.shape
    coordinates = np.empty((*shape, 3), "float32")
    image = np.empty(shape, "float32")
    to_atlas = np.linalg.inv(target.to_voxels(target.image))
    back = source.from_atlas @ ATLAS.affine
    to_source = np.linalg.inv(source.image.affine)
    y, z = np.indices(shape[1:], dtype="float64", sparse=True)
    for plane in range(shape[0]):
        places = np.broadcast_arrays(*apply(to_atlas, [np.float64(plane), y, z]))
        if field is not None:
            moves = [_inside(field[..., axis], places) for axis in range(3)]
            places = [x + u for x, u in zip(places, moves, strict=True)]
        world = apply(back, places)
        coordinates[plane] = np.stack(world, axis=-1)
        image[plane] = _inside(source.image.data, apply(to_source, world))
    return Registered(coordinates, image)


def _inside(data: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """Interpolate linearly; 0 unless every coordinate is above 0 and at most n - 1."""
    points = np.stack(np.broadcast_arrays(*places))
    values = map_coordinates(np.asarray(data, "float32"), points, order=1, mode="nearest")
    last = np.array(data.shape).reshape(3, *[1] * (points.ndim - 1)) - 1
    return np.where(((points > 0) & (points <= last)).all(axis=0), values, np.float32(0))
