"""Orientation, voxel size and extent of volumes, without interpolation.

Conformed volumes are RAS: axis 0 runs from left to right, axis 1 from posterior to anterior,
axis 2 from inferior to superior. A 2D image keeps its two axes, in the order and direction that
they have in RAS; the third column of its affine stays the normal of the plane.
"""

from collections.abc import Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np

from synthtf.data.resampling import nearest_index
from synthtf.data.volumes import Volume, as_labels


def orientation(volume: Volume) -> str:
    """Return the orientation of a volume, such as "RAS" or "LIA" ("RA" in 2D).

    Args:
        volume: a volume; an oblique axis counts as the anatomical axis closest to it.

    Returns:
        One letter per spatial axis.
    """
    found = nib.orientations.io_orientation(volume.affine)[: volume.ndim]
    return "".join(nib.orientations.ornt2axcodes(found))


def reorient(volume: Volume, axcodes: str = "RAS") -> Volume:
    """Permute and flip the axes of a volume, exactly; each voxel keeps its place in space.

    Args:
        volume: 2D or 3D, with or without frames.
        axcodes: new orientation, three letters of L/R, P/A, I/S. In 2D, either the two letters of
            the image plane, or three letters to pick them from. Default "RAS".

    Returns:
        The volume in the new orientation, with its affine.

    Raises:
        ValueError: if `axcodes` is not an orientation.
    """
    target = _target(volume, axcodes)
    start = nib.orientations.io_orientation(volume.affine)[: volume.ndim]
    order = [int(np.flatnonzero(start[:, 0] == axis)[0]) for axis, _ in target]
    steps = [int(start[i, 1] * flip) for i, (_, flip) in zip(order, target, strict=True)]
    frames = range(volume.ndim, volume.data.ndim)
    data = volume.data.transpose(*order, *frames)[tuple(slice(None, None, s) for s in steps)]
    matrix = np.eye(4)
    matrix[: volume.ndim] = 0
    for new, (old, step) in enumerate(zip(order, steps, strict=True)):
        matrix[old, new] = step
        matrix[old, 3] = 0 if step > 0 else volume.shape[old] - 1
    return replace(volume, data=np.ascontiguousarray(data), affine=volume.affine @ matrix)


def conform_labels(
    volume: Volume,
    spacing: float | Sequence[float] | None = None,
    shape: int | Sequence[int] | None = None,
    centre_on: Sequence[int] | None = None,
) -> Volume:
    """Bring a label map to RAS, a voxel size and a shape, by nearest neighbour without rotation.

    Args:
        volume: label map, 2D or 3D.
        spacing: mm per voxel, a scalar or one per RAS axis, applied about the centre of the
            volume. Default: the spacing of the map.
        shape: number of voxels, a scalar or one per RAS axis. The map is cropped, and padded with
            zeros, around the centre of the bounding box of `centre_on`. Default: the whole
            extent.
        centre_on: labels to centre `shape` on. A map that is all background is centred on
            itself. Default: all labels except 0.

    Returns:
        int32 label map with its affine; its header is dropped.

    Raises:
        ValueError: if the values are not labels, spacing or shape are not positive or have the
            wrong length, or none of the labels `centre_on` occurs.
    """
    labels = as_labels(volume.data, volume.name)
    conformed = reorient(replace(volume, data=labels, header=None), "RAS")
    if spacing is not None:
        conformed = resample_nearest(conformed, spacing)
    if shape is None:
        return conformed
    return crop_or_pad(conformed, shape, labels_centre(conformed, centre_on, volume.name))


def resample_nearest(volume: Volume, spacing: float | Sequence[float]) -> Volume:
    """Change the voxel size of a volume by nearest neighbour, about its centre.

    A whole factor takes voxels as they are: the centre then moves by up to half a voxel of the
    input, and the affine accounts for it.

    Args:
        volume: 2D or 3D.
        spacing: new mm per voxel, a scalar or one per axis.

    Returns:
        The volume with its affine; its extent in mm changes by at most half a voxel.

    Raises:
        ValueError: if spacing is not positive or has the wrong length.
    """
    spacing = per_axis(spacing, volume.ndim, "spacing")
    data, matrix = volume.data, np.eye(4)
    for axis, (new, old) in enumerate(zip(spacing, volume.spacing, strict=True)):
        ratio, size = new / old, volume.shape[axis]
        if _same_spacing(size, ratio):
            continue
        count = resampled_size(size, old, new)
        offset = (size - 1) / 2 - ratio * (count - 1) / 2
        if abs(ratio - round(ratio)) < 1e-6:
            # Every sample lies between two voxels. Take one of them and let the affine say so,
            # instead of shifting the labels by half a voxel against it.
            offset = np.floor(offset + 0.5)
        data = np.take(data, nearest_index(size, count, ratio, offset), axis)
        matrix[axis, axis], matrix[axis, 3] = ratio, offset
    return replace(volume, data=data, affine=volume.affine @ matrix)


def resampled_size(size: int, old: float, new: float) -> int:
    """Return the number of voxels along an axis after a change of voxel size.

    Args:
        size: number of voxels before.
        old: mm per voxel before.
        new: mm per voxel after.

    Returns:
        Number of voxels, at least 1.

    Example:
        >>> resampled_size(256, 1.0, 3.0)
        85
    """
    return size if _same_spacing(size, new / old) else max(1, round(size * old / new))


