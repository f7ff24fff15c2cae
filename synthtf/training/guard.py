"""A guard over what a network is shown: samples that nothing can be learnt from are noticed."""

import functools
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf import xla
from synthtf.data.delimited import append_rows
from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.runs.run import RECIPE, TABLE, Run
from synthtf.synthesis import FINE_LABELS

GUARD = "guard.csv"
"""File of a run that lists the samples with faults."""

COLUMNS = ("seed", "number", "map", "epoch", "faults", "lost_labels")

FIRST = 10
"""Samples that are checked at the start of a training; most of them must be good."""

_LEAST_CONTRAST = 0.01  # standard deviation in the anatomy, of an image that fills [0, 1]
_LEAST_IN_VIEW = 0.05  # of the anatomy that the map shows in the same box
_REAL = "real"  # of pairs, whether they are of real scans
_IMAGES = ("image", "moving", "fixed")
_LABELS = {"image": "labels", "moving": "moving_labels", "fixed": "fixed_labels"}


@dataclass(frozen=True)
class Target:
    """What the labels of a target mean.

    Attributes:
        mapping: label of a map to the label of the target that it counts as.
        mirrored: the same after a flip, which swaps left and right.
        foreground: labels of the target that are the anatomy of interest.
    """

    mapping: dict[int, int]
    mirrored: dict[int, int]
    foreground: tuple[int, ...]

    @classmethod
    def of(cls, table: LabelTable, synthesis: keras.Model) -> "Target":
        """Take the brain for the anatomy of interest, or all labels if none is of the brain.

        Args:
            table: of the labels of the maps.
            synthesis: its layer "target", if it has one, knows better than the table what labels
                count as in this task.
        """
        layers = {layer.name: layer for layer in synthesis.layers}
        mapping = layers["target"].mapping if "target" in layers else table.mapping
        partner = dict(zip(table.ids, table.partners, strict=True))
        mirrored = {
            label: mapping.get(label if partner[label] is None else partner[label], 0)
            for label in table.ids
        }
        brain = {mapping.get(label, 0) for label in table.brain_labels} - {0}
        return cls(mapping, mirrored, tuple(sorted(brain or set(mapping.values()) - {0})))

    def lost(self, shown: dict[int, int], labels: Iterable[int]) -> list[int]:
        """Give the labels of a target that it lacks although its map shows them.

        Args:
            shown: label of the map to its voxels, see `middle_counts`.
            labels: that occur in the target, which may be mirrored.
        """
        both = [
            {mapping.get(label, 0) for label in shown} for mapping in (self.mapping, self.mirrored)
        ]
        return sorted(min((expected - {0, *labels} for expected in both), key=len))

    def expected(
        self, source: np.ndarray, labels: np.ndarray, fine: np.ndarray
    ) -> tuple[dict[int, int], int]:
        """Count what an image would show if nothing were moved.

        Args:
            source: label map.
            labels: target on the grid of the image.
            fine: the same, of voxels as small as those of the label map.

        Returns:
            Voxels of each label of the map, and those of the anatomy in an image of such labels.
        """
        shown = middle_counts(source, fine.shape)
        anatomy = sum(n for v, n in shown.items() if self.mapping.get(v) in self.foreground)
        return shown, anatomy * labels.size // fine.size


def find_faults(
    image: np.ndarray, labels: np.ndarray, foreground: Sequence[int], expected: int = 1
) -> list[str]:
    """Name what makes a synthetic sample useless.

    Args:
        image: of any shape, in [0, 1] if it is sound.
        labels: its target, of the same shape.
        foreground: labels of the anatomy.
        expected: voxels of the anatomy before anything was moved.

    Returns:
        Any of "not finite", "constant", "no contrast" (within the anatomy) and "out of view".

    Example:
    >>> find_faults(np.zeros((4, 4)), np.ones((4, 4), "int32"), [1])
    ['constant']
    """
    inside = np.isin(labels, list(foreground))
    faults = []
    if not np.isfinite(image).all():
        faults.append("not finite")
    elif image.min() == image.max():
        faults.append("constant")
    elif inside.any() and image[inside].std() < _LEAST_CONTRAST:
        faults.append("no contrast")
    if np.count_nonzero(inside) < max(1, _LEAST_IN_VIEW * expected):
        faults.append("out of view")
    return faults


