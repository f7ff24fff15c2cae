"""Finding the part of a scan that a network was trained to see."""

from collections.abc import Callable, Sequence

import numpy as np

from synthtf.inference.conform import Box

_MAX_PASSES = 5
_SLACK = 1.1  # of the size of the training: up to this, more field of view does little harm
_MIN_SHARE = 0.01  # of the fullest slice: ignores a few wrong voxels far away
_SETTLED = 1  # voxels: a window that moves no more than this has been found


def locate(
    find: Callable[[Box], np.ndarray], outer: Box, shape: Sequence[int], margin: Sequence[int]
) -> Box:
    """Find the window of a volume that holds the structures that a network knows.

    A network that was trained on a field of view of some size errs where it is shown much
    more, such as a neck and shoulders, or wide margins of air: it knows no such image, and
    normalisation layers average over the volume. The search starts with a window of the
    size of the training at the top of the foreground, where the brain is (further down if
    nothing is found there), and centres it on what is found until it stays. It then becomes
    longer once where what is found reaches its ends. It is not enlarged further: a network
    that takes a whole head for a brain would never end.

    Args:
        find: Gives for a window a boolean array of its shape: what belongs to the structures.
        outer: Box, in RAS orientation, that windows must not leave.
        shape: Voxels per axis of the images of the training. No window is smaller, unless
            `outer` is.
        margin: Voxels per axis by which the window becomes longer.

    Returns:
        The window; `outer` if no axis of it is longer than `shape` by a tenth, if nothing is
        found, or if two axes are filled from end to end, which means that the training was on
        parts of the structures.

    Example:
        >>> volume = np.zeros((30, 30, 90), bool)
        >>> volume[8:22, 6:24, 50:66] = True
        >>> locate(lambda box: volume[box], (slice(0, 30), slice(0, 30), slice(0, 90)),
        ...        shape=(20, 24, 20), margin=(2, 2, 2))
        (slice(5, 25, None), slice(3, 27, None), slice(49, 69, None))
    """
    if fits(outer, shape):
        return outer
    window, found = _first(find, outer, shape)
    for _ in range(_MAX_PASSES):
        centred = found and tuple(map(_centred, window, found, outer))
        if found is None or _moved(window, centred) <= _SETTLED:
            break
        window = centred
        found = largest_extent(find(window))
    if found is None:
        return outer
    ends = list(map(_filled, window, found, outer))
    if sum(low and high for low, high in ends) >= 2:
        return outer
    return tuple(
        slice(max(part.start - low * n, limit.start), min(part.stop + high * n, limit.stop))
        for part, (low, high), limit, n in zip(window, ends, outer, margin, strict=True)
    )


def fits(outer: Box, shape: Sequence[int]) -> bool:
    """Whether a box is hardly larger than the images of the training."""
    return all(p.stop - p.start <= _SLACK * n for p, n in zip(outer, shape, strict=True))


def _first(
    find: Callable[[Box], np.ndarray], outer: Box, shape: Sequence[int]
) -> tuple[Box, Box | None]:
    """First window with something in it, from the top down by halves, and its extent there."""
    sizes = [min(n, part.stop - part.start) for part, n in zip(outer, shape, strict=True)]
    starts = [(part.start + part.stop - size) // 2 for part, size in zip(outer, sizes, strict=True)]
    bottom, top, step = outer[2].start, outer[2].stop - sizes[2], max(1, sizes[2] // 2)
    for starts[2] in (*range(top, bottom, -step), bottom):
        window = tuple(slice(start, start + n) for start, n in zip(starts, sizes, strict=True))
        found = largest_extent(find(window))
        if found is not None:
            break
    return window, found


def largest_extent(mask: np.ndarray) -> Box | None:
    """Bounding box of the largest connected piece, without what is thin; None if there is none.

    Args:
        mask: `(x, y, z)`, boolean.
    """
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if not count:
        return None
    largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    box = []
    for axis in range(3):
        counts = largest.sum(axis=tuple(other for other in range(3) if other != axis))
        used = np.flatnonzero(counts > _MIN_SHARE * counts.max())
        box.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(box)


def _centred(part: slice, found: slice, limit: slice) -> slice:
    """One axis of a window, moved to the middle of what was found in it."""
    size = part.stop - part.start
    start = part.start + (found.start + found.stop - size) // 2
    start = min(max(start, limit.start), limit.stop - size)
    return slice(start, start + size)


def _filled(part: slice, found: slice, limit: slice) -> tuple[bool, bool]:
    """Whether what was found reaches either end of an axis that could be longer."""
    low = found.start == 0 and part.start > limit.start
    high = found.stop == part.stop - part.start and part.stop < limit.stop
    return low, high


def _moved(a: Box, b: Box) -> int:
    """Voxels by which the faces of two boxes lie apart, at most."""
    return max(max(abs(x.start - y.start), abs(x.stop - y.stop)) for x, y in zip(a, b, strict=True))
