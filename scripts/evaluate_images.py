"""Give scans thick slices, and bring them back to what they were by a trained network.

    python scripts/evaluate_images.py RUN [--data ../shared/data] [--slices 4] [-o DIR]

RUN is the folder of a run of the task regression that returns the image that it is given at higher
resolution, as by the recipe super-resolution. Scans of 1 mm are averaged over --slices
voxels along each axis in turn. The tables compare what the network, and interpolation by cubic
splines, make of them with the scan itself, after the straight line between both intensities that
fits best: peak signal-to-noise ratio within the head, and correlation of the gradient's length,
which tells sharp from blurred. The folder, RUN/images by default, gets report.md and images.png.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from evaluate_scans import table
from scipy import ndimage

from synthtf import figures
from synthtf.data import Volume, read_volume
from synthtf.data.transforms import Affine
from synthtf.inference import apply_transform, super_resolve
from synthtf.runs.run import Run

SCANS = ("scans/a_T1_brain", "templates/mni_T1_1mm", "templates/mni_T2_brain_1mm")
_PEAK = 99.9  # percentile of intensities


def thick(scan: Volume, axis: int, slices: int) -> Volume:
    """Average a scan over so many slices of an axis."""
    size = scan.data.shape[axis] // slices * slices
    data = np.moveaxis(scan.data, axis, 0)[:size].astype(np.float32)
    data = data.reshape(-1, slices, *data.shape[1:]).mean(axis=1)
    scale = np.eye(4)
    scale[axis, axis], scale[axis, 3] = slices, (slices - 1) / 2
    return Volume(np.moveaxis(data, 0, axis), scan.affine @ scale)


def splines(volume: Volume, like: Volume) -> np.ndarray:
    """Interpolate a volume on the grid of another by cubic splines."""
    matrix = np.linalg.inv(volume.affine) @ like.affine
    return ndimage.affine_transform(
        volume.data, matrix[:3, :3], matrix[:3, 3], like.data.shape, order=3, mode="nearest"
    )


def fitted(found: np.ndarray, true: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Bring intensities to those of the truth by a straight line."""
    return np.polyval(np.polyfit(found[inside], true[inside], 1), found)


def scores(found: np.ndarray, true: np.ndarray, inside: np.ndarray) -> list[float]:
    """Peak signal-to-noise ratio in dB, and correlation of the lengths of the gradients."""
    error = np.mean((found - true)[inside] ** 2)
    lengths = [np.linalg.norm(np.gradient(x), axis=0)[inside] for x in (found, true)]
    peak = np.percentile(true[inside], _PEAK)
    return [10 * np.log10(peak**2 / error), np.corrcoef(*lengths)[0, 1]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder with scans/")
    parser.add_argument("--slices", type=int, default=4, help="mm, thickness of the slices")
    parser.add_argument("-o", "--output", type=Path, help="folder; RUN/images by default")
    args = parser.parse_args(arguments)
    output, run = args.output or args.run / "images", Run.load(args.run)
    output.mkdir(parents=True, exist_ok=True)
    rows, pictures, titles = [], [], []
    for name in SCANS:
        path = args.data / f"{name}.nii.gz"
        if not path.is_file():
            print(f"skipped, absent: {path}", file=sys.stderr)
            continue
        scan = read_volume(path)
        true = scan.data.astype(np.float32)
        inside = true > 0.1 * np.percentile(true, 99)
        for axis in range(3):
            poor = thick(scan, axis, args.slices)
            made = apply_transform(super_resolve(poor, run), Affine(np.eye(4)), like=scan)
            for method, found in (("splines", splines(poor, scan)), ("network", made.data)):
                found = fitted(found, true, inside)
                rows.append([path.name.removesuffix(".nii.gz"), axis, method])
                rows[-1] += scores(found, true, inside)
                print(*rows[-1], file=sys.stderr)
                pictures.append(np.clip(found / np.percentile(true, _PEAK), 0, 1))
                titles.append(f"{rows[-1][0]}, axis {axis}, {method}")
    if not rows:
        parser.error(f"none of the scans is in {args.data}; name their folder with --data")
    figures.contact_sheet(pictures, output / "images.png", titles, columns=2)
    text = "\n".join(table("scan|axis of the slices|method|PSNR (dB)|gradient", rows)) + "\n"
    (output / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
