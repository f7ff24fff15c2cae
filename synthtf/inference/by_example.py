"""Segmentation of whatever a few pairs of image and label map show."""

import dataclasses
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.grid import check_same_grid
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.prediction import load_run

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

_AXIAL = 2  # axis in RAS orientation along which slices lie


def segment_in_context(
    image: "Volume | np.ndarray | str | PathLike",
    context_images: "Sequence[Volume | np.ndarray | str | PathLike]",
    context_labels: "Sequence[Volume | np.ndarray | str | PathLike]",
    model: "CombinedModel | Run | str | PathLike",
    *,
    labels: Sequence[int] | None = None,
) -> Volume:
    """Segment an image by the example of others.

    A network of two dimensions sees slices: of an image of one slice that one, whatever its
    orientation; else axial ones, each beside those at the same relative height in the context. Each
    image is scaled as a whole to the size that the network was trained on: image and context should
    show about the same part of a body. Each label is looked for by itself; a voxel gets the
    likeliest of those above a half.

    Args:
        image: A volume, its file, or an array, of two or three axes.
        context_images: Likewise, one or more, of any size and voxel size.
        context_labels: Label maps of these images, on their grids.
        model: A training run of the task in-context, its folder or name, or a model that `fit`
            trained. Load it once for several images.
        labels: Labels to find; None for all in the context but 0.

    Returns:
        Label map on the grid of the image, int32.

    Raises:
        ValueError: If images and label maps do not fit each other, a label is not in the context,
            or the run does not fit.
        FileNotFoundError: If a file is missing.

    Reference:
        Butoi et al., UniverSeg: universal medical image segmentation, ICCV 2023.
    """
    run = load_run(model, "in-context", (2, 3))
    context = _Context.read(context_images, context_labels, run, labels)
    volume = _read(image)
    fitted = _Fitted.of(volume, run.shape)
    slices = fitted.conform(volume.data)
    posteriors = np.zeros((len(context.labels), *slices.shape), np.float32)
    count = slices.shape[-1]
    for index in range(count):
        pixels = _normalized(slices[..., index])
        beside = context.at((index + 0.5) / count)
        for posterior, pairs in zip(posteriors, beside, strict=True):
            if pixels.any() and pairs[..., 1].any():
                posterior[..., index] = _predict(run, pixels, pairs)
    best = np.full(fitted.grid.scan_shape, 0.5, np.float32)
    found = np.zeros(fitted.grid.scan_shape, np.int32)
    for label, posterior in zip(context.labels, posteriors, strict=True):
        restored = fitted.restore(posterior)
        found[restored > best] = label
        best = np.maximum(best, restored)
    return Volume(found.reshape(volume.data.shape), volume.affine, volume.header, ndim=volume.ndim)


