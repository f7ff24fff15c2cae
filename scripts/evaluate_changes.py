"""Compare the changes that a trained network finds with known ones.

    python scripts/evaluate_changes.py RUN MAP... [--data ../shared/data] [--samples 4] [-o DIR]

RUN is the folder of a run of the task change, MAP are label maps that it was not trained on. Pairs
of scans are synthesised by the recipe of the run, in which one thing changes by a known amount, or
nothing; the two scans have one contrast, or each its own. With --data, the network is tried on real
scans, too: contrasts of one session, between which nothing changes, and a scan that is warped, so
that its ventricles grow or shrink by a known volume. The folder, RUN/changes by default, gets
report.md, whose table is printed as well, and changes.png, pairs with true and found changes.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from evaluate_scans import held_out, table

from synthtf import figures
from synthtf.data import Volume, read_volume
from synthtf.inference import find_change
from synthtf.layers import RandomAtrophy, Resample
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe, labels_to_visits

CASES = {
    "none": {},
    "ventricles x 0.85": {"atrophy": {"volume_change": 0.85}},
    "ventricles x 1.15": {"atrophy": {"volume_change": 1.15}},
    "ventricles x 1.3": {"atrophy": {"volume_change": 1.3}},
    "4 lesions of 10 mm": {"new_lesions": {"num_lesions": 4, "size": 10}},
}
"""Steps of the recipe `change` that happen between the visits; all others do not."""
REAL = ("d_T1_brain", "d_T2_brain", "d_FLAIR_brain", "d_T1POST_brain")
RATIOS = (0.8, 1.2, 1.4)
_VENTRICLES = (4, 5, 14, 15, 43, 44)
COLUMNS = "pair|contrast|region|true mL|found mL|error mL|found / true"


@dataclass(frozen=True)
class Found:
    """A true change and what was found, in mm³."""

    case: str
    contrast: str
    region: str
    true: float
    found: float


def changed(recipe: Recipe, between: Sequence[str], steps: dict[str, dict]) -> Recipe:
    """Let certain steps happen between the visits in every pair, and no others."""
    for name in between:
        recipe = recipe.change(name, probability=float(name in steps), **steps.get(name, {}))
    return recipe


def summary(found: Sequence[Found]) -> list[list]:
    """Rows of means over samples, for each case, contrast and region."""
    rows = []
    for key in dict.fromkeys((x.case, x.contrast, x.region) for x in found):
        same = [x for x in found if (x.case, x.contrast, x.region) == key]
        true, seen = (np.array([getattr(x, n) for x in same]) / 1000 for n in ("true", "found"))
        ratio = seen.sum() / true.sum() if abs(true.sum()) > 0.1 else float("nan")
        rows.append([*key, true.mean(), seen.mean(), np.abs(seen - true).mean(), ratio])
    return rows


def synthetic(run: Run, maps: Sequence[str], samples: int) -> tuple[list[Found], list]:
    """Try the network on synthetic pairs; gives what was found, and images of one of each case."""
    facts, ndim = run.metadata, len(run.shape)
    data = held_out(run, maps, seed=7)
    affine, voxel = np.diag([*run.spacing, 1.0]), float(np.prod(run.spacing))
    found, shown = [], []
    for case, steps in CASES.items():
        recipe = changed(run.recipe, facts["between"], steps)
        for contrast, share in (("same", 1.0), ("other", 0.0)):
            synthesis = labels_to_visits(
                run.shape,
                run.table,
                recipe,
                run.spacing,
                regions=facts["regions"],
                between=facts["between"],
                same_contrast=share,
            )
            for number in range(samples * len(maps)):
                # Compiling it would take longer than a few samples.
                sample = synthesis(data.sample(number)[0])
                sample = {name: np.asarray(x) for name, x in sample.items()}
                scans = [Volume(sample["image"][0, ..., k], affine, ndim=ndim) for k in (0, 1)]
                change = find_change(*scans, run)
                true = sample["change"][0]
                for index, (region, size) in enumerate(change.volumes.items()):
                    exact = float(true[..., index].sum()) * voxel
                    found.append(Found(case, contrast, region, exact, size))
                if number == 0:
                    seen = change.map.data.reshape(true.shape)
                    shown.append((f"{case}, {contrast}", scans, true, seen))
            for row in summary([x for x in found if (x.case, x.contrast) == (case, contrast)]):
                print(row, file=sys.stderr)
    return found, shown


def real(run: Run, folder: Path) -> list[Found]:
    """Try the network on real scans: without a change, and warped by a known one."""
    found = []
    first = read_volume(folder / f"{REAL[0]}.nii.gz")
    for name in REAL[1:]:
        change = find_change(first, read_volume(folder / f"{name}.nii.gz"), run)
        found += [
            Found(f"{REAL[0]} to {name}", "real", region, 0.0, size)
            for region, size in change.volumes.items()
        ]
    scan = read_volume(folder / "a_T1_brain.nii.gz")
    labels = read_volume(folder / "a_labels.nii.gz", labels=True)
    voxel = float(np.prod(scan.spacing))
    for ratio in RATIOS:
        layer = RandomAtrophy([_VENTRICLES], ratio, spacing=tuple(map(float, scan.spacing)))
        before = labels.data[None, ..., None].astype("int32")
        moved, field = layer(before)
        warped = Resample()(scan.data[None, ..., None].astype("float32"), field)
        counts = [np.isin(np.asarray(x), _VENTRICLES).sum() for x in (before, moved)]
        later = Volume(np.asarray(warped)[0, ..., 0], scan.affine, scan.header)
        change = find_change(scan, later, run)
        true = {"ventricle": float(counts[1] - counts[0]) * voxel}
        found += [
            Found(f"a_T1_brain, ventricles x {ratio}", "real", region, true.get(region, 0.0), size)
            for region, size in change.volumes.items()
        ]
    return found


def draw(shown: Sequence, path: Path) -> None:
    """Draw pairs with true and found changes, in the slice where most is true."""
    images, titles = [], []
    for title, scans, true, seen in shown:
        middle = int(np.abs(true).sum((0, 1, 3)).argmax()) or true.shape[2] // 2
        panels = {"first": scans[0].data, "second": scans[1].data}
        for index in range(true.shape[-1]):
            panels[f"true {index}"] = (true[..., index] + 1) / 2
            panels[f"found {index}"] = np.clip((seen[..., index] + 1) / 2, 0, 1)
        images += [panel[:, :, middle] for panel in panels.values()]
        titles += [f"{title}\n{name}" for name in panels]
    figures.contact_sheet(images, path, titles, columns=len(images) // len(shown))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("maps", nargs="+")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args(argv)
    run = Run.load(args.run)
    output = args.output or Path(args.run) / "changes"
    output.mkdir(parents=True, exist_ok=True)
    found, shown = synthetic(run, args.maps, args.samples)
    draw(shown, output / "changes.png")
    found += real(run, args.data / "scans") if args.data else []
    text = "\n".join(table(COLUMNS, summary(found)))
    (output / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
