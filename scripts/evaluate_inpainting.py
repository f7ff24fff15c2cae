"""Fill lesions of real scans, and compare the filling with the tissue around it.

    python scripts/evaluate_inpainting.py RUN [--data ../shared/data] [-o DIR]

RUN is the folder of a run that fills holes. For each scan, the table gives the mean intensity in
the lesions before and after, and that of the tissue within 2 to 5 mm of them, all over the standard
deviation of that tissue, from its mean: 0 is as bright as the surroundings. Then masks are moved to
the mirror place, where there are hardly lesions, and what was there is compared with what the
network puts there, in the range of the scan. The folder, RUN/inpainting by default, gets report.md,
whose tables are printed as well, and inpainting.png.
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
from synthtf.data.geometry import reorient
from synthtf.inference import inpaint
from synthtf.runs.run import Run

CASES = {
    "d_FLAIR": ("scans/d_FLAIR_brain", "scans/d_lesion"),
    "d_T1": ("scans/d_T1_brain", "scans/d_lesion"),
    "g18_FLAIR": ("lesions/g18_FLAIR_brain", "lesions/g18_lesion"),
    "g18_T1": ("lesions/g18_T1_brain", "lesions/g18_lesion"),
}
_NEAR, _FAR = 2.0, 5.0  # mm from the lesions to the tissue around them
_SIDE = 60  # voxels of a picture


def around(mask: np.ndarray, brain: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Give the tissue near a mask: brain that is no neighbour of it."""
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing)
    return brain & (distance >= _NEAR) & (distance <= _FAR)


def deviations(image: np.ndarray, mask: np.ndarray, ring: np.ndarray) -> float:
    """Mean in a mask, as standard deviations of the ring from its median."""
    return float((image[mask].mean() - np.median(image[ring])) / image[ring].std())


def measure(run: Run, scan: Volume, lesions: np.ndarray) -> tuple[list[float], Volume]:
    """Fill the lesions, and their mirror place; gives the cells of a row, and the filled scan."""
    mask = Volume(lesions.astype("uint8"), scan.affine)
    filled = inpaint(scan, mask, run)
    brain = scan.data > np.percentile(scan.data, 5) if scan.data.min() < 0 else scan.data > 0
    ring = around(lesions, brain, scan.spacing)
    before, after = (deviations(x.data, lesions, ring) for x in (scan, filled))
    mirror = lesions[::-1] & brain & ~ndimage.binary_dilation(lesions, iterations=3)
    healthy = inpaint(scan, Volume(mirror.astype("uint8"), scan.affine), run)
    low, high = np.percentile(scan.data[brain], (0.5, 99.5))
    ring = around(mirror, brain, scan.spacing)
    error = np.abs(healthy.data - scan.data)[mirror].mean() / (high - low)
    plain = np.abs(np.median(scan.data[ring]) - scan.data)[mirror].mean() / (high - low)
    return [before, after, float(error), float(plain)], filled


def crop(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cut out the slice of an image in which a mask is largest."""
    z = int(mask.sum((0, 1)).argmax())
    centre = np.argwhere(mask[:, :, z]).mean(0).astype(int)
    start = [
        int(np.clip(c - _SIDE // 2, 0, n - _SIDE))
        for c, n in zip(centre, image.shape, strict=False)
    ]
    return image[start[0] : start[0] + _SIDE, start[1] : start[1] + _SIDE, z]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args(argv)
    run = Run.load(args.run)
    output = args.output or Path(args.run) / "inpainting"
    output.mkdir(parents=True, exist_ok=True)
    rows, images, titles = [], [], []
    for name, (scan, lesions) in CASES.items():
        scan = reorient(read_volume(args.data / f"{scan}.nii.gz"))
        lesions = reorient(read_volume(args.data / f"{lesions}.nii.gz", labels=True)).data > 0
        cells, filled = measure(run, scan, lesions)
        rows.append([name, *cells])
        low, high = np.percentile(scan.data, (1, 99.8))
        for title, image in (("scan", scan.data), ("filled", filled.data)):
            shown = np.clip((image - low) / (high - low), 0, 1)
            images.append(crop(shown, lesions))
            titles.append(f"{name}\n{title}")
        images.append(crop(lesions.astype("float32"), lesions))
        titles.append("lesions")
        print(rows[-1], file=sys.stderr)
    figures.contact_sheet(images, output / "inpainting.png", titles, columns=6)
    titles = "scan|lesions, before|after|error at the mirror place|error of the ring's median"
    text = "\n".join(table(titles, rows))
    (output / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
