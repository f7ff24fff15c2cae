"""From a scan to labels and lesions as WMH-SynthSeg computes them, every step and constant."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget, ScanBudget
from synthtf.inference.prediction import apply_network
from synthtf.published.alignment import Orientation, read_scan
from synthtf.published.averaging import averaged, most_likely
from synthtf.published.wmh_synthseg.labels import CENTRE, LESION, MIRRORED, NAMES

if TYPE_CHECKING:
    import keras

_MULTIPLE = 32
_BOX = (192, 224, 192)  # voxels that one of two passes gets at most


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What WMH-SynthSeg finds, with voxels of 1 mm along right, anterior and superior.

    Attributes:
        labels: the most likely label of each voxel, int32.
        lesions: probability of white matter hyperintensities, float32.
        volumes: mm³ of each label, the sum of its posteriors; the background is left out.
    """

    labels: Volume
    lesions: Volume
    volumes: dict[int, float]


def segment_lesions(
    path: str | os.PathLike,
    network: "keras.Model",
    *,
    crop: bool = False,
    budget: MemoryBudget | None = None,
) -> Segmentation:
    """Segment anatomy and white matter hyperintensities.

    Args:
        path: the scan, see `read_scan`.
        network: from `synthtf.interop.load_wmh_synthseg`.
        crop: whether to find the brain first, and to look at 192 x 224 x 192 voxels around it only.
        budget: memory that the process may take. None: no limit.

    Returns:
        Labels, lesions and volumes. They are not brought back to the grid of the scan.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or has no voxel above 0, or does not fit the budget.
    """
    image, affine, name = prepare(path)
    budget = budget or MemoryBudget()
    if crop:
        start = _find_brain(network, image, budget.for_scan(image.size * SCAN_BYTES))
        affine[:3, 3] += affine[:3, :3] @ start
        image = image[tuple(slice(s, s + size) for s, size in zip(start, _BOX, strict=True))]
        if not image.size:
            raise ValueError(f"{name}: no brain was found; leave out --crop")
    posteriors = _posteriors(network, image, budget)
    values = np.array(list(NAMES), np.int32)
    sums = posteriors.sum(axis=(1, 2, 3), dtype="float64").astype("float32")
    return Segmentation(
        Volume(values[most_likely(posteriors)], affine),
        Volume(posteriors[list(NAMES).index(LESION)].copy(), affine),
        {label: float(s) for label, s in zip(NAMES, sums, strict=True) if label},
    )


def prepare(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray, str]:
    """Read a scan, align it, scale it to a maximum of 1, and resample it to 1 mm.

    Args:
        path: the scan.

    Returns:
        `(x, y, z)` float32, its affine, and the name of the scan for messages.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or has no voxel above 0.
    """
    scan = read_scan(path).volume
    orientation = Orientation.of(scan.affine)
    image = orientation.apply(scan.data)
    affine = orientation.align(scan.affine, scan.data.shape)
    highest = image.max()
    if not highest > 0:
        raise ValueError(f"{scan.name} has no voxel above 0; is this a scan of a head?")
    image = (image / highest).astype("float32")  # nothing is subtracted
    ratios = np.sqrt((affine[:3, :3] ** 2).sum(0))
    for axis, ratio in enumerate(ratios):
        image = _resample(image, axis, ratio)
    affine[:3, :3] /= ratios
    affine[:3, 3] -= affine[:3, :3] @ (0.5 * (ratios - 1))
    return image, affine, scan.name


def _resample(image: np.ndarray, axis: int, ratio: float) -> np.ndarray:
    """Interpolate linearly, without blur; the size is rounded, halves to even."""
    size = image.shape[axis]
    steps = np.arange(int(np.round(size * ratio)))
    places = np.clip((1 - ratio) / (2 * ratio) + steps / ratio, 0, size - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, size - 1)
    weights = (places - low).astype("float32").reshape([-1 if a == axis else 1 for a in range(3)])
    return np.take(image, low, axis) * (1 - weights) + np.take(image, high, axis) * weights


def _find_brain(network: "keras.Model", image: np.ndarray, budget: ScanBudget) -> np.ndarray:
    """First voxel of the box around the brain.

    If the image is smaller than the box, it lies in the middle of the box while the brain is
    looked for; the published command does not subtract where.
    """
    box = np.zeros(_BOX, "float32")
    inside, part, start = [], [], []
    for size, n in zip(_BOX, image.shape, strict=True):
        begin, first = max((size - n) // 2, 0), max((n - size) // 2, 0)
        inside.append(slice(begin, begin + min(n, size)))
        part.append(slice(first, first + size))
        start.append(first)
    box[tuple(inside)] = image[tuple(part)]
    channels = [list(NAMES).index(label) for label in CENTRE]
    likely = _softmax(apply_network(network, box, budget))[..., channels].sum(axis=-1)
    total = likely.sum(dtype="float64")
    centre = []
    for axis, size in enumerate(_BOX):
        others = tuple(other for other in range(3) if other != axis)
        profile = likely.sum(axis=others, dtype="float64")
        centre.append(profile @ np.arange(size) / total)
    return np.array(
        [max(0, int(c + s - n / 2)) for c, s, n in zip(centre, start, _BOX, strict=True)]
    )


def _posteriors(network: "keras.Model", image: np.ndarray, budget: MemoryBudget) -> np.ndarray:
    """Average the posteriors of the image and of its mirror image, `(channels, x, y, z)`."""
    padded = np.pad(image, [(0, -n % _MULTIPLE) for n in image.shape])
    scan_bytes = padded.size * (SCAN_BYTES + 4 * len(NAMES))
    patch = budget.for_scan(scan_bytes, kept=1, begun=2).plan(network, padded.shape)
    if patch is not None and all(p >= n for p, n in zip(patch, padded.shape, strict=True)):
        patch = None
    found = averaged(network, padded, patch, len(NAMES), MIRRORED, _softmax)
    return found[(slice(None), *(slice(0, n) for n in image.shape))]


def _softmax(output: np.ndarray) -> np.ndarray:
    """Softmax over the channels of labels, in the place of the output where it can be changed."""
    logits = output[..., : len(NAMES)]
    logits = logits if logits.flags.writeable else logits.copy()
    for plane in logits:
        plane -= plane.max(axis=-1, keepdims=True)
        np.exp(plane, out=plane)
        plane /= plane.sum(axis=-1, keepdims=True)
    return logits
