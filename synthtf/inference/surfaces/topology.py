"""Regions without handles and holes, nearest to where a map is positive.

Voxels are added to a region one after the other, or taken from it, as long as that leaves its
topology as it is. Neighbours in a region share a face; those around it share a face or an edge:
this is what `marching_cubes` of scikit-image makes surfaces of with method="lorensen".
"""

import functools
import itertools

import numpy as np
from scipy import ndimage

_COARSE, _FINE = 1.0, 0.1  # steps of the levels, far from the border and near it, in voxels
_NEAR = 3.0  # voxels
_AROUND = ndimage.generate_binary_structure(3, 2)  # what is connected outside of a region


def _neighbours(most: int) -> np.ndarray:
    """Which of the 26 neighbours of a voxel differ by at most `most` axes, `(26, 26)`."""
    steps = _STEPS[:, None] - _STEPS
    return (abs(steps).max(-1) == 1) & (abs(steps).sum(-1) <= most)


_STEPS = np.array([s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)])
_FACES, _EDGES, _CORNERS = (abs(_STEPS).sum(-1) == n for n in (1, 2, 3))
_BY_FACE, _BY_EDGE = (_neighbours(n).astype(np.float32) for n in (1, 2))
_SIDES = np.flatnonzero(_FACES)
_BITS = 1 << np.arange(26)


