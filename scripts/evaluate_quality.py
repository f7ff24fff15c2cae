"""Spoil real scans step by step, and see if a network tells it.

    python scripts/evaluate_quality.py RUN [--data ../shared/data] [-o DIR]

RUN is the folder of a run of the task quality that judges images. Each scan is spoilt by one layer
of the package at a time, from nothing to the strongest that the recipe draws, on its own
grid. The tables give Spearman's rank correlation of the strength with the number that the network
tells, per scan and effect, and what it tells of the scan as it is. The folder, RUN/quality by
default, gets report.md, whose tables are printed as well, and quality.png, curves.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from evaluate_scans import table
from scipy.stats import spearmanr

from synthtf.data import Volume, read_volume
from synthtf.inference import judge_image
from synthtf.layers import RandomBlur, RandomGhosting, RandomMotion, RandomNoise, RandomSpikes
from synthtf.runs.run import Run

SCANS = ("a_T1_brain", "b_T1_head", "c_T1_head", "d_T2_brain", "d_FLAIR_brain")
LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def spoil(effect: str, level: float, spacing: Sequence[float]) -> object:
    """Give the layer that spoils an image of [0, 1] by a share of the strongest effect.

    Draws are the same for all levels, but for how strong they are.

    Args:
        effect: "noise_std", "blur_mm", "motion_degrees", "ghost_intensity" or "spike_intensity".
        level: share of the strongest.
        spacing: mm per voxel.
    """
    moved = (-6, 6)
    layers = {
        "noise_std": lambda: RandomNoise(0.2 * level, name="noise"),
        "blur_mm": lambda: RandomBlur(3 * level, spacing=spacing, name="blur"),
        "motion_degrees": lambda: RandomMotion(
            moved, moved, 4, severity=level, spacing=spacing, name="motion"
        ),
        "ghost_intensity": lambda: RandomGhosting(intensity=0.8 * level, name="ghosting"),
        "spike_intensity": lambda: RandomSpikes(2, 0.5 * level, name="spikes"),
    }
    return layers[effect]()


def spoilt(scan: Volume, effect: str, level: float) -> Volume:
    """Spoil a scan."""
    data = scan.data.astype("float32")
    low, high = np.percentile(data, (0.5, 99.5))
    image = ((data - low) / (high - low))[None, ..., None]
    spacing = tuple(float(mm) for mm in scan.spacing)
    key = np.array([[5, 1]], "int32")
    made = np.asarray(spoil(effect, level, spacing)(image, key=key))[0, ..., 0]
    return Volume(made * (high - low) + low, scan.affine, scan.header)


def judged(run: Run, scans: Mapping[str, Volume], effects: Sequence[str]) -> dict:
    """Give for each scan and effect the numbers that the network tells, a row per level."""
    found = {}
    for name, scan in scans.items():
        for effect in effects:
            rows = [judge_image(spoilt(scan, effect, level), run) for level in LEVELS]
            found[name, effect] = rows
            print(name, effect, [round(row[effect], 3) for row in rows], file=sys.stderr)
    return found


def rank_correlation(values: Sequence[float]) -> float:
    """Spearman's rank correlation with the levels; 0 where the network tells always the same."""
    return 0.0 if np.ptp(values) == 0 else float(spearmanr(LEVELS, values).statistic)


def draw(found: Mapping, path: Path) -> None:
    """Draw what the network tells over the level, a panel per effect and a curve per scan."""
    from matplotlib.figure import Figure

    effects = list(dict.fromkeys(effect for _, effect in found))
    figure = Figure(figsize=(3 * len(effects), 3), layout="constrained")
    for axes, effect in zip(
        figure.subplots(1, len(effects), squeeze=False)[0], effects, strict=True
    ):
        for (name, other), rows in found.items():
            if other == effect:
                axes.plot(LEVELS, [row[effect] for row in rows], marker=".", label=name)
        axes.set(title=effect, xlabel="share of the strongest")
    axes.legend(fontsize="x-small")
    figure.savefig(path, dpi=80)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args(argv)
    run = Run.load(args.run)
    output = args.output or Path(args.run) / "quality"
    output.mkdir(parents=True, exist_ok=True)
    scans = {name: read_volume(args.data / "scans" / f"{name}.nii.gz") for name in SCANS}
    effects = [n for n in run.metadata["numbers"] if n != "bias_std"]
    found = judged(run, scans, effects)
    draw(found, output / "quality.png")
    ranks = [
        [name, *(rank_correlation([row[e] for row in found[name, e]]) for e in effects)]
        for name in scans
    ]
    ranks.append(["mean", *np.mean([row[1:] for row in ranks], axis=0).tolist()])
    clean = [[name, *found[name, effects[0]][0].values()] for name in scans]
    lines = table("|".join(["scan", *effects]), ranks)
    lines += ["", *table("|".join(["as it is", *run.metadata["numbers"]]), clean)]
    text = "\n".join(lines)
    (output / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
