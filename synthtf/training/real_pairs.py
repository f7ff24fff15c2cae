"""Pairs of real scans without labels, by turns with label maps, to learn registration from."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from synthtf.data.geometry import reorient
from synthtf.data.grid import Grid
from synthtf.data.map_scans import MapScan
from synthtf.data.map_sources import Conformer, Loaded, MapSource, find_sources
from synthtf.data.mixed_maps import Mixed
from synthtf.data.paths import expand_scans, stem
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.inference.registration.window import Window
from synthtf.inference.scan_intensities import fit_intensities

_TABLES = (".csv", ".tsv")
_THICK = 1000.0  # mm, of a slice: thin ones do not count as a head
_DRAWN = 2  # kind of a draw, besides those of `Mixed`


class MixedPairs(Mixed):
    """Label maps and pairs of real scans without labels by turns, for `synthtf.tasks.registration`.

    Two neighbours in a batch make a pair, as for `LabelMaps`. Which pairs are real depends on their
    numbers alone, as for `Mixed`. A scan is brought to RAS, to the voxel size and shape of the
    grid, which is put about the head, and to intensities in [0, 1], as `synthtf register` does.
    Scans of one head need not be aligned, nor of one grid. In the place of a label map there are
    zeros. A recipe as `Recipe.with_scans(synthetic=True)` gives shows the scans, moved and
    augmented by the steps of the recipe; the model then learns from the similarity of each real
    pair, see `similarity` of `RegistrationTask`.

    Args:
        maps: label maps to synthesise from, as for `LabelMaps`.
        real: .csv or .tsv table with the columns `moving` and `fixed`, or a list of tuples
            `(moving, fixed)`; or a folder, a .txt list or a list of scans, to draw two for each
            real pair. A scan is a file or an array (taken as RAS at 1 mm).
        share: proportion of the pairs that are real, in (0, 1).
        **options: arguments of `LabelMaps`, without `scans`, `patch` and `around`; `batch_size`,
            2 by default, must be even.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if an argument does not fit, or a scan cannot be used; the message names it.

    Example:
        maps = MixedPairs("maps/", "pairs.csv", share=0.25, seed=1, spacing=2.0)
        recipe = Recipe.preset("heads").with_scans(synthetic=True)
        model = registration(maps.shape, table, maps.spacing, recipe)
        model.fit(maps)
    """

    samples_per_turn = 2

    def __init__(
        self,
        maps: object,
        real: "str | os.PathLike | Iterable",
        share: float = 0.5,
        **options: object,
    ) -> None:
        """Read, check and conform every map and scan."""
        options.setdefault("batch_size", self.samples_per_turn)
        if options["batch_size"] % self.samples_per_turn:
            raise ValueError(
                "`batch_size` must be even: two samples make a pair. "
                f"Received: batch_size={options['batch_size']}"
            )
        if options.get("patch") is not None:
            raise ValueError(
                "`around` must be left out: real pairs have no labels to centre on. "
                f"Received: around={options.get('around')}"
            )
        super().__init__(maps, real, share, **options)

    def _find(self, maps: object, options: dict[str, object]) -> list[MapSource]:
        pairs, scans = real_pairs(options.pop("scans"))
        places = {id(scan): place for place, scan in enumerate(scans)}
        self._pairs = [tuple(places[id(scan)] for scan in pair) for pair in pairs]
        return [*scans, *find_sources(maps)]

    def _real_index(self, turn: int, row: int) -> int:
        if self._pairs:
            return self._pairs[self._place(turn, len(self._pairs), 1)][row]
        generator = np.random.default_rng([self.seed, turn, _DRAWN])
        return int(generator.choice(self.num_real, 2, replace=False)[row])


@dataclass(frozen=True, eq=False)
class UnlabelledScan(MapSource):
    """A real scan without a label map, in whose place there are zeros."""

    has_labels: ClassVar[bool] = False

    def load(self, conform: Conformer, check: object = None) -> Loaded:
        """Read the scan, and bring it to the grid as `synthtf register` does.

        Args:
            conform: the grid.
            check: of label maps; not used.

        Raises:
            ValueError: if it is not finite, or shows nothing; the message names it.
        """
        volume, notes = self.scan.read(self.frame())
        volume = reorient(volume)
        placed, spacing = Grid.of(volume).affine, conform.spacing
        data = fit_intensities(volume.data, str(self), False)
        if data.min() == data.max():
            raise ValueError(f"{self} is constant, so a network cannot learn from it")
        solid = replace(volume, data=data)
        if volume.ndim == 2:
            spacing = (*spacing, _THICK)
            solid = Volume(data[..., None], np.diag([*volume.spacing, _THICK, 1.0]), path=self.path)
        shape = (*conform.shape, 1)[:3]
        window = Window.of(solid, replace(conform, shape=shape, spacing=spacing))
        image = window.sample(np.eye(4)).reshape(conform.shape)
        if not image.any():
            raise ValueError(f"{self} shows nothing within {conform.shape} voxels of the grid")
        corner = np.eye(4)
        corner[:3, 3] = window.corner
        affine = placed @ np.linalg.inv(solid.affine) @ window.affine @ corner
        return Loaded(Volume(np.zeros(conform.shape, "int32"), affine), image, notes)


def real_pairs(
    real: "str | os.PathLike | Iterable",
) -> tuple[list[tuple[MapSource, MapSource]], list[MapSource]]:
    """List the pairs that the user names, and all scans.

    Args:
        real: as for `MixedPairs`.

    Returns:
        Pairs `(moving, fixed)`, none if they are to be drawn; and the scans, each once.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if there is no pair.
    """
    if not isinstance(real, str | os.PathLike):
        entries = list(real)
    elif Path(real).suffix.lower() in _TABLES:
        entries = list(ScanPairs.of(table=real).pairs)
    else:
        entries = expand_scans(real)
    found: dict[object, MapSource] = {}
    tuples = [entry for entry in entries if isinstance(entry, tuple)]
    if tuples and (len(tuples) < len(entries) or any(len(pair) != 2 for pair in tuples)):
        raise ValueError(
            "`real` must be tuples (moving, fixed), or scans to draw pairs from. "
            f"Received: {len(tuples)} tuples of {len(entries)} entries"
        )
    pairs = [(_source(moving, found), _source(fixed, found)) for moving, fixed in tuples]
    scans = [_source(scan, found) for pair in tuples or [entries] for scan in pair]
    scans = list(dict.fromkeys(scans))
    if len(scans) < 2 and not pairs:
        given = real if isinstance(real, str | os.PathLike) else f"{len(scans)} scans"
        raise ValueError(f"`real` must name a pair, or two scans or more. Received: {given}")
    return pairs, scans


def _source(scan: object, found: dict[object, MapSource]) -> MapSource:
    """Give the source of a scan, the same one if it has been named before."""
    if isinstance(scan, str | os.PathLike):
        path = Path(scan)
        key = os.path.abspath(path)
        return found.setdefault(key, UnlabelledScan(stem(path), path, scan=MapScan(path)))
    name = f"real scan {len(found)}"
    array = np.asarray(scan)
    if array.ndim not in (2, 3) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be a path or an array of two or three axes. "
            f"Received: {array.dtype} of shape {array.shape}"
        )
    source = UnlabelledScan(name, array=array, scan=MapScan(array=array, name=name))
    return found.setdefault(id(scan), source)
