"""Checks of a set of label maps, to find what is wrong before a training.

Each check takes the surveys of all maps and returns findings.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthtf.data.label_table import LabelTable
from synthtf.data.map_sources import MapSource
from synthtf.data.map_survey import MapSurvey, survey_map
from synthtf.messages import describe

SEVERITIES = ("error", "warning", "note")
LABEL_COLUMNS = ("label", "name", "maps", "smallest", "median", "largest")

_FEW = 0.25  # share of the maps below which a label is rare
_SPACING_TOLERANCE = 0.01  # relative


@dataclass(frozen=True)
class Finding:
    """One finding about a data set.

    Attributes:
        severity: "error" if it stops or spoils a training, "warning" if it may, else "note".
        kind: a word for the finding, such as "duplicate".
        message: one line about it.
        details: one line per file or label.
    """

    severity: str
    kind: str
    message: str
    details: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the severity."""
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"`severity` must be one of {SEVERITIES}. Received: severity={self.severity!r}"
            )


def survey_maps(
    paths: Sequence[Path], progress: Callable[[Sequence], Sequence] = list
) -> tuple[list[MapSurvey], list[Finding]]:
    """Survey the maps that can be read.

    Args:
        paths: paths of the files.
        progress: takes the paths and iterates over them, as `tqdm` does. Default: no display.

    Returns:
        The surveys, and an error that lists unusable files if there are any.
    """
    surveys, failures = [], []
    paths = [Path(path) for path in paths]
    alike = Counter(path.name for path in paths)
    for path in progress(paths):
        try:
            survey = survey_map(MapSource(path.name, path))
            name = path.name if alike[path.name] == 1 else str(path)
            surveys.append(replace(survey, name=name))
        except (ValueError, OSError) as error:
            reason = describe(error)
            failures.append(reason if str(path) in reason else f"{path}: {reason}")
    if not failures:
        return surveys, []
    message = f"{number_of_maps(failures)} cannot be read as label maps"
    return surveys, [Finding("error", "unreadable", message, tuple(failures))]


def check_maps(surveys: Sequence[MapSurvey], table: LabelTable | None = None) -> list[Finding]:
    """Run every check of label maps that does not depend on the task.

    Args:
        surveys: surveys of the maps that can be read.
        table: label table. Default: without the checks that need one.

    Returns:
        Findings, not sorted by severity.
    """
    checks = [_same_dimensions, _not_empty, _duplicates, _geometry, _headers, _rare_labels]
    found = [finding for check in checks for finding in check(surveys)]
    if table is None:
        num = len(all_labels(surveys) - {0})
        message = f"without a label table, each of the {num} labels is an output label of no side"
        return [*found, Finding("note", "table", message)]
    for check in (_unlisted, _unused, _alone, _wrong_side, _cut_brain):
        found += check(surveys, table)
    return found


def all_labels(surveys: Sequence[MapSurvey]) -> set[int]:
    """Return the labels that occur in any map."""
    return {label for survey in surveys for label in survey.labels}


def label_rows(
    surveys: Sequence[MapSurvey], table: LabelTable | None = None
) -> list[dict[str, object]]:
    """Return for each label the number of maps that hold it, and its size.

    Args:
        surveys: surveys of the maps.
        table: label table, which adds the names and the labels that never occur. Default: none.

    Returns:
        One dict per label, sorted, of `LABEL_COLUMNS`: "label", "name", "maps", and in mL, or in
        cm² for 2D maps, the "smallest", "median" and "largest" of the maps that have it.
    """
    listed = dict(zip(table.ids, table.names, strict=True)) if table else {}
    sizes = defaultdict(list)
    for survey in surveys:
        unit = np.prod(survey.spacing) / 10**survey.ndim
        for label, voxels in survey.counts.items():
            sizes[label].append(voxels * unit)
    rows = []
    for label in sorted(sizes.keys() | listed.keys()):
        found = sizes.get(label, [0.0])
        name = listed.get(label, "not listed" if table else "")
        measured = (round(float(f(found)), 3) for f in (min, np.median, max))
        row = (label, name, len(sizes.get(label, [])), *measured)
        rows.append(dict(zip(LABEL_COLUMNS, row, strict=True)))
    return rows


