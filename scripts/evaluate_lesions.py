"""Find the lesions of the development scans with a trained network, and by a threshold.

    python scripts/evaluate_lesions.py RUN [--data ../shared/data] [--maps FILE ...] [-o DIR]

RUN is the folder of a segmentation that knows lesions. The output folder, RUN/lesions by default,
gets report.md, the tables that are printed as well; lesions.png, three slices of each scan, where
lesions that were found, missed and made up have three colours; and with --maps synthetic.png. In
the tables,

    network             the lesions of the segmentation
    threshold, oracle   FLAIR above the threshold that is the best one for this very scan
    threshold, global   FLAIR above the one z-score that is the best one for all the scans

Both are given the brain mask and the truth; the network has neither. A lesion is a
piece that no face, edge or corner of a voxel joins; it is found if one of its voxels is. With
--maps the network is tried on synthetic images of label maps, by the recipe of the run.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from evaluate_scans import held_out, table
from scipy import ndimage

from synthtf import figures
from synthtf.data import Volume, read_volume
from synthtf.data.geometry import crop_or_pad, reorient
from synthtf.inference import segment
from synthtf.inference.lesions import check_lesions
from synthtf.runs.run import Run

# FLAIR, its lesions and its brain mask.
CASES = {
    "d": ("scans/d_FLAIR_brain", "scans/d_lesion", "scans/d_brainmask"),
    "g18": ("lesions/g18_FLAIR_brain", "lesions/g18_lesion", "lesions/g18_brainmask"),
    "g39": ("lesions/g39_FLAIR_brain", "lesions/g39_lesion", "lesions/g39_brainmask"),
}
Z_SCORES = np.arange(0, 8, 0.05)
_JOINED = np.ones((3, 3, 3))
_FOUND, _MISSED, _FALSE = 1, 2, 3
_SIDE = 160  # voxels of a picture
_SAMPLES = 4  # per label map


@dataclass(frozen=True)
class Score:
    """How lesions that were found compare with the true ones."""

    dice: float
    lesions: int
    found: int
    false: int
    millilitres: float
    true_millilitres: float

    @classmethod
    def of(cls, found: np.ndarray, truth: np.ndarray, voxel: float) -> "Score":
        """Compare two masks.

        Args:
            found: `(x, y, z)`, boolean.
            truth: the same.
            voxel: volume of a voxel in mm³.
        """
        both, total = np.count_nonzero(found & truth), found.sum() + truth.sum()
        pieces, num = ndimage.label(truth, _JOINED)
        others, num_others = ndimage.label(found, _JOINED)
        hit, true = np.unique(pieces[found]), np.unique(others[truth])
        return cls(
            2 * both / total if total else float("nan"),
            num,
            np.count_nonzero(hit),
            num_others - np.count_nonzero(true),
            float(found.sum() * voxel / 1000),
            float(truth.sum() * voxel / 1000),
        )

    @property
    def cells(self) -> list:
        """Cells of a row."""
        known = f"{self.found} of {self.lesions}"
        return [self.dice, known, self.false, self.millilitres, self.true_millilitres]


def z_scores(scan: Volume, brain: np.ndarray) -> np.ndarray:
    """Intensities from their mean within the brain, over their standard deviation; 0 outside."""
    inside = scan.data[brain]
    return np.where(brain, (scan.data - inside.mean()) / inside.std(), 0)


def dice_of_thresholds(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice of what is above each of Z_SCORES."""
    edges = np.append(Z_SCORES, np.inf)
    above, both = (np.histogram(x, edges)[0][::-1].cumsum()[::-1] for x in (scores, scores[truth]))
    return 2 * both / np.maximum(above + truth.sum(), 1)


def evaluate(scans: Mapping[str, tuple[Volume, np.ndarray, np.ndarray]], run: Run) -> tuple:
    """Score network and thresholds.

    Args:
        scans: name to FLAIR, lesions and brain.
        run: of a network that knows lesions.

    Returns:
        Rows of the table, and name to the lesions that the network found.
    """
    values, rows, found = check_lesions(run), [], {}
    scores = {name: z_scores(scan, brain) for name, (scan, _, brain) in scans.items()}
    overlap = {name: dice_of_thresholds(scores[name], x[1]) for name, x in scans.items()}
    common = Z_SCORES[np.mean(list(overlap.values()), axis=0).argmax()]
    for name, (scan, truth, _) in scans.items():
        found[name] = np.isin(segment(scan, run).labels.data, values)
        best = Z_SCORES[overlap[name].argmax()]
        methods = {
            "network": found[name],
            f"threshold, oracle, z {best:.2f}": scores[name] > best,
            f"threshold, global, z {common:.2f}": scores[name] > common,
        }
        voxel = float(np.prod(scan.spacing))
        for method, mask in methods.items():
            score = Score.of(mask, truth, voxel)
            rows.append([name, method, *score.cells])
            print(name, method, score, file=sys.stderr)
    return rows, found


