"""The data set that networks are trained on: label maps, each with the key of its sample."""

import contextlib
import functools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from synthtf.data.epoch_counter import EpochCounter
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.map_patches import Patches
from synthtf.data.map_sources import Conformer, MapGrid, MapSource, find_sources
from synthtf.data.read_ahead import ReadAhead
from synthtf.data.volume_writer import smallest_integers
from synthtf.ranges import as_whole

_LARGEST = 2**31 - 1  # keys are int32
_GRID = ("shape", "spacing", "centre_on")


class LabelMaps(keras.utils.PyDataset):
    """Batches of label maps with keys, for `fit` on any backend.

    A batch is `({"labels": int32 (batch, *shape, 1), "key": int32 (batch, 2)},)`, without targets.
    With `scans`, it holds "scan", too, float32 `(batch, *shape, 1)`: the real scan of each map, on
    the same grid by linear interpolation, in [0, 1] between percentiles. A key is `(seed,
    number)`. The number of a sample is a counter,
    `(epoch * len(maps) + index) * batch_size + row`. Its label map depends only on seed and
    number: each pass takes every map once, in an order of its own. Therefore numbers never repeat,
    and the samples of an epoch depend neither on `workers` nor on earlier epochs.

    Epochs: `fit` ends an epoch once before its first (see `EpochCounter`), so that its epoch `j`
    holds the numbers of epoch `initial_epoch + j + 1` here. `fit(..., initial_epoch=k)` with
    `LabelMaps(..., initial_epoch=k)` goes on like an uninterrupted run. Keras shuffles the
    batches of an epoch by default: for the same order, call `fit(maps, shuffle=False)`. The
    length of an epoch is `num_batches`, or for a model of `synthtf.tasks` `steps_per_epoch`,
    which may be larger. For another model, Keras ends an epoch after `num_batches` at the latest;
    with a smaller `steps_per_epoch`, a pass goes on in the next epoch, and a run that resumes in
    between would start the pass again.

    On construction every map is read once, checked and conformed by nearest neighbour, without
    rotation, to RAS and to the voxel size and shape of the grid. Maps that are all background
    on this grid are skipped with a warning. Conformed maps stay in memory, in the smallest integer
    type, and their scans with them, up to `cache_bytes` in total; the others are read again for
    each sample.

    Args:
        maps: folder, file or .txt list; or a list of files or of integer arrays (2D or 3D, taken
            as RAS at 1 mm).
        seed: seed of the run, in [0, 2^31).
        batch_size: samples per batch.
        num_batches: batches per epoch. Default: enough to take each map once.
        table: labels that may occur. Other labels are refused, and labels that never occur give
            one warning. Default: all labels may occur.
        initial_epoch: number of epochs that a resumed run has done. None gives the same samples
            in every epoch, for validation.
        **options: `shape`, `spacing` and `centre_on`, see `MapGrid`; `workers`, the number of
            threads that prepare batches ahead, useful where maps do not fit in memory (1 prepares
            none ahead); `patch` and `around`, to cut from each map, as a sample of it is drawn, a
            part of that shape around a voxel of these labels (`Patches`); and `scans`, the real
            scans of the maps: a folder or file with the names of the maps, a .txt list in the
            order of that of the maps, or a list of files or arrays, one per map.

    Attributes:
        cache_bytes: memory for conformed maps; set it on the class, before construction.
        share: which part of each batch is handed out, and of how many; all of it by default.

    Raises:
        FileNotFoundError: if a path does not exist.
        TypeError: if an option is unknown.
        ValueError: if an argument is out of range, a map or its scan is missing or cannot be used
            (the message names the file), 2D and 3D maps are mixed, or every map is all background.

    Example:
        >>> maps = LabelMaps([np.eye(4, dtype="int32"), np.ones((4, 6), "int32")], seed=7)
        >>> batch = maps[1][0]
        >>> batch["labels"].shape, batch["key"].tolist()
        ((1, 4, 6, 1), [[7, 1]])
    """

    cache_bytes = 4 * 2**30

    def __init__(
        self,
        maps: object,
        seed: int = 0,
        batch_size: int = 1,
        num_batches: int | None = None,
        table: LabelTable | None = None,
        initial_epoch: int | None = 0,
        **options: object,
    ) -> None:
        """Read, check and conform every map."""
        super().__init__()
        workers = as_whole(options.pop("workers", 1), "workers", 1, _LARGEST)
        sources = self._find(maps, options)
        patch, around = options.pop("patch", None), options.pop("around", ())
        self._patches = None if patch is None else Patches(patch, around)
        grid = _grid(options)
        self.seed = as_whole(seed, "seed", 0, _LARGEST)
        self.batch_size = as_whole(batch_size, "batch_size", 1, _LARGEST)
        self.table = table
        self._conform = Conformer.of(sources, grid)
        self._load_all(sources)
        if num_batches is None:
            num_batches = math.ceil(len(self._sources) / self.batch_size)
        self._num_batches = as_whole(num_batches, "num_batches", 1, _LARGEST)
        self.share = (0, 1)
        self._ahead = ReadAhead(self._batch_from, self.batch_size, workers)
        self._advances = initial_epoch is not None
        self.epoch = initial_epoch or 0

    def _find(self, maps: object, options: dict[str, object]) -> list[MapSource]:
        """List the maps, and take out of the options what says where they and their scans are."""
        return find_sources(maps, options.pop("scans", None))

    @property
    def workers(self) -> int:
        """Always 1 for Keras: its workers would mix batches of different epochs."""
        return 1

    @property
    def use_multiprocessing(self) -> bool:
        """Always False for Keras."""
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels per axis of every map."""
        return self._conform.shape

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Number of voxels per axis of what a sample is made from: a map, or a part of it."""
        return self.shape if self._patches is None else self._patches.shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size per axis, in mm."""
        return self._conform.spacing

    @property
    def num_maps(self) -> int:
        """Number of label maps in use."""
        return len(self._sources)

    @property
    def has_scans(self) -> bool:
        """Whether some of the maps have real scans."""
        return any(source.scan is not None for source in self._sources)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each map: its file name without ending, or its place in the list."""
        return tuple(source.name for source in self._sources)

    @property
    def paths(self) -> tuple[Path | None, ...]:
        """File of each map, None for arrays."""
        return tuple(source.path for source in self._sources)

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels that occur in the maps as read, sorted."""
        return self._labels

    @property
    def counts(self) -> tuple[dict[int, int], ...]:
        """Label to number of voxels in the file of each map; none for a scan without labels."""
        return tuple(self._counts)

    def affine(self, index: int) -> np.ndarray:
        """Return the affine of a conformed map.

        Args:
            index: place of the map in `names`.

        Returns:
            Voxel-to-world affine, `(4, 4)` float64, to RAS in mm.
        """
        return self._affines[index].copy()

    def sample_affine(self, number: int) -> np.ndarray:
        """Return the affine of what a sample is made from: a conformed map, or a part of it.

        Args:
            number: second integer of a key.

        Returns:
            Voxel-to-world affine, `(4, 4)` float64, to RAS in mm.
        """
        index = self.map_index(number)
        affine = self.affine(index)
        if self._patches is not None:
            start = [int(c) - n // 2 for c, n in zip(*self._part(index, number), strict=True)]
            affine[:, 3] += affine[:, : len(start)] @ start
        return affine

    def _part(self, index: int, number: int) -> tuple[np.ndarray, tuple[int, ...]]:
        """Give the middle and the shape of the part of a map that a sample is made from."""
        voxels = self._voxels[index]
        return self._patches.centre(voxels, self.shape, self.seed, number), self.sample_shape

    @property
    def epoch(self) -> int:
        """Number of epochs that have ended; set it to go on from there."""
        return self._counter.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._counter = EpochCounter(as_whole(epoch, "epoch", 0, _LARGEST))
        self._first = self._next = 0

    @contextlib.contextmanager
    def in_epochs_of(self, num_batches: int) -> Iterator[None]:
        """Have epochs of another length for a while.

        The samples are those of `LabelMaps(..., num_batches=num_batches)`. Numbers never repeat
        before and after.

        Args:
            num_batches: batches per epoch.
        """
        before = self._num_batches
        self._set_length(as_whole(num_batches, "num_batches", 1, _LARGEST))
        try:
            yield
        finally:
            self._set_length(before)

    def _set_length(self, num_batches: int) -> None:
        if num_batches != self._num_batches and self._advances and self._next:
            # The present epoch begins after all numbers that were handed out.
            begins = max(self._number(self.epoch, 0), self._next)
            self._first = begins - self.epoch * num_batches * self.batch_size
            self._counter = EpochCounter(self.epoch)
        self._num_batches = num_batches

    def _number(self, epoch: int, index: int) -> int:
        """First number of a batch."""
        return self._first + (epoch * len(self) + index) * self.batch_size

    def on_epoch_end(self) -> None:
        """Go on to the numbers of the next epoch; called by Keras."""
        if self._advances:
            self._counter.end()

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return self._num_batches

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        """Return a batch of the current epoch.

        Args:
            index: index of the batch, in [0, len).

        Returns:
            `({"labels", "key"},)`, with "scan" if there are scans.

        Raises:
            IndexError: if there is no such batch.
            ValueError: if a map that is read again can no longer be used, or numbers run out.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must lie in [0, {len(self)}). Received: index={index}")
        epoch = self._counter.draw(index)
        number = self._number(epoch, index)
        self._next = max(self._next, number + self.batch_size)
        return self._ahead.get(number)

    def __iter__(self) -> Iterator[tuple[dict[str, np.ndarray]]]:
        """Iterate over the batches of the current epoch."""
        return (self[index] for index in range(len(self)))

    def sample(self, number: int) -> tuple[dict[str, np.ndarray]]:
        """Return one sample of this seed again, as a batch of one.

        Args:
            number: second integer of its key.

        Returns:
            `({"labels", "key"},)`, with the same bits as in the batch.

        Raises:
            ValueError: if the number is negative, or too large for a key.
        """
        return self._batch([as_whole(number, "number", 0, _LARGEST)])

    def map_index(self, number: int) -> int:
        """Return the map of a sample, a function of the seed and the number alone.

        Args:
            number: second integer of a key.

        Returns:
            Place of the map in `names`.
        """
        run, position = divmod(number, self.num_maps)
        return int(np.random.default_rng([self.seed, run]).permutation(self.num_maps)[position])

    def _batch_from(self, first: int) -> tuple[dict[str, np.ndarray]]:
        index, count = self.share
        size = self.batch_size // count
        return self._batch(range(first + index * size, first + (index + 1) * size))

    def _batch(self, numbers: range | list[int]) -> tuple[dict[str, np.ndarray]]:
        if numbers[-1] > _LARGEST:
            raise ValueError(
                f"sample numbers must be below 2^31; take another seed and start at epoch 0. "
                f"Received: {numbers[-1]}"
            )
        maps, scans = zip(*(self._parts(number) for number in numbers), strict=True)
        key = np.array([(self.seed, number) for number in numbers], "int32")
        batch = {"labels": np.stack(maps)[..., None].astype("int32"), "key": key}
        if self.has_scans:
            scans = [
                np.zeros(m.shape, "float32") if s is None else s
                for m, s in zip(maps, scans, strict=True)
            ]
            batch["scan"] = np.stack(scans)[..., None]
        return (batch,)

    def _parts(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Give what a sample is made from: a map and its scan, or a part of both."""
        index = self.map_index(number)
        labels, scan = self._map(index)
        if self._patches is None:
            return labels, scan
        centre, _ = self._part(index, number)
        cut = self._patches.cut
        return cut(labels, centre), None if scan is None else cut(scan, centre)

    def _map(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Give a conformed map, and its scan if there is one."""
        cached = self._cached[index]
        if cached is not None:
            return cached
        # The warnings were given when the map was first read.
        loaded = self._sources[index].load(self._conform)
        return loaded.labels.data, loaded.scan

    def _load_all(self, sources: list[MapSource]) -> None:
        self._sources, self._affines, self._cached, self._voxels = [], [], [], []
        self._counts: list[dict[int, int]] = []
        seen, room = set(), self.cache_bytes
        for source in sources:
            counts: dict[int, int] = {}
            loaded = source.load(self._conform, functools.partial(self._count, counts, str(source)))
            labels, scan = loaded.labels.data, loaded.scan
            seen.update(counts)
            is_blank = source.has_labels and not labels.any()
            skipped = [f"{source} is all background and was skipped"] if is_blank else []
            for note in [*loaded.notes, *skipped]:
                warnings.warn(note, UserWarning, stacklevel=3)
            if is_blank:
                continue
            small = smallest_integers(labels)
            room -= small.nbytes + (0 if scan is None else scan.nbytes)
            self._sources.append(source)
            self._counts.append(counts)
            self._affines.append(loaded.labels.affine)
            if self._patches is not None:
                self._voxels.append(self._patches.voxels(labels))
            self._cached.append((small, scan) if room >= 0 else None)
        if not self._sources:
            raise ValueError(
                f"all {len(sources)} label maps are all background; at least one must have labels"
            )
        self._labels = tuple(sorted(seen))
        if self.table is not None:
            self.table.warn_unused(seen, f"{len(sources)} label maps")

    def _count(self, counts: dict[int, int], name: str, labels: np.ndarray) -> None:
        counts.update(count_labels(labels))
        if self.table is not None:
            self.table.check(counts, name)


def _grid(options: dict) -> MapGrid:
    unknown = sorted(set(options) - set(_GRID))
    if unknown:
        raise TypeError(
            f"unknown option {unknown[0]!r}; it must be {', '.join(_GRID)}, patch, around, scans "
            "or workers (threads; Keras' processes and queues are not used)"
        )
    return MapGrid(**options)