def _same_spacing(size: int, ratio: float) -> bool:
    # Headers in float32 turn 1 mm into 0.9999999: such axes are left alone.
    return abs(ratio - 1) * size < 1e-3


def crop_or_pad(
    volume: Volume, shape: int | Sequence[int], centre: Sequence[float] | None = None
) -> Volume:
    """Crop a volume to a shape around a point, and pad it with zeros where it is smaller.

    Args:
        volume: 2D or 3D.
        shape: number of voxels, a scalar or one per axis.
        centre: voxel coordinates of the new centre, to half a voxel. Default: the centre of the
            volume.

    Returns:
        Volume of that shape, with its affine.

    Raises:
        ValueError: if shape is not whole and positive, or has the wrong length.
    """
    shape = per_axis(shape, volume.ndim, "shape", whole=True)
    if centre is None:
        centre = [(n - 1) / 2 for n in volume.shape]
    start = [int(np.floor(c - (n - 1) / 2 + 0.5)) for c, n in zip(centre, shape, strict=True)]
    data = np.zeros((*shape, *volume.data.shape[volume.ndim :]), volume.data.dtype)
    source, target = [], []
    for first, new, old in zip(start, shape, volume.shape, strict=True):
        low, high = max(first, 0), max(min(first + new, old), 0)
        source.append(slice(low, max(high, low)))
        target.append(slice(low - first, max(high, low) - first))
    data[tuple(target)] = volume.data[tuple(source)]
    matrix = np.eye(4)
    matrix[: volume.ndim, 3] = start
    return replace(volume, data=data, affine=volume.affine @ matrix)


def bounding_box_centre(
    volume: Volume, labels: Sequence[int] | None = None
) -> tuple[float, ...] | None:
    """Return the centre of the bounding box of labels, in voxel coordinates.

    Args:
        volume: label map.
        labels: labels to enclose. Default: all labels except 0.

    Returns:
        One coordinate per axis, or None if none of the labels occurs.
    """
    mask = volume.data != 0 if labels is None else np.isin(volume.data, list(labels))
    if not mask.any():
        return None
    centre = []
    for axis in range(volume.ndim):
        others = tuple(a for a in range(volume.ndim) if a != axis)
        found = np.flatnonzero(mask.any(others))
        centre.append((found[0] + found[-1]) / 2)
    return tuple(centre)


def labels_centre(
    volume: Volume, labels: Sequence[int] | None, name: str
) -> tuple[float, ...] | None:
    """Return the centre of the bounding box of labels; given labels must occur.

    Args:
        volume: label map.
        labels: labels to enclose, or None for all labels except 0.
        name: name of the file or array, for the message.

    Returns:
        One coordinate per axis, or None if `labels` is None and the map is all background.

    Raises:
        ValueError: if none of the given labels occurs.
    """
    centre = bounding_box_centre(volume, labels)
    if centre is None and labels is not None:
        raise ValueError(f"{name}: none of the labels {sorted(labels)} to centre on occurs")
    return centre


def per_axis(
    value: float | Sequence[float], ndim: int, name: str, whole: bool = False
) -> tuple[float, ...]:
    """Return one positive number per axis from a scalar or a sequence.

    Args:
        value: a number, or one per axis.
        ndim: number of axes.
        name: name of the argument, for the message.
        whole: require whole numbers and return them as int. Default False.

    Returns:
        A tuple of `ndim` numbers.

    Raises:
        ValueError: if a number is not positive, not finite or not whole, or the length is wrong.

    Example:
        >>> per_axis(1.5, 2, "spacing")
        (1.5, 1.5)
    """
    kind = "whole positive" if whole else "positive"
    message = f"`{name}` must be one {kind} number or {ndim}. Received: {name}={value!r}"
    try:
        numbers = np.atleast_1d(np.asarray(value, "float64"))
    except (TypeError, ValueError) as error:
        raise ValueError(message) from error
    if numbers.shape not in {(1,), (ndim,)} or not (np.isfinite(numbers) & (numbers > 0)).all():
        raise ValueError(message)
    if whole and (numbers != np.rint(numbers)).any():
        raise ValueError(message)
    numbers = np.broadcast_to(numbers, (ndim,))
    return tuple(int(n) if whole else float(n) for n in numbers)


def _target(volume: Volume, axcodes: str) -> list[tuple[int, int]]:
    """Return the world axis and direction of each axis of the result."""
    try:
        wanted = nib.orientations.axcodes2ornt(tuple(axcodes))
        valid = len(axcodes) in (2, 3) and len(set(wanted[:, 0])) == len(axcodes)
    except (KeyError, TypeError, ValueError):
        valid = False
    start = nib.orientations.io_orientation(volume.affine)[: volume.ndim, 0]
    if valid:
        chosen = [(int(axis), int(flip)) for axis, flip in wanted if axis in start]
        if len(chosen) == volume.ndim:
            return chosen
    raise ValueError(
        f"`axcodes` must be an orientation such as 'RAS' for {volume.name} "
        f"({orientation(volume)}). Received: axcodes={axcodes!r}"
    )
