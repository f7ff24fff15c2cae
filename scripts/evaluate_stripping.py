"""Strip the development scans with a trained network and measure the masks.

    python scripts/evaluate_stripping.py RUN [--data ../shared/data] [-o DIR]

RUN is the folder that `synthtf train stripping` writes. The output folder, RUN/scans by default,
gets report.md, the table that is printed as well, and masks.png, three slices of each scan. Scans
that are absent are skipped and named. Masks are those of `synthtf strip` with other borders.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from evaluate_scans import CASES, Case, draw_all, read_mask, table, thumbnails

from synthtf.data import read_volume
from synthtf.evaluation import dice
from synthtf.inference import Stripping, strip
from synthtf.inference.defaults import BORDER
from synthtf.runs.run import Run

BORDERS = (0.0, 1.0, BORDER, 2.0)


@dataclass(frozen=True)
class Result:
    """What was measured on one scan."""

    name: str
    seconds: float
    overlap: dict[float, float]  # border in mm to Dice; empty without a reference

    @property
    def summary(self) -> str:
        """Name and Dice at the default border, as a title."""
        known = self.overlap.get(BORDER)
        return self.name if known is None else f"{self.name}: {known:.3f}"


def mask_dice(mask: np.ndarray, reference: np.ndarray) -> float:
    """Dice of two masks."""
    return dice(mask.astype(np.int32), reference.astype(np.int32), (1,))[1]


def evaluate_case(case: Case, data: Path, run: Run) -> tuple[Result, Stripping]:
    """Strip one scan and compare its mask, for each border."""
    scan = read_volume(data / case.image)
    reference = read_mask(data / case.mask, scan) if case.mask else None
    start = time.perf_counter()
    found = strip(scan, run, ct=case.ct)
    seconds = time.perf_counter() - start
    overlap = {}
    for border in BORDERS if reference is not None else ():
        exact = found.mask.data if border == BORDER else found.distance.data < border
        overlap[border] = mask_dice(exact, reference)
    return Result(case.name, seconds, overlap), found


def report(run: Run, results: Sequence[Result]) -> str:
    """Lay out the table as Markdown."""
    rows = [[r.name, *(r.overlap.get(b) for b in BORDERS), f"{r.seconds:.1f}"] for r in results]
    means = [np.mean([r.overlap[b] for r in results if r.overlap]) for b in BORDERS]
    titles = "|".join(["Dice of the mask", *(f"{border:g} mm" for border in BORDERS), "s"])
    lines = [
        f"# {run.folder.resolve().name} on the development scans",
        "",
        f"{run.metadata.get('steps_done', '?')} steps, {run.task_model.count_params():,} weights.",
        "",
        *table(titles, [*rows, ["mean", *map(float, means), ""]]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder of scans/, templates/")
    parser.add_argument("-o", "--output", type=Path, help="folder; RUN/scans by default")
    args = parser.parse_args(arguments)
    output = args.output or args.run / "scans"
    output.mkdir(parents=True, exist_ok=True)
    run = Run.load(args.run)
    results, drawn = [], []
    for case in CASES:
        if not (args.data / case.image).is_file():
            print(f"skipped, absent: {args.data / case.image}", file=sys.stderr)
            continue
        result, found = evaluate_case(case, args.data, run)
        print(f"{result.summary}, {result.seconds:.1f} s", file=sys.stderr)
        scan = read_volume(args.data / case.image)
        labels = replace(found.mask, data=found.mask.data.astype(np.int32))
        drawn.append((result.summary, *thumbnails(scan, labels)))
        results.append(result)
    if not results:
        parser.error(f"none of the scans is in {args.data}; name their folder with --data")
    text = report(run, results)
    (output / "report.md").write_text(text, encoding="utf-8")
    draw_all(output / "masks.png", drawn)
    print(text)


if __name__ == "__main__":
    main()
