"""Measure what the method rests on: small trainings on phantoms, with several seeds.

    python scripts/evidence.py STUDY [STUDY ...] -o DIR [--seeds 3] [--steps 400]

STUDY is one of

    randomisation  renderings of one contrast, as they are, augmented, remapped or mixed with
                   synthetic images, against synthetic images alone; tested on other contrasts
    ablation       the recipe without one of its steps, or with coarse voxels; tested on heads that
                   are turned, unevenly lit, noisy, blurred or dark
    maps           1, 5 and 18 heads to make label maps from
    optimizers     Muon and Adam, step by step
    shapes         registration learned from 1, 5 and 18 heads, and from random shapes
    dimensions     time to accuracy of slices of 4 mm, and of whole heads of 3 and 2 mm

Each is a file of scripts/studies. A training takes a number of steps, never of minutes: about a
minute of one core on slices, some on whole heads. Each is a file of DIR/trainings, which studies
share: what is there is not trained again, and what was stopped goes on after its last test, so
that the same command goes on where it stopped. DIR gets STUDY.csv with every number, and
STUDY.png. Seconds are the median time of a step times the steps, without tests.
"""

import argparse
import importlib
from pathlib import Path

from studies.tables import final, markdown
from studies.trainings import COLUMNS, rows_of

from synthtf.data.tables import write_table

NAMES = ("randomisation", "ablation", "maps", "optimizers", "shapes", "dimensions")


def report(name, study, rows, folder):
    """Write the table and the figure of a study; print the table."""
    write_table(folder / f"{name}.csv", COLUMNS, rows)
    found = final(rows, study.AXIS)
    study.draw(found, rows, folder / f"{name}.png")
    first = [row for row in rows if row["step"] == "0"]
    if first:
        found["before"] = {row["contrast"]: [float(row["dice"])] for row in reversed(first)}
    print(f"\n{name}\n\n{markdown(found)}", flush=True)
    if hasattr(study, "tell"):
        print(f"\n{study.tell(rows)}", flush=True)


def main(arguments=None):
    """Train what is not there yet; write table and figure of a study after each training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=NAMES, metavar="STUDY", help=", ".join(NAMES))
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    parser.add_argument("--every", type=int, default=50, help="steps between tests")
    parser.add_argument("--tested", type=int, default=6, help="heads to test on")
    parser.add_argument("--features", type=int, default=8, help="of the first level")
    parser.add_argument("--report", action="store_true", help="train nothing, show what is there")
    args = parser.parse_args(arguments)
    if args.steps % args.every:
        parser.error(f"--steps must be a multiple of --every. Received: {args.steps}, {args.every}")
    for name in args.studies:
        study = importlib.import_module(f"studies.{name}")
        rows = []
        for training, options in study.TRAININGS.items():
            rows += rows_of(training, options, args)
            if rows and not args.report:
                report(name, study, rows, args.output)
        if args.report and rows:
            report(name, study, rows, args.output)


if __name__ == "__main__":
    main()
