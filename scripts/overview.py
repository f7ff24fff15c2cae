"""Draw what synthtf does, from a label map to scans: the first picture of the README.

python scripts/overview.py [--data ../shared/data] [--model heads-2mm] [-o models/overview.png]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from synthtf.startup import load_backend

load_backend()

import numpy as np  # noqa: E402
from nibabel import as_closest_canonical  # noqa: E402
from nibabel.nifti1 import Nifti1Image  # noqa: E402

from synthtf.data import LabelTable, Volume, conform_labels, read_volume  # noqa: E402
from synthtf.data.geometry import crop_or_pad  # noqa: E402
from synthtf.figures.drawing import PLANES, draw_slice, new_figure, save, windowed  # noqa: E402
from synthtf.inference import segment  # noqa: E402
from synthtf.synthesis import Recipe  # noqa: E402

SHAPE = (176, 208, 176)
KEYS = (2, 3, 5, 8, 13, 21, 34, 55)
THALAMUS = (10, 49)
SCANS = {
    "T1": "scans/c_T1_head.nii.gz",
    "T2": "scans/e_T2_head.nii.gz",
    "FLAIR": "scans/e_FLAIR_head.nii.gz",
    "T1, contrast agent": "scans/d_T1POST_brain.nii.gz",
    "PD": "templates/avg152_PD.nii.gz",
    "CT": "templates/ct_brain_1mm.nii.gz",
}
BRAIN_WINDOW = (0, 80)  # Hounsfield units
MARGIN_MM = 14.0


def label_map(data: Path) -> tuple[np.ndarray, LabelTable]:
    """A head of `SHAPE` at 1 mm about its brain, and its table."""
    table = LabelTable.read(data / "label_maps" / "labels.tsv")
    volume = conform_labels(read_volume(data / "label_maps" / "head_01.nii.gz", labels=True), 1.0)
    middle = np.argwhere(np.isin(volume.data, table.brain_labels)).mean(0)
    labels = crop_or_pad(volume, SHAPE, middle).data
    return labels, table.select(np.unique(labels).tolist())


def synthesize(labels: np.ndarray, table: LabelTable) -> list[np.ndarray]:
    """An image for each key."""
    model = Recipe.preset("heads").build(SHAPE, table)
    batches = ({"labels": labels[None, ..., None], "key": np.array([[0, n]])} for n in KEYS)
    return [model.predict_on_batch(batch)["image"][0, ..., 0] for batch in batches]


def canonical(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Data along the axes of RAS, and the voxel size there."""
    kind = np.int32 if volume.data.dtype.kind in "iu" else np.float32
    image = as_closest_canonical(Nifti1Image(volume.data.astype(kind), volume.affine))
    return np.asarray(image.dataobj), np.array(image.header.get_zooms()[:3], float)


def slice_of(labels: np.ndarray) -> int:
    """Axial slice through the thalamus, or the middle."""
    found = np.argwhere(np.isin(labels, THALAMUS))
    return round(found[:, 2].mean()) if len(found) else labels.shape[2] // 2


def segmented(scan: Volume, model: str, ct: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, labels and voxel size along the axes of RAS, cropped to the head."""
    labels, spacing = canonical(segment(scan, model, ct=ct).labels)
    image = canonical(scan)[0]
    # The lowest values of a scan may lie far below its background.
    image = np.clip(image, *BRAIN_WINDOW) if ct else np.maximum(image, np.percentile(image, 1))
    found = np.argwhere(labels)
    margin = np.ceil(MARGIN_MM / spacing).astype(int)
    first, last = np.maximum(found.min(0) - margin, 0), found.max(0) + margin + 1
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return windowed(image[box]), labels[box], spacing


def draw(data: Path, model: str, path: Path) -> None:
    """Make all panels and write the picture."""
    figure = new_figure(14, 4.4, "black")
    parts = figure.subfigures(1, 3, width_ratios=(1.7, 3.9, 3.1))
    titles = ("a label map", "→  a new image at each training step", "→  scans never seen")
    for part, title in zip(parts, titles, strict=True):
        part.set_facecolor("black")
        part.suptitle(title, color="white", fontsize=14)
    labels, table = label_map(data)
    index = slice_of(labels)
    draw_slice(parts[0].subplots(), (labels > 0).astype(float), labels, PLANES[0], index)
    panels = parts[1].subplots(2, 4)
    for panel, image in zip(panels.flat, synthesize(labels, table), strict=True):
        draw_slice(panel, windowed(image), None, PLANES[0], index)
    panels = parts[2].subplots(2, 3)
    for panel, (name, file) in zip(panels.flat, SCANS.items(), strict=True):
        image, found, spacing = segmented(read_volume(data / file), model, name == "CT")
        draw_slice(panel, image, found, PLANES[0], slice_of(found), spacing)
        panel.set_title(name, color="white", fontsize=9, pad=2)
    save(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder of scans/, label_maps/")
    parser.add_argument("--model", default="heads-2mm", help="run, or model of the package")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("models/overview.png"), metavar="PNG"
    )
    args = parser.parse_args(argv)
    draw(args.data, args.model, args.output)
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
