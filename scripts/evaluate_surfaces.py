"""Evaluate surfaces of the cortex on synthetic images of label maps, and on scans.

    python scripts/evaluate_surfaces.py RUN [RUN ...] [--maps FILE ...] [--recipe JSON]
        [--scans FILE ...] [--csv FILE]

Each map gives one synthetic image of 1 mm, with a fixed key and without warps, which all runs see.
The surfaces that `synthtf surfaces` finds are compared with those of the map itself: from each
vertex of one to the nearest vertex of the other, both ways together, the mean and the 95th
percentile in mm. Of the scans, it measures the thickness where there is cortex: the median, and the
share between 2 and 4 mm. The maps are by default head_19 and head_20 of ../shared/data.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from synthtf.data import LabelMaps, LabelTable, Volume
from synthtf.data.surfaces import Surface
from synthtf.inference import find_surfaces, label_surfaces
from synthtf.inference.surfaces.reconstructing import Cortex
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

HELD_OUT = ("head_19.nii.gz", "head_20.nii.gz")
SHAPE = (160, 192, 160)
COLUMNS = ("run", "image", "surface", "mean", "p95", "handles", "thickness", "share")


def samples(
    maps: Sequence[Path], table: LabelTable, recipe: Recipe, seed: int
) -> Iterator[tuple[Volume, Cortex]]:
    """Yield the image of each map, and the surfaces of its labels."""
    options = {"spacing": 1.0, "table": table, "centre_on": table.brain_labels}
    data = LabelMaps(maps, seed, shape=SHAPE, **options)
    synthesis = recipe.build(SHAPE, table, spacing=1.0)
    for number in range(len(maps)):
        made = synthesis.predict_on_batch(data.sample(number)[0])
        name = Path(data.names[data.map_index(number)])
        image, labels = (np.asarray(made[part])[0, ..., 0] for part in ("image", "labels"))
        yield Volume(image, np.eye(4), path=name), label_surfaces(Volume(labels, np.eye(4)), table)


def distances(one: Surface, other: Surface) -> np.ndarray:
    """Distances of the vertices of two surfaces to the nearest of the other, in mm."""
    pairs = ((one, other), (other, one))
    return np.concatenate([cKDTree(b.vertices).query(a.vertices)[0] for a, b in pairs])


def measure(found: Cortex, truth: Cortex | None = None) -> Iterator[list]:
    """Yield the measures of each surface."""
    for (side, kind), surface in found.surfaces.items():
        far = None if truth is None else distances(surface, truth.surfaces[side, kind])
        apart = ("", "") if far is None else (far.mean(), np.percentile(far, 95))
        values = found.cortical(side)
        thick = (np.median(values), np.mean((values >= 2) & (values <= 4)))
        yield [f"{side} {kind}", *apart, surface.handles, *(thick if kind == "white" else ("", ""))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training")
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "label_maps"
    maps = [default / name for name in HELD_OUT]
    parser.add_argument("--maps", nargs="*", type=Path, default=maps, metavar="FILE")
    parser.add_argument("--recipe", default="tutorial", metavar="JSON")
    parser.add_argument("--scans", nargs="*", type=Path, default=[], metavar="FILE")
    parser.add_argument("--seed", type=int, default=1000, metavar="N")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    runs = {folder.resolve().name: Run.load(folder) for folder in args.runs}
    recipe = Recipe.of(args.recipe)
    moves = ("Affine", "Warp", "Flip", "Erosion", "FieldOfView")
    still = [step for step in recipe.fine() if not type(step).__name__.endswith(moves)]
    table, rows = next(iter(runs.values())).table, []
    images = samples(args.maps, table, Recipe(still), args.seed) if args.maps else ()
    for image, truth in (*images, *((scan, None) for scan in args.scans)):
        for name, run in runs.items():
            found = find_surfaces(image, run)
            label = image.name if truth else image.name.split(".")[0]
            rows += [[name, label, *row] for row in measure(found, truth)]
            print(*(" ".join(map(str, row)) for row in rows[-4:]), sep="\n", file=sys.stderr)
    if args.csv:
        with args.csv.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows])
    print("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", sep="\n")
    for row in rows:
        cells = (f"{v:.2f}" if isinstance(v, float) else str(v) for v in row)
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
