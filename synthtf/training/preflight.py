"""What will go wrong in a training, found before it: label maps, table, recipe, shape, memory."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthtf.batch import Outcome
from synthtf.data.geometry import resampled_size
from synthtf.data.label_table import LabelTable
from synthtf.data.map_survey import MapSurvey
from synthtf.data.preflight import (
    LABEL_COLUMNS,
    SEVERITIES,
    Finding,
    all_labels,
    check_maps,
    label_rows,
    number_of_maps,
    shortened,
    survey_maps,
)
from synthtf.data.tables import refuse_other_file, write_table
from synthtf.layers import RandomDeface, RandomFlip, RandomMask
from synthtf.messages import describe
from synthtf.ranges import per_axis
from synthtf.synthesis import Recipe
from synthtf.training.guidance import advice, unsuited
from synthtf.training.memory import training_bytes
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import load_table

_DETAILS = 5  # lines of a finding that are shown unless all are asked for


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        num_maps: Files that were looked at.
        findings: By severity.
        labels: A dict per label, see `synthtf.data.preflight.label_rows`.
        unsuited: What a network cannot learn by the plan.
        advice: What is advised for it.
    """

    num_maps: int
    findings: tuple[Finding, ...]
    labels: tuple[dict[str, object], ...]
    unsuited: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def has_errors(self) -> bool:
        """Whether a training would fail, or learn what is wrong."""
        return any(finding.severity == "error" for finding in self.findings)

    def report(self, verbose: bool = False) -> str:
        """Give the text for a terminal.

        Args:
            verbose: Show every detail, and a table of the labels.
        """
        lines = []
        for severity in SEVERITIES:
            found = [f for f in self.findings if f.severity == severity]
            if found:
                lines += ["", f"{severity}s ({len(found)})"]
            for finding in found:
                most = len(finding.details) if verbose else _DETAILS
                lines.append(f"  {finding.kind}: {finding.message}")
                lines += [f"      {detail}" for detail in finding.details[:most]]
                if len(finding.details) > most:
                    lines.append(f"      ... and {len(finding.details) - most} more (--verbose)")
        for title, clauses in (("not for", self.unsuited), ("advised", self.advice)):
            if clauses:
                lines += ["", title, *(f"  - {clause}" for clause in clauses)]
        if verbose:
            lines += ["", *_table(self.labels)]
        return "\n".join([f"{self.num_maps} label maps: {self._verdict()}", *lines])

    def _verdict(self) -> str:
        counts = [(sum(f.severity == s for f in self.findings), s) for s in SEVERITIES]
        return ", ".join(f"{n} {s}{'s' * (n != 1)}" for n, s in counts)

    def write_labels(self, path: str | os.PathLike) -> None:
        """Write the table of labels as CSV; another table is not replaced."""
        write_table(path, LABEL_COLUMNS, self.labels)


def preflight(
    paths: Sequence[Path], plan: TrainingPlan, progress: Callable[[Sequence], Sequence] = list
) -> Preflight:
    """Look for what will go wrong in a training.

    Args:
        paths: Label maps.
        plan: What shall be trained: label table, recipe, spacing, shape, network, batch size.
        progress: Is given the paths, and goes through them, as `tqdm` does.

    Returns:
        The findings.
    """
    table = load_table(plan.labels)
    surveys, findings = survey_maps(paths, progress)
    if surveys:
        findings += [*check_maps(surveys, table), *check_plan(surveys, plan)]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    rows = tuple(label_rows(surveys, table))
    return Preflight(len(paths), tuple(findings), rows, tuple(unsuited(plan)), tuple(advice(plan)))


