"""Real scans and label maps for synthesis by turns, in one data set."""

import os
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from synthtf.data.label_maps import LabelMaps
from synthtf.data.map_sources import MapSource, find_sources
from synthtf.data.scan_truths import LabelledScan, labelled_scans

_PARTS = 10_000  # a share is a multiple of one over this


class Mixed(LabelMaps):
    """Label maps with and without real scans by turns, for `fit` on any backend.

    Batches are those of `LabelMaps` with "scan", which is 0 everywhere for a map that has none. A
    recipe with the step `ShowScan`, as `Recipe.with_scans(synthetic=True)` gives, then shows the
    scan of the former and synthesises an image of the latter. Which is whose turn depends on the
    number of a sample alone: of any 100 neighbours, a share of 0.25 makes 25 real.

    Args:
        maps: label maps to synthesise from, as for `LabelMaps`.
        real: table of scans with their labels, see `labelled_scans`, or a list of `LabelledScan`.
        share: proportion of the samples that are real, in (0, 1).
        **options: arguments of `LabelMaps`, without `scans`.

    Attributes:
        samples_per_turn: neighbours that are of one kind.

    Raises:
        ValueError: if the share is out of range, a real scan has no labels, or as `LabelMaps`.

    Example:
        maps = Mixed("maps/", "real.csv", share=0.25, seed=1, spacing=2.0)
        model = segmentation(maps.shape, table, maps.spacing, recipe.with_scans(synthetic=True))
        model.fit(maps)
    """

    samples_per_turn = 1

    def __init__(
        self,
        maps: object,
        real: "str | os.PathLike | Iterable[LabelledScan]",
        share: float = 0.5,
        **options: object,
    ) -> None:
        """Read, check and conform every map and scan."""
        if not 0 < share < 1:
            raise ValueError(f"`share` must lie in (0, 1). Received: share={share}")
        self.share = share
        self._part = Fraction(round(share * _PARTS), _PARTS)
        super().__init__(maps, **options, scans=real)
        if self.num_real in (0, self.num_maps):
            kind = "label map" if self.num_real else "real scan"
            raise ValueError(f"there must be a {kind} with labels on the grid. Received: none")

    @property
    def num_real(self) -> int:
        """Number of maps with a real scan, which are the first in `names`."""
        return sum(source.scan is not None for source in self._sources)

    def map_index(self, number: int) -> int:
        """Return the map of a sample, a function of seed, number and share alone."""
        turn, row = divmod(number, self.samples_per_turn)
        before = turn * self._part // 1
        if (turn + 1) * self._part // 1 > before:
            return self._real_index(before, row)
        place = number - before * self.samples_per_turn
        return self.num_real + self._place(place, self._num_other, 0)

    def _real_index(self, turn: int, row: int) -> int:
        """Give the map of a sample in a turn of the real ones."""
        return self._place(turn, self.num_real, 1)

    def _place(self, number: int, size: int, kind: int) -> int:
        """Give one of so many things; a pass has each of them once."""
        run, position = divmod(number, size)
        return int(np.random.default_rng([self.seed, run, kind]).permutation(size)[position])

    @property
    def _num_other(self) -> int:
        return self.num_maps - self.num_real

    def _find(self, maps: object, options: dict[str, object]) -> list[MapSource]:
        return [*find_sources(*real_files(options.pop("scans"))), *find_sources(maps)]


def real_files(real: "str | os.PathLike | Iterable[LabelledScan]") -> tuple[list, list]:
    """Give the label maps of a table, and the scan of each.

    Raises:
        ValueError: if a scan has no labels.
    """
    scans = labelled_scans(real)
    for scan in scans:
        if scan.labels is None:
            raise ValueError(
                f"{scan.image}: must have labels to learn from. Received: a mask alone"
            )
    return [scan.labels for scan in scans], [scan.image for scan in scans]