@dataclasses.dataclass(frozen=True)
class _Fitted:
    """How a volume is scaled to the images of a network.

    Attributes:
        grid: Of the volume, scaled.
        shape: Voxels per axis of the network's images.
        axis: Along which slices lie, in RAS orientation; None for a network of three dimensions.
    """

    grid: ConformedGrid
    shape: tuple[int, ...]
    axis: int | None

    @classmethod
    def of(cls, volume: Volume, shape: Sequence[int]) -> "_Fitted":
        """Plan the grid that holds the whole volume."""
        extent = (*volume.shape, 1)[:3]
        native = ConformedGrid.of(extent, volume.affine, (1.0,) * 3)
        sizes, counts = np.zeros(3), native.oriented_shape
        sizes[native.orientation[:, 0]] = np.linalg.norm(volume.affine[:3, :3], axis=0)
        axis = None
        if len(shape) == 2:
            axis = counts.index(1) if counts.count(1) == 1 else _AXIAL
        plane = [each for each in range(3) if each != axis]
        scale = max(counts[a] * sizes[a] / n for a, n in zip(plane, shape, strict=True))
        spacing = [float(sizes[a]) if a == axis else float(scale) for a in range(3)]
        return cls(ConformedGrid.of(extent, volume.affine, spacing), tuple(shape), axis)

    def conform(self, data: np.ndarray) -> np.ndarray:
        """Bring voxels of the volume to the images of the network, `(*shape, slices)`."""
        found = self.grid.conform(np.asarray(data, np.float32).reshape(self.grid.scan_shape))
        found = found[..., None] if self.axis is None else np.moveaxis(found, self.axis, -1)
        padding = [(low, n - low - size) for low, size, n in self._places(found.shape)]
        return np.pad(found, [*padding, (0, 0)])

    def restore(self, channel: np.ndarray) -> np.ndarray:
        """Bring numbers in the images of the network back to the volume."""
        shape = self.grid.shape
        if self.axis is not None:
            shape = [n for axis, n in enumerate(shape) if axis != self.axis]
        inner = channel[tuple(slice(low, low + size) for low, size, _ in self._places(shape))]
        inner = inner[..., 0] if self.axis is None else np.moveaxis(inner, -1, self.axis)
        return self.grid.restore(np.ascontiguousarray(inner))

    def _places(self, sizes: Sequence[int]) -> list[tuple[int, int, int]]:
        """Where it begins in the images of the network, its size and theirs, per axis."""
        pairs = zip(sizes, self.shape, strict=False)
        return [((n - size) // 2, size, n) for size, n in pairs]


@dataclasses.dataclass(frozen=True)
class _Context:
    """Pairs of images and masks, as the network sees them.

    Attributes:
        images: Of each pair, `(*shape, slices)`.
        masks: Of each pair, `(labels, *shape, slices)`.
        labels: Label of each mask.
    """

    images: list[np.ndarray]
    masks: list[np.ndarray]
    labels: tuple[int, ...]

    @classmethod
    def read(
        cls, images: Sequence, maps: Sequence, run: "Run", labels: Sequence[int] | None
    ) -> "_Context":
        """Read, check and scale all pairs."""
        if len(images) != len(maps) or not len(images):
            raise ValueError(
                "Expected one label map for each image of the context, at least one. Received: "
                f"{len(images)} images and {len(maps)} label maps"
            )
        pairs = [(_read(a), _read(b, labels=True)) for a, b in zip(images, maps, strict=True)]
        for image, mask in pairs:
            check_same_grid(image, mask)
        known = sorted({int(v) for _, mask in pairs for v in np.unique(mask.data)} - {0})
        wanted = known if labels is None else [int(v) for v in labels]
        if not wanted or not set(wanted) <= set(known):
            raise ValueError(
                f"Expected labels that are in the context, at least one of {known}. "
                f"Received: {wanted}"
            )
        found = cls([], [], tuple(wanted))
        for image, mask in pairs:
            fitted = _Fitted.of(image, run.shape)
            found.images.append(fitted.conform(image.data))
            masks = [fitted.conform(mask.data == label) >= 0.5 for label in wanted]
            found.masks.append(np.stack(masks).astype(np.float32))
        return found

    def at(self, height: float) -> list[np.ndarray]:
        """Slices at a relative height, `(pairs, *shape, 2)` for each label."""
        places = [int(height * image.shape[-1]) for image in self.images]
        shown = [_normalized(x[..., p]) for x, p in zip(self.images, places, strict=True)]
        masks = [x[..., p] for x, p in zip(self.masks, places, strict=True)]
        return [
            np.stack([np.stack([a, b[i]], -1) for a, b in zip(shown, masks, strict=True)])
            for i in range(len(self.labels))
        ]


def _read(image: "Volume | np.ndarray | str | PathLike", labels: bool = False) -> Volume:
    """Give a volume of one frame."""
    if isinstance(image, np.ndarray):
        image = Volume(image, np.eye(4))
    volume = image if isinstance(image, Volume) else read_volume(image, labels=labels)
    if volume.data.ndim != volume.ndim:
        raise ValueError(f"{volume.name}: expected one frame. Received: {volume.data.shape}")
    return volume


def _normalized(pixels: np.ndarray) -> np.ndarray:
    """Bring intensities to [0, 1]; an empty slice stays empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return normalize_intensity(pixels)


def _predict(run: "Run", image: np.ndarray, context: np.ndarray) -> np.ndarray:
    """Posterior of the foreground."""
    if run.metadata.get("context") == 0:
        context = np.zeros_like(context[:1])
    inputs = {"image": image[None, ..., None], "context": context[None]}
    return np.asarray(run.task_model.predict_on_batch(inputs), np.float32)[0, ..., 1]
