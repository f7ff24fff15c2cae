"""Spoil real scans, and see if `synthtf segment` warns.

    python scripts/evaluate_warnings.py RUN [--data ../shared/data] [--scans NAME ...]

RUN is the folder of a run of the task segmentation. Scans are segmented as they are, and two of
them spoilt by noise, blur and motion, by a field of view that ends in the middle of the head, by
half a head of zeros, and by smooth noise in the shape of the head, which is no brain. A table of
what the warnings say is printed. Posteriors are not sharpened: the warnings do not depend on it.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from evaluate_quality import spoilt
from scipy import ndimage

from synthtf.data import Volume, read_volume
from synthtf.inference import segment
from synthtf.runs.run import Run

SCANS = ("a_T1_brain", "b_T1_head", "c_T1_head", "d_T1_brain", "d_T2_brain", "d_FLAIR_brain")
SPOILT = ("b_T1_head", "d_T2_brain")
# Shares of 0.2 of the range, of 3 mm, and of 6 mm and 6 degrees.
EFFECTS = (
    ("noise_std", (0.5, 2)),
    ("blur_mm", (1, 2)),
    ("motion_degrees", (1,)),
)


def versions(scan: Volume) -> Iterator[tuple[str, Volume]]:
    """Spoil a scan in all ways."""
    for effect, levels in EFFECTS:
        for level in levels:
            yield f"{effect} {level:g}", spoilt(scan, effect, level)
    data, middle = scan.data.astype("float32"), scan.data.shape[0] // 2
    half = data.copy()
    half[:middle] = 0
    yield "half is zero", Volume(half, scan.affine)
    yield "view ends in the middle", Volume(data[:middle], scan.affine)
    random = np.random.default_rng(1)
    texture = ndimage.gaussian_filter(random.standard_normal(data.shape), 3)
    outline = ndimage.gaussian_filter((data > np.percentile(data, 50)).astype("float32"), 4) > 0.5
    texture = (texture - texture.min()) * outline
    yield "no brain", Volume(texture.astype("float32"), scan.affine)


def told(scan: Volume, run: Run) -> str:
    """Say what the warnings of a segmentation say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = segment(scan, run, refine=False)
    return "; ".join(filter(None, (found.doubt, *found.cautions)))


def main(argv: Sequence[str] | None = None) -> int:
    """Segment and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--scans", nargs="+", default=SCANS)
    args = parser.parse_args(argv)
    run = Run.load(args.run)
    print("| scan | | warnings |", "|---|---|---|", sep="\n", flush=True)
    for name in args.scans:
        scan = read_volume(args.data / "scans" / f"{name}.nii.gz")
        print(f"| {name} | as it is | {told(scan, run)} |", flush=True)
        for how, version in versions(scan) if name in SPOILT else ():
            print(f"| {name} | {how} | {told(version, run)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