def middle_counts(labels: np.ndarray, shape: Sequence[int]) -> dict[int, int]:
    """Count the voxels of each label in a box in the middle of a map.

    Args:
        labels: map `(*spatial)`.
        shape: of the box.
    """
    starts = [max(0, (n - size) // 2) for n, size in zip(labels.shape, shape, strict=True)]
    box = tuple(slice(a, a + size) for a, size in zip(starts, shape, strict=True))
    return count_labels(labels[box])


class FaultList:
    """The samples with faults of a training, in `guard.csv` of its run folder.

    Args:
        maps: the label maps of the training.
        folder: of the run.
    """

    def __init__(self, maps: LabelMaps, folder: Path) -> None:
        self.maps = maps
        self.path = Path(folder) / GUARD

    def numbers(self, epoch: int, batch: int) -> range:
        """Give the sample numbers of a step of an epoch of `fit`."""
        # `fit` ends an epoch once before its first: see `EpochCounter`.
        first = ((epoch + 1) * len(self.maps) + batch) * self.maps.batch_size
        return range(first, first + self.maps.batch_size)

    def add(self, epoch: int, entries: Sequence[tuple[int, list[str], list[int]]]) -> None:
        """Append samples.

        Args:
            epoch: of all of them.
            entries: number, faults and lost labels of each.
        """
        if not entries:
            return
        rows: list[tuple] = [] if self.path.exists() else [COLUMNS]
        for number, faults, lost in entries:
            name = self.maps.names[self.maps.map_index(number)]
            lost_labels = " ".join(map(str, lost))
            rows.append((self.maps.seed, number, name, epoch, "; ".join(faults), lost_labels))
        append_rows(self.path, rows)


class FiniteGuard(keras.callbacks.Callback):
    """Stop a training whose loss or weights are no longer finite.

    The checkpoint of the last epoch stays. The samples of the step are listed in `guard.csv`, and
    `run.json` says why the training stopped.

    Args:
        faults: the list.
        run: the run.
    """

    def __init__(self, faults: FaultList, run: Run) -> None:
        super().__init__()
        self.faults, self.run = faults, run

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Check the loss.

        Raises:
            ValueError: if it is not finite.
        """
        self._batch = batch
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(float(loss)):
            self.stop("loss")

    def stop(self, what: str) -> None:
        """Stop after a step.

        Args:
            what: is not finite, "loss" or "weights".

        Raises:
            ValueError: always.
        """
        numbers = self.faults.numbers(self._epoch, self._batch)
        self.faults.add(self._epoch, [(number, [f"{what} not finite"], []) for number in numbers])
        keys = ", ".join(f"({self.faults.maps.seed}, {number})" for number in numbers)
        reason = (
            f"the {what} became not finite in step {self._batch + 1} of epoch {self._epoch + 1}, "
            f"with the samples of the keys {keys}"
        )
        self.run.update(stopped=reason)
        raise ValueError(
            f"{self.run.folder}: {reason}, which {self.faults.path.name} lists. "
            + (
                f"The checkpoint after epoch {self._epoch} is kept: resume from it with a lower "
                "learning rate"
                if self._epoch
                else "Begin again with a lower learning rate"
            )
        )


class SampleGuard(keras.callbacks.Callback):
    """Look at the samples of a training now and then, and stop it if most are useless.

    It synthesises the batch of a step once more: of the first steps, until `FIRST` samples are
    checked, then of every so many. Samples with a fault (see `find_faults`) or without a label
    that their map shows in the same place are listed in `guard.csv`, and counted in one line after
    each epoch that has any.

    Args:
        faults: the list, of the label maps of the training.
        table: of their labels.
        every: steps between checks.

    Raises:
        ValueError: during `fit`, if more than half of the first `FIRST` samples have a fault.
    """

    def __init__(self, faults: FaultList, table: LabelTable, every: int = 50) -> None:
        super().__init__()
        self.faults, self.every = faults, every
        self.table = table
        self.checked = self.bad = 0
        self._total: Counter = Counter()
        self._steps = 0
        self._clear()

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed training needs to check the same samples."""
        counts = {"checked": self.checked, "bad": self.bad, "steps": self._steps}
        return counts | {"total": dict(self._total)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; from the beginning if it is empty."""
        self.checked, self.bad = state.get("checked", 0), state.get("bad", 0)
        self._steps, self._total = state.get("steps", 0), Counter(state.get("total", {}))

    @functools.cached_property
    def target(self) -> Target:
        """What the labels of the targets mean."""
        return Target.of(self.table, self.model.synthesis)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Report the epoch before, when the line of its progress is complete."""
        self._report()
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Check the samples of this step, if it is its turn."""
        if self.checked < FIRST or self._steps % self.every == 0:
            self.check(batch)
        self._steps += 1

    def on_train_end(self, logs: Any = None) -> None:
        """Report the last epoch."""
        self._report()

    def check(self, batch: int) -> None:
        """Synthesise the samples of a step again and look for faults."""
        numbers = self.faults.numbers(self._epoch, batch)
        singles = [self.faults.maps.sample(number)[0] for number in numbers]
        inputs = {name: np.concatenate([one[name] for one in singles]) for name in singles[0]}
        outputs = xla.call_once(self.model.synthesis, inputs)
        names = [name for name in _IMAGES if name in outputs]
        wanted = {*names, *(_LABELS[name] for name in names), _REAL, FINE_LABELS} & {*outputs}
        outputs = {n: np.asarray(keras.ops.convert_to_numpy(outputs[n])) for n in wanted}
        found = []
        for row, number in enumerate(numbers):
            pair, side = divmod(row, len(names))
            image, labels = (outputs[n][pair, ..., 0] for n in (names[side], _LABELS[names[side]]))
            if _REAL in outputs and outputs[_REAL][pair, 0]:
                # Without labels, all that the scan shows is looked at.
                labels = np.full_like(labels, max(self.target.foreground, default=0))
            # Images of a pair may show another map than their own, or none.
            source = inputs["labels"][row, ..., 0] if len(names) == 1 else None
            fine = outputs[FINE_LABELS][pair, ..., 0] if FINE_LABELS in outputs else labels
            found.append((number, *self._look(image, labels, source, fine)))
        self._count(found)
        self.faults.add(self._epoch, [entry for entry in found if entry[1] or entry[2]])
        if self.checked - len(found) < FIRST <= self.checked:
            self._stop_if_most_are_bad(found)

    def _look(
        self, image: np.ndarray, labels: np.ndarray, source: np.ndarray | None, fine: np.ndarray
    ) -> tuple[list[str], list[int]]:
        """Faults, and labels that are lost from the map, as fine as it was."""
        foreground = self.target.foreground
        if source is None:
            return find_faults(image, labels, foreground), []
        shown, expected = self.target.expected(source, labels, fine)
        lost = self.target.lost(shown, np.unique(fine).tolist())
        return find_faults(image, labels, foreground, expected), lost

    def _count(self, found: Sequence[tuple[int, list[str], list[int]]]) -> None:
        self.checked += len(found)
        self._seen += len(found)
        for _, faults, lost in found:
            self._kinds.update(faults)
            self._total.update(faults)
            self._lost.update(lost)
            self._with_lost += bool(lost)
            self._with_fault += bool(faults)
            self.bad += bool(faults)

    def _stop_if_most_are_bad(self, found: Sequence[tuple[int, list[str], list[int]]]) -> None:
        if self.bad <= self.checked / 2:
            return
        kinds = ", ".join(f"{n} {fault}" for fault, n in self._total.most_common())
        number = next((number for number, faults, _ in found if faults), found[-1][0])
        path, seed = self.faults.path, self.faults.maps.seed
        raise ValueError(
            f"{self.bad} of the first {self.checked} samples are useless ({kinds}): correct the "
            f"recipe, the shape or the maps. {path} lists them; to look at one again: synthtf "
            f"synthesize MAPS -o DIR --replay {seed} {number} --recipe {path.parent / RECIPE} "
            f"--labels {path.parent / TABLE}, and the --shape and --spacing of this training"
        )

    def _report(self) -> None:
        parts = []
        if self._with_fault:
            kinds = ", ".join(f"{n} {fault}" for fault, n in self._kinds.most_common())
            parts.append(f"{self._with_fault} useless ({kinds})")
        if self._with_lost:
            labels = ", ".join(str(label) for label, _ in self._lost.most_common(5))
            more = ", ..." if len(self._lost) > 5 else ""
            parts.append(f"{self._with_lost} without all their labels ({labels}{more})")
        if parts:
            text = f"of {self._seen} samples checked: {'; '.join(parts)}; see {self.faults.path}"
            _print_line(text)
        self._clear()

    def _clear(self) -> None:
        self._seen = self._with_fault = self._with_lost = 0
        self._kinds: Counter = Counter()
        self._lost: Counter = Counter()


def _print_line(text: str) -> None:
    """Print above a progress bar, if there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
