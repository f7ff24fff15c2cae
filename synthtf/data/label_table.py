"""Look-up tables of labels: names, left-right partners, output labels and tissues."""

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from synthtf.data.delimited import write_rows
from synthtf.data.label_rows import (
    COLUMNS,
    PART_OF,
    WEIGHT,
    check_row,
    fill_columns,
    parse_rows,
)
from synthtf.data.label_sides import split_side
from synthtf.data.tables import refuse_other_file
from synthtf.data.text_files import read_text


@dataclass(frozen=True)
class LabelTable:
    """Meaning of each label in a label map.

    Columns have one entry per label, in the same order.

    Attributes:
        ids: label values: distinct, in [0, 2^31), including 0, the background.
        names: names, for tables and messages.
        partners: label of the same structure on the other side, or None.
        outputs: label that each label counts as in the output segmentation, listed in `ids`.
        groups: tissues; labels of one tissue may share their intensities.
        brain: "yes", "no" or "csf" (inside the skull, not brain).
        sides: "left", "right" or "none". Default: taken from the names.
        structures: name of the structure that a label is a part of, such as the cortex of a
            parcel, or None. Images do not show where one part ends. Default: None.
        weights: how much an output label counts in the mean over labels of a loss, above 0.
            Default: 1.

    Raises:
        ValueError: if columns differ in length, or a label is negative, listed twice, has a
            partner that is not listed or not mutual, or counts as a label that is not listed.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    partners: tuple[int | None, ...]
    outputs: tuple[int, ...]
    groups: tuple[str, ...]
    brain: tuple[str, ...]
    sides: tuple[str, ...] = ()
    structures: tuple[str | None, ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse columns that contradict each other."""
        if not self.sides:
            object.__setattr__(self, "sides", tuple(split_side(n)[0] for n in self.names))
        if not self.structures:
            object.__setattr__(self, "structures", (None,) * len(self.ids))
        if not self.weights:
            object.__setattr__(self, "weights", (1.0,) * len(self.ids))
        columns = [getattr(self, name) for name in self.__dataclass_fields__]
        if any(len(column) != len(self.ids) for column in columns):
            raise ValueError(
                f"each column must have {len(self.ids)} entries, one per label. "
                f"Received: {[len(column) for column in columns]}"
            )
        if 0 not in self.ids:
            raise ValueError(f"`ids` must include 0, the background. Received: ids={self.ids}")
        if any(len(name.splitlines()) != 1 for name in self.names):
            raise ValueError(f"`names` must be a line each. Received: names={self.names}")
        known = set(self.ids)
        if len(known) < len(self.ids):
            twice = next(i for i in self.ids if self.ids.count(i) > 1)
            raise ValueError(f"label {twice} is listed twice")
        partner = dict(zip(self.ids, self.partners, strict=True))
        rows = zip(self.ids, self.outputs, self.brain, self.sides, self.weights, strict=True)
        for row in rows:
            check_row(*row, partner=partner)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "LabelTable":
        """Read a table.

        A table has a header line that names its columns, with tabs, commas or semicolons
        between them: `id` and `name` are required (or what BIDS, FastSurfer and others call
        them: index, value, label; LabelName, structure, region), and `side` (or hemi),
        `partner`, `output`, `tissue`, `brain`, `part_of` and `weight` are optional ("-", "n/a" or
        nothing means none). Or it has none, as FreeSurfer's look-up table and Slicer's (`id
        name R G B A`, and whatever follows), ITK-SNAP's label descriptions, and FSL's atlases
        (.xml). Text after # is a remark. Missing columns follow from the names: sides and
        partners from left and right, lh and rh, L and R; the tissue is the name without its
        side; a label counts as itself, and belongs to the brain unless it is 0. A missing
        background is added.

        Args:
            path: text file in UTF-8 or UTF-16.

        Returns:
            The table.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if a line is malformed or a label listed twice; the message names the line.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; give a label table")
        rows = parse_rows(read_text(path), path)
        try:
            return cls(**fill_columns(rows))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_labels(cls, ids: Iterable[int]) -> "LabelTable":
        """Make a table of labels without names, sides or tissues.

        Args:
            ids: label values; 0 is added.

        Returns:
            The table; labels count as themselves.

        Raises:
            ValueError: if a label is negative.

        Example:
            >>> LabelTable.from_labels([3, 1]).names
            ('background', 'label 1', 'label 3')
        """
        values = sorted({int(i) for i in ids} - {0})
        return cls(**fill_columns([{"id": i, "name": f"label {i}"} for i in values]))

    @classmethod
    def of(cls, labels: "LabelTable | Iterable[int] | str | os.PathLike") -> "LabelTable":
        """Return a table as it is, read it from a path, or make it from labels.

        Args:
            labels: a table, a path as for `read`, or label values as for `from_labels`.

        Returns:
            The table.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if `labels` is anything else.
        """
        if isinstance(labels, cls):
            return labels
        if isinstance(labels, str | os.PathLike):
            return cls.read(labels)
        try:
            return cls.from_labels(labels)
        except TypeError:
            raise ValueError(
                "`labels` must be label values, a label table, or its path. "
                f"Received: labels={labels!r}"
            ) from None

    def write(self, path: str | os.PathLike) -> None:
        """Write the table as tab-separated values, which `read` reads.

        Args:
            path: text file; a table of this form is replaced.

        Raises:
            ValueError: if it is another file.
            OSError: if it cannot be written.
        """
        columns = [self.ids, self.names, self.sides, self.partners, self.outputs, self.groups]
        columns += [self.brain]
        header = COLUMNS
        if any(self.structures):
            header, columns = (*header, PART_OF), [*columns, self.structures]
        if set(self.weights) != {1}:
            header, columns = (*header, WEIGHT), [*columns, self.weights]
        refuse_other_file(path, header, "\t")
        columns = [["-" if cell is None else cell for cell in column] for column in columns]
        write_rows(path, [header, *zip(*columns, strict=True)], delimiter="\t")

    def select(self, ids: Iterable[int]) -> "LabelTable":
        """Return the table of some labels, the background, and the labels that these need.

        The needed labels are those that they count as, and their partners for a flip.

        Args:
            ids: labels of this table.

        Returns:
            The smaller table.

        Raises:
            ValueError: if a label is not listed.
        """
        wanted: set[int] = set()
        more = {0, *(int(i) for i in ids)}
        while more:
            wanted |= more
            rows = [self._row(i) for i in more]
            more = {self.outputs[row] for row in rows} | {self.partners[row] for row in rows}
            more -= {None, *wanted}
        rows = [i for i, label in enumerate(self.ids) if label in wanted]
        columns = {
            name: tuple(getattr(self, name)[i] for i in rows) for name in self.__dataclass_fields__
        }
        return replace(self, **columns)

    def with_rows(self, rows: Iterable[Mapping[str, object]]) -> "LabelTable":
        """Add labels.

        Args:
            rows: attribute to value for each; partners, structures and weights may be missing.
        """
        missing, rows = {"partners": None, "structures": None, "weights": 1.0}, list(rows)
        added = {n: [{**missing, **row}[n] for row in rows] for n in self.__dataclass_fields__}
        return replace(self, **{n: (*getattr(self, n), *more) for n, more in added.items()})

    def name(self, label: int) -> str:
        """Return the name of a label.

        Args:
            label: label of this table.

        Returns:
            Its name.

        Raises:
            ValueError: if it is not listed.
        """
        return self.names[self._row(label)]

    @cached_property
    def mapping(self) -> dict[int, int]:
        """Mapping from each label to the label that it counts as in the output."""
        return dict(zip(self.ids, self.outputs, strict=True))

    @cached_property
    def output_labels(self) -> tuple[int, ...]:
        """Labels of the output segmentation, sorted, 0 first."""
        return tuple(sorted({0, *self.outputs}))

    @cached_property
    def output_weights(self) -> tuple[float, ...]:
        """Weight of each output label."""
        return tuple(self.weights[self._row(label)] for label in self.output_labels)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Left-right pairs, each once, the left label first where sides are known."""
        found = []
        for label, partner, side in zip(self.ids, self.partners, self.sides, strict=True):
            if partner is None:
                continue
            other_side = self.sides[self._row(partner)]
            first = (
                label < partner if side == other_side else side == "left" or other_side == "right"
            )
            if first:
                found.append((label, partner))
        return tuple(found)

    @cached_property
    def one_sided(self) -> tuple[int, ...]:
        """Labels with a side but without a partner."""
        rows = zip(self.ids, self.partners, self.sides, strict=True)
        return tuple(i for i, partner, side in rows if partner is None and side != "none")

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """Left-right pairs, which a flip swaps.

        Raises:
            ValueError: if a label with a side has no partner.
        """
        for label in self.one_sided:
            other = "right" if self.sides[self._row(label)] == "left" else "left"
            raise ValueError(
                f"label {label} ({self.name(label)}) has no {other} partner in the table; "
                "add the partner, or switch flipping off"
            )
        return self.pairs

    @cached_property
    def output_pairs(self) -> tuple[tuple[int, int], ...]:
        """Left-right pairs among the output labels, each once.

        Raises:
            ValueError: if two partners count neither as partners nor as one label.
        """
        partner = {}
        for left, right in self.pairs:
            a, b = self.mapping[left], self.mapping[right]
            if partner.setdefault(a, b) != b or partner.setdefault(b, a) != a:
                raise ValueError(
                    f"labels {left} and {right} are partners, but count as {a} and {b}, which are "
                    "not partners; correct the output column"
                )
        found = {(self.mapping[a], self.mapping[b]): None for a, b in self.pairs}
        return tuple((a, b) for a, b in found if a != b)

    @cached_property
    def brain_labels(self) -> tuple[int, ...]:
        """Labels that belong to the brain."""
        return tuple(i for i, brain in zip(self.ids, self.brain, strict=True) if brain == "yes")

    @cached_property
    def brain_outputs(self) -> tuple[int, ...]:
        """Output labels of the brain, or all but 0 where the table does not know the brain."""
        brain = {self.mapping[label] for label in self.brain_labels} - {0}
        return tuple(sorted(brain or set(self.output_labels) - {0}))

    @cached_property
    def csf_labels(self) -> tuple[int, ...]:
        """Labels of the CSF around the brain."""
        return tuple(i for i, brain in zip(self.ids, self.brain, strict=True) if brain == "csf")

    @cached_property
    def group_ids(self) -> dict[str, tuple[int, ...]]:
        """Mapping from each tissue to its labels, in the order of the table."""
        groups: dict[str, tuple[int, ...]] = {}
        for label, group in zip(self.ids, self.groups, strict=True):
            groups[group] = (*groups.get(group, ()), label)
        return groups

    def check(self, counts: Mapping[int, int], source: str) -> None:
        """Refuse labels that the table does not list.

        Args:
            counts: label to number of voxels, as from `count_labels`.
            source: name of the file or array, for the message.

        Raises:
            ValueError: if a label is not listed; the message names source, label and count.
        """
        unknown = {value: n for value, n in counts.items() if value not in self.mapping}
        if unknown:
            found = sorted(unknown.items())[:5]
            listed = ", ".join(f"{value} ({n:,} voxels)" for value, n in found)
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            text = f"{source} holds labels that the table does not list: {listed}{more}; "
            raise ValueError(text + "add them to the table or relabel the map")

    def warn_unused(self, values: Iterable[int], source: str) -> None:
        """Warn once if labels of the table never occur.

        Args:
            values: labels that occur.
            source: name of the data set, for the message.

        Warns:
            UserWarning: if any label never occurs, with a line that lists them.
        """
        unused = sorted(set(self.ids) - {0, *values})
        if unused:
            more = f" and {len(unused) - 10} more" if len(unused) > 10 else ""
            listed = ", ".join(map(str, unused[:10]))
            text = f"{source}: listed labels that never occur: {listed}{more}"
            warnings.warn(text, UserWarning, stacklevel=2)

    def _row(self, label: int) -> int:
        try:
            return self._rows[int(label)]
        except KeyError:
            raise ValueError(f"label {label} is not in the table; add it") from None

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {label: row for row, label in enumerate(self.ids)}


def count_labels(data: np.ndarray) -> dict[int, int]:
    """Count the voxels of each label in a label map.

    Args:
        data: array of non-negative whole numbers.

    Returns:
        Label to number of voxels, sorted by label.
    """
    if data.size and data.max() < 2**16:  # counting is far faster than sorting
        size = int(data.max()) + 1
        # Slab by slab, since NumPy makes an int64 copy for counting.
        counts = sum(np.bincount(slab.ravel(), minlength=size) for slab in data)
        values = np.flatnonzero(counts)
        return {int(v): int(counts[v]) for v in values}
    values, counts = np.unique(data, return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}