def check_training(
    paths: Sequence[Path],
    plan: TrainingPlan,
    *,
    verbose: bool = False,
    table: str | os.PathLike | None = None,
) -> Outcome:
    """Look for what will go wrong in a training, with a progress bar, and say it.

    Args:
        paths: label maps.
        plan: what shall be trained.
        verbose: show every detail.
        table: file for the table of the labels. None: none is written.

    Returns:
        The report as text; its failures are the errors.
    """
    from tqdm import tqdm

    if table is not None:
        refuse_other_file(table, LABEL_COLUMNS)
    found = preflight(paths, plan, lambda items: tqdm(items, unit="map", disable=None))
    if table is not None:
        found.write_labels(table)
    errors = [finding for finding in found.findings if finding.severity == "error"]
    failures = tuple((finding.kind, finding.message) for finding in errors)
    return Outcome(len(paths), failures=failures, text=found.report(verbose))


def check_plan(surveys: Sequence[MapSurvey], plan: TrainingPlan) -> list[Finding]:
    """Check whether table, recipe, shape and network of a plan fit the maps.

    Args:
        surveys: Of the maps that can be read, at least one.
        plan: What shall be trained.

    Returns:
        Findings, in no order of severity.
    """
    surveys = [s for s in surveys if not s.is_empty and s.ndim == surveys[0].ndim]
    table = load_table(plan.labels)
    checks = (_sides_for_flips, _brain_for_the_task, _maps_without_brain, _shape, _memory)
    return [finding for check in checks if surveys for finding in check(surveys, table, plan)]


def _sides_for_flips(
    surveys: Sequence[MapSurvey], table: LabelTable | None, plan: TrainingPlan
) -> Iterator[Finding]:
    if not any(isinstance(step, RandomFlip) for step in Recipe.of(plan.recipe)):
        return
    if table is None:
        message = "the recipe flips, but without a table left and right labels are not swapped"
        yield Finding("warning", "flip", message)
        return
    try:
        known = all_labels(surveys) & set(table.ids)
        found = table.select({0, *known})
        pairs, _ = found.flip_pairs, found.output_pairs
        if not pairs:
            message = (
                "the recipe flips, but the table has no left-right pairs: labels are not swapped. "
                "If structures have sides, say so in their names or a column `side`"
            )
            yield Finding("warning", "flip", message)
    except ValueError as error:
        yield Finding("error", "flip", f"the recipe flips, but {error}")


def _brain_for_the_task(
    surveys: Sequence[MapSurvey], table: LabelTable | None, plan: TrainingPlan
) -> Iterator[Finding]:
    if plan.task.needs_brain:
        what = f"the task {plan.task.name} learns the brain"
    elif any(isinstance(step, RandomMask | RandomDeface) for step in Recipe.of(plan.recipe)):
        what = "the recipe strips skulls or removes faces"
    else:
        return
    if table is None:
        message = f"{what}, but without a table every label is taken for the brain"
        yield Finding("warning", "brain", message)
    elif not table.brain_labels:
        message = f"{what}, but the table says of no label that it is the brain"
        yield Finding("error", "brain", message)


def _maps_without_brain(
    surveys: Sequence[MapSurvey], table: LabelTable | None, plan: TrainingPlan
) -> Iterator[Finding]:
    if table is None or not table.brain_labels:
        return
    lacking = tuple(s.name for s in surveys if not s.extent(table.brain_labels))
    if lacking:
        severity = "warning" if plan.shape is None else "error"
        message = f"{number_of_maps(lacking)} without any label of the brain, to be centred on"
        yield Finding(severity, "no brain", message, lacking)


