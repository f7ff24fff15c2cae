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

    Raises:
        ValueError: if the share is out of range, a real scan has no labels, or as `LabelMaps`.

    Example:
        maps = Mixed("maps/", "real.csv", share=0.25, seed=1, spacing=2.0)
        model = segmentation(maps.shape, table, maps.spacing, recipe.with_scans(synthetic=True))
        model.fit(maps)
    """

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
        before = number * self._part // 1
        is_real = (number + 1) * self._part // 1 > before
        place, size = (before, self.num_real) if is_real else (number - before, self._num_other)
        run, position = divmod(place, size)
        generator = np.random.default_rng([self.seed, run, int(is_real)])
        index = int(generator.permutation(size)[position])
        return index if is_real else index + self.num_real

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
