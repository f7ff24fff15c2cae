"""Remove the bias field of scans by a trained network, and by N4.

    python scripts/evaluate_bias.py RUN MAP... [--data ../shared/data] [--samples 4] [-o DIR]

RUN is the folder of a run of the task regression that finds a bias field, MAP are label maps that
it was not trained on. The tables give

    synthetic   correlation of the logarithm of the field with the true one, within the brain, and
                the standard deviation of what is left of it; images are drawn by the run's recipe
    real        coefficient of variation within the white matter of T1 scans with labels, all of it
                and without its outer voxels, and mean Dice of the labels that heads-2mm finds

for the image as it is, for N4 (SimpleITK, if it is installed: pip install SimpleITK) and for the
network. The folder, RUN/bias by default, gets report.md and bias.png, scans before and after.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from evaluate_scans import LABELS, held_out, table
from scipy import ndimage

from synthtf import figures
from synthtf.data import Volume, read_volume
from synthtf.data.geometry import reorient
from synthtf.evaluation import dice
from synthtf.inference import correct, segment
from synthtf.runs.run import Run

SCANS = {"a": "a_T1_brain", "b": "b_T1_head", "c": "c_T1_head"}
WHITE_MATTER = (2, 41)
_SHRINK = 2  # N4 works on voxels of twice the size
_SEGMENTATION = Path(__file__).resolve().parents[1] / "models" / "heads-2mm"


def by_n4(scan: Volume) -> np.ndarray | None:
    """Give the field that N4 finds within Otsu's mask, or None without SimpleITK."""
    try:
        import SimpleITK
    except ImportError:
        return None
    image = SimpleITK.GetImageFromArray(scan.data.astype("float32").T)
    image.SetSpacing([float(mm) for mm in scan.spacing])
    mask = SimpleITK.OtsuThreshold(image, 0, 1, 200)
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50] * 4)
    n4.Execute(*(SimpleITK.Shrink(x, [_SHRINK] * 3) for x in (image, mask)))
    log_field = SimpleITK.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T
    return np.exp(log_field)


def variation(data: np.ndarray, inside: np.ndarray) -> float:
    """Coefficient of variation of what is inside."""
    return float(data[inside].std() / data[inside].mean())


def methods(scan: Volume, run: Run) -> Mapping[str, np.ndarray]:
    """Fields by method, those that can be found."""
    found = {"as it is": np.ones(scan.data.shape, np.float32), "N4": by_n4(scan)}
    found["network"] = correct(scan, run).field.data
    return {name: field for name, field in found.items() if field is not None}


def real(run: Run, folder: Path) -> tuple[list[list], list[np.ndarray], list[str]]:
    """Correct real scans; gives rows, and pictures with their titles."""
    segmentation, rows, pictures, titles = Run.load(_SEGMENTATION), [], [], []
    for name, file in SCANS.items():
        path = folder / "scans" / f"{file}.nii.gz"
        if not path.is_file():
            print(f"skipped, absent: {path}", file=sys.stderr)
            continue
        scan = read_volume(path)
        labels = read_volume(path.with_name(f"{name}_labels.nii.gz"), labels=True).data
        white = np.isin(labels, WHITE_MATTER)
        inner = ndimage.binary_erosion(white, iterations=2)
        for method, field in methods(scan, run).items():
            data = (scan.data / field).astype(np.float32)
            found = segment(Volume(data, scan.affine, scan.header), segmentation).labels.data
            overlap = np.nanmean(list(dice(found, labels, LABELS).values()))
            rows.append([name, method, variation(data, white), variation(data, inner), overlap])
            print(*rows[-1], file=sys.stderr)
            shown = reorient(replace(scan, data=data, header=None)).data
            pictures.append(np.clip(shown / np.percentile(shown, 99.5), 0, 1))
            titles.append(f"{name}, {method}")
    return rows, pictures, titles


def synthetic(run: Run, maps: Sequence[str], samples: int) -> list[list]:
    """Compare fields of synthetic images with the true ones; gives a row per method."""
    data = held_out(run, maps, seed=7)
    synthesis = run.recipe.build(run.shape, run.table, run.spacing)
    target = next(name for name in run.recipe.targets if hasattr(run.recipe[name], "of"))
    affine, scores = np.diag([*run.spacing, 1.0]), {}
    for number in range(samples * len(maps)):
        sample = {name: np.asarray(x) for name, x in synthesis(data.sample(number)[0]).items()}
        brain = np.isin(sample["labels"][0, ..., 0], run.table.brain_outputs)
        true = sample[target][0, ..., 0][brain]
        for method, field in methods(Volume(sample["image"][0, ..., 0], affine), run).items():
            found = np.log(field)[brain]
            same = np.corrcoef(true, found)[0, 1] if found.std() else np.nan
            scores.setdefault(method, []).append((same, (true - found).std()))
    return [[method, *np.mean(x, axis=0)] for method, x in scores.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("maps", nargs="*", help="label maps, not trained on")
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder with scans/")
    parser.add_argument("--samples", type=int, default=4, help="per label map")
    parser.add_argument("-o", "--output", type=Path, help="folder; RUN/bias by default")
    args = parser.parse_args(arguments)
    output, run = args.output or args.run / "bias", Run.load(args.run)
    output.mkdir(parents=True, exist_ok=True)
    lines = []
    if args.maps:
        rows = synthetic(run, args.maps, args.samples)
        lines += [*table("synthetic|correlation|left of the logarithm", rows), ""]
    rows, pictures, titles = real(run, args.data)
    if rows:
        lines += table("scan|method|variation in white matter|inner voxels|Dice", rows)
        figures.contact_sheet(pictures, output / "bias.png", titles, columns=1)
    text = "\n".join(lines) + "\n"
    (output / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