def _shape(
    surveys: Sequence[MapSurvey], table: LabelTable | None, plan: TrainingPlan
) -> Iterator[Finding]:
    """Compare the shape with what the network takes, and with the size of the brain."""
    multiple, spacing = _multiple(plan), _spacing(surveys, plan)
    brain = table is not None and bool(table.brain_labels)
    labels = table.brain_labels if brain else all_labels(surveys) - {0}
    what = "the brain" if brain else "all labels"
    sizes = {s.name: _size(s, labels) for s in surveys if s.extent(labels)}
    if not sizes:
        return
    largest = [max(mm) for mm in zip(*sizes.values(), strict=True)]
    voxels = [math.ceil(mm / step - 1e-6) for mm, step in zip(largest, spacing, strict=True)]
    crop = [-(-n // multiple) * multiple for n in voxels]
    at = f"at {_by(spacing)} mm"
    message = (
        f"--shape {' '.join(map(str, crop))} {at} holds {what} of every map, at most "
        f"{_by(largest)} mm; whole maps are {_by(_whole(surveys, spacing))} voxels"
    )
    yield Finding("note", "crop", message)
    if plan.shape is None:
        return
    if len(plan.shape) != surveys[0].ndim:
        message = f"the shape {_by(plan.shape)} does not fit maps of {surveys[0].ndim} axes"
        yield Finding("error", "shape", message)
        return
    if any(n % multiple for n in plan.shape):
        need = f"no multiple of the {multiple} voxels that the network needs"
        message = f"the shape {_by(plan.shape)} is {need}"
        yield Finding("error", "shape", message)
    room = [n * step for n, step in zip(plan.shape, spacing, strict=True)]
    cut = [n for n, mm in sizes.items() if any(a > b for a, b in zip(mm, room, strict=True))]
    if cut:
        message = f"{_by(plan.shape)} voxels {at} cut {what} of {number_of_maps(cut)}"
        yield Finding("warning", "cropped", message, (shortened(cut),))


def _memory(
    surveys: Sequence[MapSurvey], table: LabelTable | None, plan: TrainingPlan
) -> Iterator[Finding]:
    spacing, multiple = _spacing(surveys, plan), _multiple(plan)
    shape = plan.shape or [-(-n // multiple) * multiple for n in _whole(surveys, spacing)]
    known = all_labels(surveys) & set(table.ids) if table else all_labels(surveys)
    num_outputs = len(table.select(known).output_labels) if table else len(known | {0})
    if len(shape) != surveys[0].ndim or any(n % multiple for n in shape):
        return
    try:
        network = plan.task.make_network(len(shape), num_outputs)
    except (ValueError, OSError) as error:
        yield Finding("error", "network", describe(error))
        return
    shape = [n // Recipe.of(plan.recipe).coarsening for n in shape]
    channels = plan.task.target_channels(num_outputs)
    least, needed = training_bytes(network, shape, plan.batch_size, channels)
    message = (
        f"about {_gigabytes(needed)} per training step on a processor, and at least "
        f"{_gigabytes(least)} on a GPU: {plan.batch_size} x {_by(shape)} voxels, {num_outputs} "
        f"output labels, {plan.task.width} features; less with a smaller --shape, "
        "fewer --features or mixed_bfloat16"
    )
    yield Finding("note", "memory", message)


def _size(survey: MapSurvey, labels: Sequence[int]) -> tuple[float, ...]:
    """Size of the box around labels, in mm."""
    extent = zip(survey.extent(labels), survey.spacing, strict=True)
    return tuple((last - first + 1) * step for (first, last), step in extent)


def _multiple(plan: TrainingPlan) -> int:
    """Number that the sizes of the label maps must be a multiple of."""
    return plan.task.multiple * Recipe.of(plan.recipe).coarsening


def _spacing(surveys: Sequence[MapSurvey], plan: TrainingPlan) -> tuple[float, ...]:
    return surveys[0].spacing if plan.spacing is None else per_axis(plan.spacing, surveys[0].ndim)


def _whole(surveys: Sequence[MapSurvey], spacing: Sequence[float]) -> list[int]:
    """Voxels per axis of the box that holds every map."""
    return [
        max(resampled_size(s.shape[a], s.spacing[a], step) for s in surveys)
        for a, step in enumerate(spacing)
    ]


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.{1 if number < 1e10 else 0}f} GB"


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{round(n, 2):g}" for n in numbers)


def _table(rows: Sequence[dict[str, object]]) -> list[str]:
    """Columns of text, numbers to the right."""
    if not rows:
        return []
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = [name == "name" for name in rows[0]]
    return [
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, text, strict=True)
        ).rstrip()
        for row in cells
    ]
