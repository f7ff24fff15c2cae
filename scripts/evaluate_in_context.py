"""Segment structures that a network never saw, by the example of a few images.

    python scripts/evaluate_in_context.py RUN [RUN ...] [--data ../shared/data] [--pairs 8]

Each RUN is a folder that `synthtf train in-context` writes. The tasks are

    fetal       slices of sb28_T2, those of sb23_T2 and sb34_T2 as the context
    brain-T1    slices of c_T1_head, those of b_T1_head as the context
    nuclei      tiles of nuclei2d.png, others as the context
    cord        slices of t2 of the spine, a few of them as the context
    heads       axial slices of the label maps head_19 and head_20 in random contrasts, those of
                head_01 to head_08 in other contrasts as the context
    heads-same  the same, all of one contrast

and the mean Dice over their images is printed for each structure and run. Tasks without data are
skipped and named.
"""

import argparse
import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from synthtf.data import read_volume
from synthtf.data.geometry import reorient
from synthtf.evaluation import dice
from synthtf.inference import segment_in_context
from synthtf.layers import RandomBiasField, RandomBlur, RandomIntensity, RandomNoise
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

Task = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], list[np.ndarray]]

HEADS = {
    "brain": (*range(2, 5), *range(7, 19), *range(26, 32), *range(41, 64)),
    "white matter": (2, 41),
    "cortex": (3, 42),
    "ventricles": (4, 43),
    "thalamus": (10, 49),
    "putamen": (12, 51),
}
FETAL = {"white matter": (1,), "CSF outside": (4,), "cortex": (5,), "deep grey": (6,)}
CONTRAST = [RandomIntensity(std=(0, 0.05)), RandomBiasField(), RandomBlur(1.0), RandomNoise()]
HEIGHTS = (0.55, 0.6, 0.65, 0.7)  # of slices through the brain, from below


def heads(data: Path, pairs: int, same: bool) -> Iterator[tuple[str, Task]]:
    """Slices of label maps, rendered in random contrasts."""
    numbers = [19, 20, *range(1, pairs + 1)]
    maps = [_brain(data / f"label_maps/head_{number:02d}.nii.gz") for number in numbers]
    values = tuple(sorted({0, *(int(v) for x in maps for v in np.unique(x))}))
    for index, height in enumerate(HEIGHTS):
        slices = [x[..., int(height * x.shape[2])] for x in maps]
        keys = [index if same else 100 * index + number for number in range(len(slices))]
        images = [_render(x, values, key) for x, key in zip(slices, keys, strict=True)]
        for name, labels in HEADS.items():
            masks = [np.isin(x, labels).astype("int32") for x in slices]
            yield name, (images[:2], masks[:2], images[2:], masks[2:])