def synthetic(run: Run, maps: Sequence[Path]) -> tuple[list, list]:
    """Score the network on synthetic images; gives rows, and images, truths and results."""
    values = check_lesions(run)
    data = held_out(run, maps, seed=1)
    synthesis = run.recipe.build(run.shape, run.table, run.spacing)
    rows, drawn, voxel = [], [], float(np.prod(run.spacing))
    for number in range(_SAMPLES * len(maps)):
        sample = synthesis.predict_on_batch(data.sample(number)[0])
        posteriors = run.task_model.predict_on_batch(sample["image"])
        labels = np.array(run.output_labels)[posteriors[0].argmax(axis=-1)]
        truth = np.isin(sample["labels"][0, ..., 0], values)
        found = np.isin(labels, values)
        rows.append([f"synthetic {number + 1}", *Score.of(found, truth, voxel).cells])
        drawn.append((np.asarray(sample["image"][0, ..., 0]), truth, found))
    return rows, drawn


def colours(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Label what was found, missed and made up."""
    cases = [found & truth, truth, found]
    return np.select(cases, [_FOUND, _MISSED, _FALSE], 0).astype(np.int32)


def picture(scan: Volume, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut image and labels out about the largest lesion."""
    image, marks = (reorient(replace(scan, data=x, header=None)) for x in (scan.data, labels))
    pieces, num = ndimage.label(np.isin(marks.data, (_FOUND, _MISSED)), _JOINED)
    sizes = np.bincount(pieces.ravel())[1:]
    voxels = np.argwhere(pieces == 1 + sizes.argmax()) if num else np.argwhere(pieces == 0)
    centre = voxels[np.square(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
    high = np.percentile(image.data, 99.9)
    image, marks = (crop_or_pad(x, _SIDE, centre).data for x in (image, marks))
    return np.clip(image / high, 0, 1), marks


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder of scans/ and lesions/")
    parser.add_argument(
        "--maps", type=Path, nargs="*", default=[], help="label maps, not trained on"
    )
    parser.add_argument("-o", "--output", type=Path, help="folder; RUN/lesions by default")
    args = parser.parse_args(arguments)
    output = args.output or args.run / "lesions"
    run, scans = Run.load(args.run), {}
    for name, files in CASES.items():
        paths = [args.data / f"{file}.nii.gz" for file in files]
        absent = [path for path in paths if not path.is_file()]
        if absent:
            print(f"skipped, absent: {absent[0]}", file=sys.stderr)
            continue
        scan, truth, brain = map(read_volume, paths)
        scans[name] = (scan, truth.data > 0, brain.data > 0)
    if not scans and not args.maps:
        parser.error(f"none of the scans is in {args.data}; name their folder with --data")
    output.mkdir(parents=True, exist_ok=True)
    rest = "Dice|lesions found|false|mL|true mL"
    steps = f"{run.metadata.get('steps_done', '?')} steps."
    lines = [f"# Lesions: {run.folder.resolve().name}", "", steps]
    if scans:
        rows, found = evaluate(scans, run)
        lines += ["", *table(f"scan|method|{rest}", rows)]
        images = [picture(scans[n][0], colours(found[n], scans[n][1])) for n in scans]
        pictures, marks = zip(*images, strict=True)
        figures.contact_sheet(pictures, output / "lesions.png", list(scans), marks, columns=1)
    if args.maps:
        rows, drawn = synthetic(run, args.maps)
        lines += ["", *table(f"sample|{rest}", rows)]
        pictures, truths, found = zip(*drawn, strict=True)
        marks = [colours(f, t) for f, t in zip(found, truths, strict=True)]
        figures.contact_sheet(pictures, output / "synthetic.png", labels=marks)
    text = "\n".join(lines) + "\n"
    (output / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
