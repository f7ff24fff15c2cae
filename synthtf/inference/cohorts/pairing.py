"""Which scans are registered with which."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.bids import is_dataset
from synthtf.data.bids_pairs import find_pairs
from synthtf.data.paths import (
    expand_inputs,
    expand_scans,
    extension,
    listed_path,
    output_in,
    stem,
)
from synthtf.data.tables import read_table
from synthtf.usage import usage_errors

_COLUMNS = {"moving", "fixed"}
_NAME = "name"


@dataclass(frozen=True)
class ScanPairs:
    """Pairs of a moving and a fixed scan.

    Attributes:
        pairs: files `(moving, fixed)`.
        names: what their outputs are called in a folder.
        single: whether outputs are files, as for one pair, instead of folders.
        root: BIDS data set of the moving scans, if they belong to one.
    """

    pairs: Sequence[tuple[Path, Path]]
    names: Sequence[str]
    single: bool = False
    root: Path | None = None

    @classmethod
    @usage_errors()
    def of(
        cls,
        moving: str | os.PathLike | None = None,
        fixed: str | os.PathLike | None = None,
        *,
        table: str | os.PathLike | None = None,
        moving_suffix: str | None = None,
        fixed_suffix: str | None = None,
    ) -> "ScanPairs":
        """Make the pairs of what the user names.

        Args:
            moving: a volume, a folder, a .txt list, or the folder of a BIDS data set.
            fixed: a volume, to which all are moved, or as many as `moving`; or the folder of
                another data set. None: the fixed scans are in the data set `moving`.
            table: instead of both, .tsv or .csv file with the columns `moving` and `fixed`, and
                `name` for what the outputs are called. Relative paths start in its folder.
            moving_suffix: in data sets, suffix of the moving scans, such as "T1w".
            fixed_suffix: likewise, of the fixed scans. See `find_pairs`.

        Raises:
            FileNotFoundError: if what is named does not exist.
            ValueError: if it makes no pairs, or two pairs would have outputs of one name.
        """
        if (moving is None) == (table is None) or (table is not None and fixed is not None):
            raise ValueError("expected either MOVING and FIXED, or a table of pairs")
        if table is not None:
            found = _read_table(Path(table))
        elif is_dataset(moving):
            found = cls._of_dataset(moving, fixed, moving_suffix, fixed_suffix)
        elif fixed is None:
            raise ValueError(
                f"expected FIXED as well; without it, MOVING is a BIDS data set. Received: {moving}"
            )
        else:
            found = _of_files(moving, fixed)
        if found.root is None:
            if moving_suffix or fixed_suffix:
                raise ValueError("suffixes choose among the scans of a BIDS data set, here is none")
            if len(set(found.names)) < len(found.names):
                raise ValueError(
                    "two pairs have scans of the same names: their outputs would be the same"
                )
        return found

    @classmethod
    def _of_dataset(
        cls,
        moving: str | os.PathLike,
        fixed: str | os.PathLike | None,
        moving_suffix: str | None,
        fixed_suffix: str | None,
    ) -> "ScanPairs":
        if fixed is None or is_dataset(fixed):
            pairs = find_pairs(moving, fixed, moving_suffix, fixed_suffix)
        elif fixed_suffix is not None:
            raise ValueError(f"expected a suffix of fixed scans, or {fixed}; not both")
        else:
            (image, *more) = expand_inputs(fixed)
            if more:
                raise ValueError(
                    f"expected one FIXED for the scans of a data set. Received {len(more) + 1}"
                )
            pairs = find_pairs(moving, image, moving_suffix)
        return cls(pairs, [_name(*pair) for pair in pairs], root=Path(moving))

    def paths(
        self, target: str | os.PathLike, ending: str, file_ending: str, endings: Sequence[str]
    ) -> list[Path]:
        """Name the outputs of a kind.

        Args:
            target: a file for a single pair, else a folder.
            ending: added to the names in a folder.
            file_ending: of the files in a folder, such as ".nii.gz".
            endings: what the name of a file may end in.

        Raises:
            ValueError: if the target is of the wrong kind.
        """
        is_file = str(target).lower().endswith(tuple(endings)) or extension(target)
        if not self.single:
            if is_file or Path(target).is_file():
                raise ValueError(f"{target}: expected a folder for {len(self.pairs)} pairs")
            return [output_in(target, f"{name}{ending}{file_ending}") for name in self.names]
        if Path(target).is_dir():
            raise ValueError(f"{target} must be a file for one pair. Received: a folder")
        return [Path(target)]


def _of_files(moving: str | os.PathLike, fixed: str | os.PathLike) -> ScanPairs:
    moving, fixed = expand_scans(moving), expand_scans(fixed)
    if len(fixed) == 1:
        fixed = fixed * len(moving)
    if len(fixed) != len(moving):
        raise ValueError(
            f"expected one FIXED, or as many as MOVING. Received: {len(moving)} and {len(fixed)}"
        )
    pairs = list(zip(moving, fixed, strict=True))
    return ScanPairs(pairs, [_name(*pair) for pair in pairs], single=len(pairs) == 1)


def _read_table(path: Path) -> ScanPairs:
    """Read pairs, and what their outputs are called."""
    columns, rows = read_table(path)
    if not set(columns) >= _COLUMNS or sorted(columns) != sorted({*columns} & {*_COLUMNS, _NAME}):
        raise ValueError(
            f"{path}: expected the columns moving and fixed, and name if outputs have names of "
            f"their own. Received: {', '.join(columns)}"
        )
    if not rows:
        raise ValueError(f"{path}: expected at least one pair")
    pairs, names = [], []
    for line, cells in rows:
        row = dict(zip(columns, cells, strict=False))
        moving, fixed = (row.get(column, "") for column in ("moving", "fixed"))
        if any(cells[len(columns) :]) or not (extension(moving) and extension(fixed)):
            raise ValueError(f"{path}, line {line}: expected a moving and a fixed volume")
        pair = listed_path(moving, path, line), listed_path(fixed, path, line)
        pairs.append(pair)
        names.append(row.get(_NAME) or _name(*pair))
    return ScanPairs(pairs, names)


def _name(moving: Path, fixed: Path) -> str:
    return f"{stem(moving)}_to_{stem(fixed)}"