def _same_dimensions(surveys: Sequence[MapSurvey]) -> Iterator[Finding]:
    groups = _grouped(surveys, lambda survey: f"{survey.ndim}D")
    if len(groups) > 1:
        message = "2D and 3D maps are mixed; a data set holds maps of one kind"
        yield Finding("error", "dimensions", message, _rarest_first(groups))


def _not_empty(surveys: Sequence[MapSurvey]) -> Iterator[Finding]:
    empty = [survey.name for survey in surveys if survey.is_empty]
    if empty:
        severity = "error" if len(empty) == len(surveys) else "warning"
        message = f"{number_of_maps(empty)} all background, and skipped in training"
        yield Finding(severity, "empty", message, tuple(empty))


def _duplicates(surveys: Sequence[MapSurvey]) -> Iterator[Finding]:
    groups = _grouped((s for s in surveys if not s.is_empty), lambda survey: survey.digest)
    same = tuple(" = ".join(names) for names in groups.values() if len(names) > 1)
    if same:
        message = "maps of the same content: they count more than others and leak into validation"
        yield Finding("warning", "duplicate", message, same)


def _geometry(surveys: Sequence[MapSurvey]) -> Iterator[Finding]:
    kinds = {
        "spacing": lambda s: " x ".join(f"{mm:.3g}" for mm in s.spacing) + " mm",
        "shape": lambda s: " x ".join(map(str, s.shape)) + " voxels",
        "orientation": lambda s: s.stored,
    }
    all_spacings = np.array([s.spacing for s in surveys if s.ndim == surveys[0].ndim])
    apart = len(all_spacings) and np.ptp(all_spacings, 0) > _SPACING_TOLERANCE * all_spacings[0]
    for name, property_of in kinds.items():
        groups = _grouped(surveys, property_of)
        if len(groups) < 2:
            continue
        severity = "warning" if name == "spacing" and np.any(apart) else "note"
        message = f"{len(groups)} kinds of {name}; all maps are brought to one grid in training"
        if name == "spacing":
            message += f", by default to that of the first: {property_of(surveys[0])}"
        yield Finding(severity, name, message, _rarest_first(groups))


def _headers(surveys: Sequence[MapSurvey]) -> Iterator[Finding]:
    notes = tuple(note for survey in surveys for note in survey.notes)
    if notes:
        yield Finding("warning", "header", "doubts about the headers of files", notes)


def _rare_labels(surveys: Sequence[MapSurvey]) -> Iterator[Finding]:
    maps = Counter(label for survey in surveys for label in survey.labels if label)
    lines = {label: f"label {label}: in {n} of {len(surveys)} maps" for label, n in maps.items()}
    rare = [label for label, n in maps.items() if n < max(2, _FEW * len(surveys))]
    some = [label for label, n in maps.items() if n < len(surveys) and label not in rare]
    if len(surveys) > 1 and rare:
        message = f"{_labels(rare)} in a few maps only: hard to learn, and to evaluate"
        yield Finding(
            "warning", "rare", message, tuple(lines[v] for v in sorted(rare, key=maps.get))
        )
    if some:
        message = f"{_labels(some)} in some of the maps only"
        yield Finding(
            "note", "missing", message, tuple(lines[v] for v in sorted(some, key=maps.get))
        )


def _unlisted(surveys: Sequence[MapSurvey], table: LabelTable) -> Iterator[Finding]:
    details = []
    for survey in surveys:
        unknown = {v: n for v, n in survey.counts.items() if v not in table.mapping}
        if unknown:
            values = [f"{value} ({n:,} voxels)" for value, n in unknown.items()]
            details.append(f"{survey.name}: {shortened(values)}")
    if details:
        maps = number_of_maps(details)
        message = f"{maps} with values that the table does not list: add them, or relabel"
        yield Finding("error", "unlisted", message, tuple(details))


