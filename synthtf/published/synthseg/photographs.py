"""Photo-SynthSeg: labels of its networks, which FreeSurfer keeps beside the weights."""

from pathlib import Path

import numpy as np

from synthtf.published.synthseg.labels import Labels

SIDES = ("left", "right", "both")
"""What a stack of photographs may show."""

_MIDDLE = 5  # labels that come first and are of no side
_TABLES = ("segmentation_labels", "segmentation_names", "topological_classes")


def photo_labels(weights: Path) -> Labels:
    """Read the labels of a network for photographs.

    The network for one hemisphere knows left labels; of a right one, it sees the mirror image.

    Args:
        weights: `synthseg_photo_both_1.0.h5`, or `synthseg_photo_single_1.0.h5`, with the tables
            of FreeSurfer in the same folder.

    Raises:
        FileNotFoundError: if a table is missing.
        ValueError: if the tables are damaged or do not fit each other.
    """
    kind = "both" if "both" in weights.name else "single"
    files = [weights.with_name(f"synthseg_{table}_photo_{kind}_1.0.npy") for table in _TABLES]
    values, names, classes = map(_read, files)
    sides, rest = divmod(len(values) - _MIDDLE, 2)
    if not len(values) == len(names) == len(classes) or (kind == "both" and rest):
        raise ValueError(
            f"{files[0]}: must have as many labels as there are names and classes, and as many "
            f"left as right ones. Received: {len(values)}, {len(names)} and {len(classes)}"
        )
    left, right = values[_MIDDLE : _MIDDLE + sides], values[_MIDDLE + sides :]
    pairs = {int(a): int(b) for a, b in zip(left, right, strict=True)} if kind == "both" else {}
    rows = sorted((int(v), str(n), int(c)) for v, n, c in zip(values, names, classes, strict=True))
    return Labels({v: n for v, n, _ in rows}, False, pairs, {v: c for v, _, c in rows})


def _read(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; FreeSurfer keeps it beside the weights")
    try:
        return np.load(path, allow_pickle=False).reshape(-1)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
