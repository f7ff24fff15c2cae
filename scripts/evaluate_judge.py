"""Spoil synthetic images step by step, segment them, and see if a judge tells how bad it gets.

    python scripts/evaluate_judge.py JUDGE --model RUN [--maps FILE ...] [--samples N]

JUDGE is a run of the task quality that judges segmentations, RUN what it was trained on, by default
heads-2mm. Images are made from label maps that neither saw, as `scripts/validate_runs.py` makes
them, then blurred and made noisy, from nothing to beyond use. Printed are true and predicted Dice
of the tissues per step, and Spearman's rank correlation over all images, per tissue and in all.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from evaluate_scans import table
from scipy import ndimage
from scipy.stats import spearmanr
from validate_runs import samples

from synthtf.data import Volume
from synthtf.data.tissues import tissue_table
from synthtf.evaluation import dice
from synthtf.inference import segment
from synthtf.inference.judging import judge, tissue_names
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

# Standard deviation of the blur in mm, and of the noise in an image of [0, 1].
STEPS = ((0, 0), (1, 0.05), (2, 0.1), (3, 0.2), (4, 0.35), (6, 0.6))


def spoilt(image: Volume, step: int) -> Volume:
    """Blur an image and add noise."""
    blur, noise = STEPS[step]
    data = ndimage.gaussian_filter(np.asarray(image.data, "float32"), blur)
    data += np.random.default_rng(step).normal(0, 1, data.shape).astype("float32") * noise
    return Volume(data, image.affine)


def compared(
    judging: Run, model: Run, maps: Sequence[Path], number: int
) -> Iterator[tuple[int, list[float], list[float]]]:
    """Yield step, true and predicted Dice of the tissues."""
    tissues = tissue_table(model.table)
    recipe = Recipe.preset("heads")
    for name, image, truth in samples(maps, model, recipe, number, seed=11):
        for step in range(len(STEPS)):
            found = segment(spoilt(image, step), model, flip=False, refine=False).labels
            pair = [np.zeros(truth.shape, int) for _ in range(2)]
            for label, tissue in tissues.mapping.items():
                for mapped, labels in zip(pair, (found.data, truth), strict=True):
                    mapped[labels == label] = tissue
            true = dice(*pair, list(tissues.output_labels[1:]))
            scores = judge(found, judging).scores
            print(name, step, file=sys.stderr)
            yield step, list(true.values()), list(scores.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("judge")
    parser.add_argument("--model", default="heads-2mm")
    data = Path(__file__).parents[2] / "shared" / "data" / "label_maps"
    held_out = [data / "head_19.nii.gz", data / "head_20.nii.gz"]
    parser.add_argument("--maps", type=Path, nargs="+", default=held_out)
    parser.add_argument("--samples", type=int, default=4)
    args = parser.parse_args(argv)
    judging, model = Run.load(args.judge), Run.load(args.model)
    rows = list(compared(judging, model, args.maps, args.samples))
    steps = np.array([step for step, _, _ in rows])
    true, told = (np.array([row[place] for row in rows]) for place in (1, 2))
    by_step = [
        [f"{blur} mm, {noise}", float(true[steps == n].mean()), float(told[steps == n].mean())]
        for n, (blur, noise) in enumerate(STEPS)
    ]
    print("\n".join(table("blur, noise|true|predicted", by_step)))
    names = tissue_names(judging)
    ranks = [[n, rank(true[:, i], told[:, i])] for i, n in enumerate(names)]
    ranks.append(["mean of the tissues", rank(true.mean(1), told.mean(1))])
    print("\n".join(["", *table("tissue|rank correlation", ranks)]))
    return 0


def rank(true: np.ndarray, told: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where the judge tells always the same."""
    return 0.0 if np.ptp(told) == 0 else float(spearmanr(true, told).statistic)


if __name__ == "__main__":
    sys.exit(main())
