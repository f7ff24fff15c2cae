"""Pairs of scans of BIDS data sets, and what is derived from them.

Names are those of the proposal for transforms (BIDS extension 14), as fMRIPrep has them: a
transform is called like the moving scan up to the suffix, then `_from-<label>_to-<label>
_mode-image_xfm`; a scan that was moved gets `_space-<label>_desc-registered`. The label of a scan
is its suffix, after the entities by which it differs from the other scan, as in `ses1T1w`.
"""

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.bids import NAME, find_scans, is_dataset, with_entities
from synthtf.data.paths import output_in, stem

_MIDDLE = "Mid"  # ends the label of the space between two scans
_NO_LABEL = re.compile("[^0-9a-zA-Z+]")


@dataclass(frozen=True)
class PairDerivative:
    """A kind of file that is derived from a moving and a fixed scan.

    Attributes:
        suffix: such as "xfm"; None for a scan that was moved, which keeps its suffix.
        ending: ending of the file, such as ".lta".
        backward: whether the fixed scan is what moves.
        middle: whether it moves to the space between both.
    """

    suffix: str | None
    ending: str = ".nii.gz"
    backward: bool = False
    middle: bool = False

    def name(self, moving: str | os.PathLike, fixed: str | os.PathLike) -> str:
        """Name the file that is derived from two scans.

        Args:
            moving: path or name of the scan, as BIDS has it.
            fixed: fixed scan of a data set, or any other file.

        Example:
            >>> scans = "sub-1_ses-2_T1w.nii", "sub-1_ses-1_FLAIR.nii"
            >>> PairDerivative("xfm", ".lta").name(*scans)
            'sub-1_ses-2_from-T1w_to-ses1FLAIR_mode-image_xfm.lta'
            >>> PairDerivative(None).name(*scans)
            'sub-1_ses-2_space-ses1FLAIR_desc-registered_T1w.nii.gz'
        """
        entities, suffix = _parts(moving)
        if self.suffix is not None:
            labels = suffix, _label(fixed, moving)
            start, end = labels[::-1] if self.backward else labels
            end += _MIDDLE if self.middle else ""
            entities = with_entities(entities, f"from-{start}", f"to-{end}", "mode-image")
            return "_".join([*entities, self.suffix]) + self.ending
        still, moved = (moving, fixed) if self.backward else (fixed, moving)
        # An image from outside of the data set is called like the scan that it is moved to.
        entities = _parts(moved if NAME.fullmatch(stem(moved)) else moving)[0]
        entities = [e for e in entities if not e.startswith(("space-", "desc-"))]
        space = _label(still, moved) + (_MIDDLE if self.middle else "")
        entities = with_entities(entities, f"space-{space}")
        return "_".join([*entities, "desc-registered", _label(moved, moved)]) + self.ending

    def path(
        self, folder: str | os.PathLike, root: str | os.PathLike, moving: Path, fixed: Path
    ) -> Path:
        """Place the file that is derived from two scans.

        Args:
            folder: folder of the derivatives.
            root: data set of the moving scan.
            moving: path of the scan, which begins with `root`.
            fixed: path of the other.

        Returns:
            Path in `folder`, in folders called as those of the moving scan in `root`.

        Raises:
            ValueError: if the path would leave the folder.
        """
        for part in (*moving.relative_to(root).parts[:-1], self.name(moving, fixed)):
            folder = output_in(folder, part)
        return Path(folder)


def find_pairs(
    root: str | os.PathLike,
    fixed: str | os.PathLike | None = None,
    moving_suffix: str | None = None,
    fixed_suffix: str | None = None,
) -> list[tuple[Path, Path]]:
    """Pair the anatomical scans of each subject.

    With a suffix of fixed scans, or with another data set of them, the first that fits is taken
    in each session. Without, the first scan of a subject is the fixed one, whatever its session.

    Args:
        root: data set of the moving scans, or a part of it.
        fixed: data set of the fixed scans, or the one fixed image. None: the same data set.
        moving_suffix: suffix of the moving scans, such as "T1w". None: all but the fixed ones.
        fixed_suffix: suffix of the fixed scans, such as "FLAIR". None: any.

    Returns:
        Pairs `(moving, fixed)`, at least one.

    Warns:
        UserWarning: if moving scans have no fixed scan; they are left out.

    Raises:
        ValueError: if there is no pair.
    """
    scans, root = find_scans(root), Path(root)
    wanted = [scan for scan in scans if moving_suffix in (None, _parts(scan)[1])]
    by_session = fixed_suffix is not None or fixed is not None
    if fixed is None:
        others = scans
        if moving_suffix is None and fixed_suffix is not None:
            wanted = [scan for scan in wanted if _parts(scan)[1] != fixed_suffix]
    elif is_dataset(fixed):
        others = find_scans(fixed)
    else:
        return [(scan, Path(fixed)) for scan in wanted]
    partners: dict[tuple[str, ...], Path] = {}
    for scan in others:
        if fixed_suffix in (None, _parts(scan)[1]):
            partners.setdefault(_group(scan, by_session), scan)
    found = [(scan, partners.get(_group(scan, by_session))) for scan in wanted]
    pairs = [(scan, other) for scan, other in found if other not in (None, scan)]
    alone = [scan for scan, other in found if other is None]
    where = "session" if by_session else "subject"
    if not pairs:
        suffixes = ", ".join(sorted({_parts(scan)[1] for scan in (*scans, *others)}))
        raise ValueError(
            f"{root}: no {where} has a moving scan{_called(moving_suffix)} and a fixed "
            f"one{_called(fixed_suffix)}; the suffixes of scans are {suffixes}"
        )
    if alone:
        warnings.warn(
            f"{root}: left out {len(alone)} moving scans whose {where} has no fixed "
            f"one{_called(fixed_suffix)}, for instance {alone[0].relative_to(root)}",
            stacklevel=2,
        )
    return pairs


def _parts(scan: str | os.PathLike) -> tuple[list[str], str]:
    """Entities and suffix of a name."""
    *entities, suffix = stem(scan).split("_")
    return entities, suffix


def _label(scan: str | os.PathLike, other: str | os.PathLike) -> str:
    """What tells a scan from another one, as a label of BIDS."""
    if not NAME.fullmatch(stem(scan)):
        return _NO_LABEL.sub("", stem(scan)) or "image"
    entities, suffix = _parts(scan)
    known = _parts(other)[0] if NAME.fullmatch(stem(other)) else entities
    return "".join(e.replace("-", "") for e in entities if e not in known) + suffix


def _group(scan: Path, by_session: bool) -> tuple[str, ...]:
    """Subject, and session if there is one, of a scan."""
    keys = ("sub-", "ses-") if by_session else ("sub-",)
    return tuple(entity for entity in _parts(scan)[0] if entity.startswith(keys))


def _called(suffix: str | None) -> str:
    return "" if suffix is None else f" called _{suffix}"