def sphere_like(values: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Find a region with the topology of a ball, nearest to where a map is positive.

    Handles are cut or filled, whichever changes the less.

    Args:
        values: `(x, y, z)`, positive inside. Negative at all borders.
        start: boolean, part of the region that has this topology already. None: where the region
            is deepest.

    Returns:
        Boolean, of the same shape: one piece, without cavities and handles.

    Raises:
        ValueError: If no value is positive, or one at a border is.

    Example:
        >>> values = np.full((5, 5, 3), -1.0)
        >>> values[1:4, 1:4, 1] = 1
        >>> values[2, 2, 1] = -0.1  # a ring, nearly closed
        >>> int(sphere_like(values).sum())
        9
    """
    values = np.asarray(values, np.float32)
    wanted = values > 0 if start is None else (values > 0) | start
    if not wanted.any() or wanted.sum() != wanted[1:-1, 1:-1, 1:-1].sum():
        raise ValueError("`values` must be positive somewhere, and negative at all borders")
    order = _order(wanted, values)
    deepest = np.unravel_index(np.argmax(np.where(wanted, order, -np.inf)), order.shape)
    piece = _piece(wanted, deepest)
    if is_ball(piece):
        return piece
    seed = _core(order, deepest) if start is None else start
    cut = _change(seed, order, True)
    outer = np.where(piece, np.maximum(order, _FINE), np.minimum(order, -_FINE))
    filled = _change(_hull(piece, outer), outer, False)
    chosen = _cheaper(cut, filled, piece, abs(values))
    if (chosen == cut).all():
        return cut
    if is_ball(chosen):
        return chosen
    return _change(seed, _order(chosen, values), True)


def is_ball(region: np.ndarray) -> bool:
    """Whether a region is one piece without cavities and handles.

    Args:
        region: Boolean, `(x, y, z)`.
    """
    pieces = ndimage.label(region)[1]
    around = ndimage.label(np.pad(~region, 1, constant_values=True), _AROUND)[1]
    return pieces == 1 and around == 1 and _euler_number(region) == 1


def _euler_number(region: np.ndarray) -> int:
    """Voxels, less pairs of them that share a face, plus squares of four, less cubes of eight.

    Of a cube without two opposite corners, the ring of six that is left is closed as a square is.
    """
    total = 0
    for axes in itertools.product((0, 1), repeat=3):
        cells = np.logical_and.reduce([_shifted(region, s, axes) for s in _subsets(axes)])
        total += (-1) ** sum(axes) * int(np.count_nonzero(cells))
    corners = [_shifted(region, step, (1, 1, 1)) for step in _subsets((1, 1, 1))]
    full = sum(corner.astype(np.int8) for corner in corners)
    for low, high in zip(corners[:4], corners[:3:-1], strict=True):
        total += int(np.count_nonzero((full == 6) & ~low & ~high))
    return total


def _subsets(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Steps of a voxel along some of the axes, from none to all."""
    return list(itertools.product(*(range(n + 1) for n in axes)))


def _shifted(region: np.ndarray, step: tuple[int, ...], most: tuple[int, ...]) -> np.ndarray:
    """The region behind a step, as large as it is behind the longest one."""
    sizes = np.array(region.shape) - most
    return region[tuple(slice(s, s + n) for s, n in zip(step, sizes, strict=True))]


def _piece(region: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    """The piece of a region at a place, without cavities."""
    pieces, _ = ndimage.label(region)
    return _without_cavities(pieces == pieces[place])


def _without_cavities(region: np.ndarray) -> np.ndarray:
    around, _ = ndimage.label(np.pad(~region, 1, constant_values=True), _AROUND)
    return (around != around[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _core(order: np.ndarray, deepest: tuple[int, ...]) -> np.ndarray:
    """The largest part around the deepest voxel that is a ball, of those cut at whole depths."""
    for depth in range(1, int(order[deepest])):
        core = _piece(order > depth, deepest)
        if is_ball(core):
            return core
    core = np.zeros(order.shape, bool)
    core[deepest] = True
    return core


def _hull(piece: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The smallest ball around a piece, of those at some distances; or nearly all of the grid."""
    within = np.zeros(piece.shape, bool)
    within[1:-1, 1:-1, 1:-1] = True
    for distance in (2, 4, 8):
        hull = within & (order > -distance)
        if is_ball(hull):
            return hull
    return within


def _order(inside: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Depth in voxels inside of a region, negative outside; the values order equal depths."""
    filled = _without_cavities(inside)
    depth = ndimage.distance_transform_edt(filled) - ndimage.distance_transform_edt(~filled)
    scale = 1.1 * max(float(abs(values).max()), 1e-6)
    return (depth + np.where(filled == (values > 0), values / scale, 0)).astype(np.float32)


def _cheaper(
    cut: np.ndarray, filled: np.ndarray, wanted: np.ndarray, cost: np.ndarray
) -> np.ndarray:
    """Take from one of two regions, place by place, what changes the wanted region the less."""
    places, count = ndimage.label(filled & ~cut, np.ones((3, 3, 3)))
    if not count:
        return cut
    index = np.arange(1, count + 1)
    lost = ndimage.sum_labels(cost * (wanted & ~cut), places, index)
    added = ndimage.sum_labels(cost * (filled & ~wanted), places, index)
    kept = np.concatenate([[False], added < lost])
    return cut | (filled & kept[places])


def _change(region: np.ndarray, order: np.ndarray, add: bool) -> np.ndarray:
    """Add voxels of positive order to a region, or take those of negative order from it.

    The deepest come first, and those that would change its topology are left out.
    """
    shape = np.array(region.shape) + 2
    state = np.pad(region, 1).ravel()
    depth = np.pad(order if add else -order, 1, constant_values=-np.inf).ravel()
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    near = _STEPS @ strides
    parity = sum(
        (np.arange(n) % 2).reshape([-1 if a == axis else 1 for a in range(3)]) << axis
        for axis, n in enumerate(shape)
    ).ravel()
    touching = near[_SIDES] if add else near[~_CORNERS]
    for level in _levels(float(depth.max())):
        open_ = depth > level
        waiting = np.flatnonzero(open_ & (state != add))
        while waiting.size:
            # Those that touch what grows; the others may have their turn later.
            waiting = waiting[(state[waiting[:, None] + touching] == add).any(1)]
            changed = []
            for part in (waiting[parity[waiting] == n] for n in range(8)):
                # No two of a part are neighbours: they can be changed at once.
                part = part[_is_simple(state[part[:, None] + near])]
                state[part] = add
                changed.append(part)
            close = (np.concatenate(changed)[:, None] + near).ravel()
            waiting = np.unique(close[open_[close] & (state[close] != add)])
    return state.reshape(shape)[1:-1, 1:-1, 1:-1]


def _levels(deepest: float) -> np.ndarray:
    """Levels from the deepest to 0, in finer steps near the border."""
    coarse = np.arange(np.floor(deepest), _NEAR, -_COARSE)
    return np.concatenate([coarse, np.arange(min(_NEAR, deepest), _FINE / 2, -_FINE), [0.0]])


def _is_simple(region: np.ndarray) -> np.ndarray:
    """Whether a voxel can be added to a region or taken from it without another topology.

    Args:
        region: `(voxels, 26)`, boolean, which of the neighbours of each belong to the region.

    Returns:
        `(voxels,)`, boolean.

    Reference:
        Bertrand, Simple points, topological numbers and geodesic neighborhoods in cubic grids,
        Pattern Recognition Letters 1994, for regions whose neighbours share a face.
    """
    codes, known = region @ _BITS, _known()
    # Most fronts are flat: few surroundings are different, and each is looked at once.
    new, first = np.unique(codes[known[codes] == 0], return_index=True)
    if new.size:
        known[new] = 1 + _keeps_topology(region[known[codes] == 0][first])
    return known[codes] == 2


@functools.cache
def _known() -> np.ndarray:
    """For each surroundings of a voxel, a bit per neighbour: 2 if it is simple, 1 if not, or 0."""
    return np.zeros(2 ** len(_STEPS), np.int8)  # 64 MB; few pages are used


def _keeps_topology(region: np.ndarray) -> np.ndarray:
    faces = region & _FACES
    edges = region & _EDGES & _touch(faces, _BY_FACE)
    inside = faces | edges | (region & _CORNERS & _touch(edges, _BY_FACE))
    close = ~region & ~_CORNERS
    outside = close | (~region & _CORNERS & _touch(close, _BY_EDGE))
    return _is_one_piece(inside, _BY_FACE) & _is_one_piece(outside, _BY_EDGE)


def _touch(some: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    return (some.astype(np.float32) @ neighbours) > 0


def _is_one_piece(some: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Whether there are any, and they are connected."""
    reached = np.zeros_like(some)
    rows = np.arange(len(some))
    reached[rows, some.argmax(1)] = some.any(1)
    while True:
        further = reached | (some & _touch(reached, neighbours))
        if (further == reached).all():
            return some.any(1) & (reached == some).all(1)
        reached = further
