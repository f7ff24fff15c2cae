"""Whether what was found in a scan can be a brain."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_MOST = 3000.0  # mL; the largest brains weigh less, with their CSF
_LEAST = 20.0  # mL; that of a fetus of 17 weeks
_LEAST_CUT = 1.0  # mL; of a brain that the field of view cuts
_LONGEST = 260.0  # mm
_HEAD = 100.0  # mm; a network that sees less was not trained on whole heads
_HIGH = 160.0  # mm; a brain is smaller along one axis at least
_TISSUES = r"cortex|gr[ae]y|\bgm\b", r"white|\bwm\b"  # names of what is most of a brain
_FACE = 0.01  # share of the voxels of a face that are touched


class UselessWarning(UserWarning):
    """What was found in a scan is of no use."""


class ImplausibleWarning(UselessWarning):
    """What was found in a scan cannot be a brain."""


def doubt(inside: np.ndarray, spacing: Sequence[float], run: "Run") -> str | None:
    """Say why a region cannot be a brain, if it cannot.

    The limits are wide: infants, fetuses, atrophy, hydrocephalus and tumours are within. A brain
    that the field of view cuts may be as small as 1 mL, and one in a field of view that is too
    small for a whole brain may fill it. Networks that know no brain, or see less of it than a head,
    are not judged; what knows parts of a brain alone finds as little as there is of them.

    Args:
        inside: `(x, y, z)`, boolean: what was found, in the whole field of view.
        spacing: mm per voxel.
        run: of the network that found it.

    Returns:
        A sentence, or None.
    """
    if not sees_heads(run) or not inside.any():
        return None
    # In units of mL.
    volume = np.count_nonzero(inside) * float(np.prod(spacing)) / 1000
    view = [n * mm for n, mm in zip(inside.shape, spacing, strict=True)]
    faces = [np.take(inside, end, axis).mean() for axis in range(3) for end in (0, -1)]
    least = (_LEAST_CUT if any(faces) else _LEAST) if _knows_all(run) else 0
    if volume > _MOST:
        return f"it has {volume:.0f} mL, and no brain has more than {_MOST:.0f}"
    if volume < least and min(view) > _HEAD:
        return f"it has {volume:.2g} mL, and no brain has less than {_LEAST:.0f}"
    if min(faces) > _FACE and min(view) > _HIGH:
        return "it touches all sides of the field of view, which is larger than a brain"
    longest = max(_extent(inside, spacing))
    if longest > _LONGEST:
        return f"it is {longest:.0f} mm long, and no brain is longer than {_LONGEST:.0f}"
    return None


def sees_heads(run: "Run") -> bool:
    """Whether a network knows the brain, and was trained on whole heads."""
    trained_on = [n * mm for n, mm in zip(run.shape, run.spacing, strict=True)]
    return bool(run.table.brain_labels) and min(trained_on) >= _HEAD


def _knows_all(run: "Run") -> bool:
    """Whether a network finds whole brains."""
    if run.task == "stripping":
        return True
    names = " ".join(map(run.table.name, run.table.brain_labels)).lower().replace("_", " ")
    return all(re.search(tissue, names.replace("-", " ")) for tissue in _TISSUES)


def _extent(inside: np.ndarray, spacing: Sequence[float]) -> list[float]:
    """Length along each axis in mm, of what is not thin."""
    lengths = []
    for axis, mm in enumerate(spacing):
        counts = inside.sum(axis=tuple(other for other in range(3) if other != axis))
        used = np.flatnonzero(counts > _FACE * counts.max())
        lengths.append(float(used[-1] + 1 - used[0]) * mm)
    return lengths