def _unused(surveys: Sequence[MapSurvey], table: LabelTable) -> Iterator[Finding]:
    unused = sorted(set(table.ids) - {0} - all_labels(surveys))
    if unused:
        message = f"{_labels(unused)} listed in the table, but in no map"
        yield Finding("warning", "unused", message, tuple(_named(table, v) for v in unused))


def _alone(surveys: Sequence[MapSurvey], table: LabelTable) -> Iterator[Finding]:
    """Find labels with a side whose partner is missing, in the table or in maps."""
    occurring = all_labels(surveys)
    partner = dict(zip(table.ids, table.partners, strict=True))
    side = dict(zip(table.ids, table.sides, strict=True))
    without = [v for v in table.ids if side[v] != "none" and partner[v] is None and v in occurring]
    if without:
        message = f"{_labels(without)} of one side without a partner in the table: no flips"
        yield Finding("warning", "unpaired", message, tuple(_named(table, v) for v in without))
    lines = []
    for label, other in partner.items():
        if other is None or label not in occurring:
            continue
        maps = [s.name for s in surveys if label in s.labels and other not in s.labels]
        if maps:
            lines.append(
                f"{_named(table, label)} without {_named(table, other)}: {shortened(maps)}"
            )
    if lines:
        message = "maps in which one side of a pair of labels is missing"
        yield Finding("warning", "one-sided", message, tuple(lines))


def _wrong_side(surveys: Sequence[MapSurvey], table: LabelTable) -> Iterator[Finding]:
    """Find maps with left labels to the right of right ones: header or labels are mirrored."""
    row = {label: i for i, label in enumerate(table.ids)}
    lefts = [v for v in table.ids if table.sides[row[v]] == "left" and table.partners[row[v]]]
    details = []
    for survey in surveys:
        both = [v for v in lefts if {v, table.partners[row[v]]} <= set(survey.labels)]
        if not both or "R" not in survey.axes:
            continue
        axis = survey.axes.index("R")
        left = survey.position(both, axis)
        right = survey.position([table.partners[row[v]] for v in both], axis)
        if left >= right:
            details.append(f"{survey.name}: left labels {left - right:.3g} mm right of right ones")
    if details:
        maps = number_of_maps(details)
        message = f"left and right are swapped in {maps}: correct the header, or swap the labels"
        yield Finding("error", "sides", message, tuple(details))


def _cut_brain(surveys: Sequence[MapSurvey], table: LabelTable) -> Iterator[Finding]:
    details = []
    for survey in surveys:
        for border, voxels in survey.cut(table.brain_labels).items():
            details.append(f"{survey.name}: {voxels:,} voxels at the {border}")
    if details:
        message = "labels of the brain touch the border of the volume: the brain is cropped there"
        yield Finding("warning", "cut", message, tuple(details))


def shortened(items: Sequence[object], longest: int = 5) -> str:
    """Join the first items of a list, and count the others.

    Args:
        items: the list.
        longest: number of items to join. Default 5.

    Returns:
        The items and the number of others, in words.

    Example:
        >>> shortened([1, 2, 3, 4], longest=2)
        '1, 2 and 2 more'
    """
    more = f" and {len(items) - longest} more" if len(items) > longest else ""
    return ", ".join(map(str, items[:longest])) + more


def _grouped(surveys: object, key: Callable[[MapSurvey], str]) -> Mapping[str, list[str]]:
    groups = defaultdict(list)
    for survey in surveys:
        groups[key(survey)].append(survey.name)
    return groups


def _rarest_first(groups: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return a line per group, with the most common first and its maps counted, not named."""
    ordered = sorted(groups.items(), key=lambda item: len(item[1]))
    lines = [f"{kind}: {shortened(names)}" for kind, names in ordered[:-1]]
    kind, names = ordered[-1]
    return (f"{kind}: {shortened(names, 1 if len(names) > 1 else 5)}", *lines)


def _named(table: LabelTable, label: int) -> str:
    return f"{label} ({table.name(label)})"


def number_of_maps(items: Sequence) -> str:
    """Count maps in words, such as "2 maps"."""
    return f"{len(items)} map{'s' if len(items) != 1 else ''}"


def _labels(items: Sequence) -> str:
    return f"{len(items)} label{'s' if len(items) != 1 else ''}"