def scans(
    data: Path, target: str, context: Sequence[str], structures: dict, pairs: int
) -> Iterator[tuple[str, Task]]:
    """Slices of scans beside those of others at the same relative height."""
    volumes = [_scan(data, name) for name in (target, *context)]
    for height in (0.4, 0.5, 0.6, 0.7):
        images, maps = [], []
        for number, (image, labels) in enumerate(volumes):
            steps = (0,) if number == 0 else np.arange(pairs // len(context)) - pairs // 4
            for step in steps:
                place = int(height * image.shape[2]) + 2 * int(step)
                images.append(image[..., place])
                maps.append(labels[..., place])
        for name, wanted in structures.items():
            masks = [np.isin(x, wanted).astype("int32") for x in maps]
            yield name, (images[:1], masks[:1], images[1:], masks[1:])


def nuclei(data: Path, pairs: int) -> Iterator[tuple[str, Task]]:
    """Tiles of one image of many nuclei."""
    from matplotlib.image import imread

    image, labels = (imread(data / f"cells/{n}.png") for n in ("nuclei2d", "nuclei2d_instances"))
    image, labels = (x if x.ndim == 2 else x[..., :3].sum(-1) for x in (image, labels))
    boxes = [
        np.s_[i : i + 128, j : j + 128] for i in range(0, 512, 128) for j in range(0, 512, 128)
    ]
    images = [image[box].astype("float32") for box in boxes]
    masks = [(labels[box] > 0).astype("int32") for box in boxes]
    yield "nuclei", (images[pairs:], masks[pairs:], images[:pairs], masks[:pairs])


def cord(data: Path, pairs: int) -> Iterator[tuple[str, Task]]:
    """Axial slices of one scan of the cervical cord."""
    image, labels = (reorient(read_volume(p)).data for p in _cord_files(data))
    count = image.shape[2]
    known = np.linspace(2, count - 3, pairs).round().astype(int)
    others = [k for k in range(2, count - 2, 3) if k not in known]
    parts = [[x[..., k] for k in ks] for ks in (others, known) for x in (image, labels)]
    parts[1::2] = [[(x > 0).astype("int32") for x in part] for part in parts[1::2]]
    yield "cord", tuple(parts)


def _cord_files(data: Path) -> tuple[Path, Path]:
    return data / "spine/t2.nii.gz", data / "spine/t2_cord.nii.gz"


def _brain(path: Path) -> np.ndarray:
    """A head in RAS orientation, cut to the box around the brain."""
    labels = reorient(read_volume(path, labels=True)).data
    where = np.argwhere(np.isin(labels, HEADS["brain"]))
    low, high = where.min(0) - 8, where.max(0) + 8
    return labels[tuple(slice(max(0, a), b) for a, b in zip(low, high, strict=True))]


_synthesis = functools.cache(lambda shape, values: Recipe(CONTRAST).build(shape, values))


def _render(labels: np.ndarray, values: tuple[int, ...], key: int) -> np.ndarray:
    """Show a slice in a random contrast."""
    model = _synthesis(labels.shape, values)
    batch = {"labels": labels[None, ..., None], "key": np.array([[7, key]], "int32")}
    return np.asarray(model(batch)["image"])[0, ..., 0]


def _scan(data: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A scan and its labels in RAS orientation, cut to the box around all labels."""
    folder, _, stem = name.partition("/")
    labels = f"{stem.split('_')[0]}_labels"
    image = reorient(read_volume(data / folder / f"{stem}.nii.gz")).data
    labels = reorient(read_volume(data / folder / f"{labels}.nii.gz", labels=True)).data
    where = np.argwhere(labels > 0)
    box = tuple(
        slice(max(0, a - 4), b + 5) for a, b in zip(where.min(0), where.max(0), strict=True)
    )
    return image[box], labels[box]


def score(run: Run, task: Task) -> float:
    """Give the mean Dice over the images of a task that show the structure."""
    images, masks, context, context_masks = task
    found = []
    for image, mask in zip(images, masks, strict=True):
        if mask.any() and any(x.any() for x in context_masks):
            labels = segment_in_context(image, context, context_masks, run).data
            found.append(dice(labels, mask, [1])[1])
    return float(np.mean(found)) if found else float("nan")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pairs", type=int, default=8)
    args = parser.parse_args(argv)
    runs = [Run.load(run) for run in args.runs]
    sets = {
        "fetal": scans(
            args.data, "fetal/sb28_T2", ("fetal/sb23_T2", "fetal/sb34_T2"), FETAL, args.pairs
        ),
        "brain-T1": scans(args.data, "scans/c_T1_head", ("scans/b_T1_head",), HEADS, args.pairs),
        "nuclei": nuclei(args.data, args.pairs),
        "cord": cord(args.data, args.pairs),
        "heads": heads(args.data, args.pairs, same=False),
        "heads-same": heads(args.data, args.pairs, same=True),
    }
    print("task,structure," + ",".join(Path(run).name for run in args.runs))
    for name, tasks in sets.items():
        scores: dict[str, list[list[float]]] = {}
        try:
            for structure, task in tasks:
                scores.setdefault(structure, []).append([score(run, task) for run in runs])
        except FileNotFoundError as error:
            print(f"{name}: skipped, {error}", file=sys.stderr)
        for structure, values in scores.items():
            means = np.nanmean(values, axis=0)
            print(f"{name},{structure}," + ",".join(f"{value:.3f}" for value in means), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
