"""Validate segmentation networks on synthetic images of label maps that they never saw.

    python scripts/validate_runs.py RUN [RUN ...] [--maps FILE ...] [--recipe JSON] [--samples N]

All runs segment the same images of 1 mm, made from the label maps with fixed keys, as `synthtf
segment` would: found, conformed to the network's voxels, flipped, and brought back to 1 mm, where
Dice and volumes are taken. The maps take turns, so that each has as many samples if N is a multiple
of their number. They are by default head_19, head_20 and young_05 of ../shared/data. A sample takes
a few seconds for each run.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from synthtf.data import LabelMaps, LabelTable, Volume
from synthtf.evaluation import dice
from synthtf.inference import segment
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

HELD_OUT = ("head_19.nii.gz", "head_20.nii.gz", "young_05.nii.gz")
COLUMNS = ("run", "sample", "label", "dice", "volume", "posterior_volume", "true_volume")
_MARGIN = 24  # voxels around the image, for what rotations bring into view


def samples(
    maps: Sequence[Path], run: Run, recipe: Recipe, number: int, seed: int
) -> Iterator[tuple[str, Volume, np.ndarray]]:
    """Yield the name, the image and the output labels of each sample, all at 1 mm."""
    shape = [math.ceil(n * mm / 32) * 32 for n, mm in zip(run.shape, run.spacing, strict=True)]
    grid = {"shape": [n + 2 * _MARGIN for n in shape], "spacing": 1.0}
    data = LabelMaps(maps, seed, table=run.table, centre_on=run.table.brain_labels, **grid)
    synthesis = recipe.fine().build(shape, run.table, spacing=1.0)
    for sample in range(number):
        batch = data.sample(sample)[0]
        made = synthesis.predict_on_batch(batch)
        name = f"{data.names[data.map_index(sample)]} {sample}"
        image = Volume(np.asarray(made["image"])[0, ..., 0], np.eye(4), path=Path(name))
        yield name, image, np.asarray(made["labels"])[0, ..., 0]


def measure(run: Run, image: Volume, truth: np.ndarray, refine: bool) -> Iterator[list[float]]:
    """Yield label, Dice, volume, volume by posteriors and true volume, in mL."""
    found = segment(image, run, refine=refine)
    labels = [v for v in run.output_labels[1:] if (truth == v).any()]
    overlaps = dice(found.labels.data, truth, labels)
    for label in labels:
        counts = ((x == label).sum() / 1000 for x in (found.labels.data, truth))
        volume, true_volume = counts
        yield [label, overlaps[label], volume, found.volumes[label] / 1000, true_volume]


def summary(rows: Sequence[dict], table: LabelTable) -> list[str]:
    """Lay out mean Dice and median ratio of volumes of each structure and run, sides together."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    left = {right: left for left, right in table.output_pairs}
    labels = sorted({left.get(row["label"], row["label"]) for row in rows})
    lines = ["| label | " + " | ".join(f"{name}: Dice | volume" for name in runs) + " |"]
    lines.append("|---|" + "---|---|" * len(runs))

    def cells(members: Sequence[int]) -> Iterator[str]:
        for run in runs:
            chosen = [r for r in rows if r["run"] == run and r["label"] in members]
            yield f"{np.mean([r['dice'] for r in chosen]):.3f}"
            ratios = [r["posterior_volume"] / r["true_volume"] for r in chosen]
            yield f"{np.median(ratios):.2f}"

    for label in labels:
        members = [v for v in {row["label"] for row in rows} if left.get(v, v) == label]
        lines.append(f"| {label} | " + " | ".join(cells(members)) + " |")
    every = [v for v in {row["label"] for row in rows} if v != 24]
    lines.append("| mean, without 24 | " + " | ".join(cells(every)) + " |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training")
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "label_maps"
    parser.add_argument(
        "--maps",
        nargs="+",
        type=Path,
        default=[default / name for name in HELD_OUT],
        metavar="FILE",
    )
    parser.add_argument(
        "--recipe", type=Path, metavar="JSON", help="default: that of the first run"
    )
    parser.add_argument("--samples", type=int, default=9, metavar="N")
    parser.add_argument("--seed", type=int, default=1000, metavar="N")
    parser.add_argument("--no-refine", dest="refine", action="store_false")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row per run, sample and label")
    args = parser.parse_args(arguments)
    runs = [Run.load(folder) for folder in args.runs]
    names = [folder.resolve().name for folder in args.runs]
    recipe = Recipe.load(args.recipe) if args.recipe else runs[0].recipe
    rows = []
    for sample, image, truth in samples(args.maps, runs[0], recipe, args.samples, args.seed):
        for name, run in zip(names, runs, strict=True):
            found = list(measure(run, image, truth, args.refine))
            rows += [dict(zip(COLUMNS, [name, sample, *row], strict=True)) for row in found]
            mean = np.mean([row[1] for row in found if row[0] != 24])
            print(f"{sample}, {name}: Dice {mean:.3f}", file=sys.stderr)
    if args.csv:
        with args.csv.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    print("\n".join(summary(rows, runs[0].table)))


if __name__ == "__main__":
    main()
