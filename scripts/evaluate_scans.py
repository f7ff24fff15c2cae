"""Segment the development scans with a trained network and measure the result.

    python scripts/evaluate_scans.py RUN [--data ../shared/data] [-o DIR] [--overlays]

RUN is the folder that `synthtf train segmentation` writes. The output folder, RUN/scans by
default, gets

    report.md     the tables that are printed as well
    dice.csv      Dice of every structure and label, and ratios of volumes, a row each
    overlays.png  three slices of each scan with its segmentation
    NAME_seg.png  with --overlays, five slices per plane of each scan

Scans that are absent are skipped and named. The whole takes about two minutes on two cores.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthtf import figures
from synthtf.data import LabelMaps, Volume, bounding_box_centre, read_volume
from synthtf.data.geometry import crop_or_pad, reorient, resample_nearest
from synthtf.data.grid import check_same_grid
from synthtf.data.tables import write_table
from synthtf.evaluation import dice
from synthtf.inference import segment
from synthtf.inference.brain_mask import brain_mask
from synthtf.runs.run import Run

# The pilot's classes: left and right merged, inferior with lateral ventricles, 3rd with 4th.
STRUCTURES = {
    "white matter": (2, 41),
    "cortex": (3, 42),
    "lateral ventricles": (4, 43, 5, 44),
    "cerebellar white matter": (7, 46),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "3rd and 4th ventricle": (14, 15),
    "brain stem": (16,),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "accumbens": (26, 58),
    "ventral diencephalon": (28, 60),
}
# 24, the CSF around the brain, is not in these references but for traces.
LABELS = tuple(sorted(itertools.chain(*STRUCTURES.values())))
CLOSING_MM = 5.0
_MARGIN = 1.3  # for what rotations bring into view


@dataclass(frozen=True)
class Case:
    """A scan and what is known about it; paths are relative to the data."""

    image: str
    labels: str | None = None
    mask: str | None = None
    ct: bool = False

    @property
    def name(self) -> str:
        """File name without its ending."""
        return Path(self.image).name.removesuffix(".nii.gz")


def _scan(name: str, **truth: str) -> Case:
    return Case(f"scans/{name}.nii.gz", **{k: f"scans/{v}.nii.gz" for k, v in truth.items()})


def _template(name: str, mask: str, ct: bool = False) -> Case:
    return Case(f"templates/{name}.nii.gz", mask=f"templates/{mask}.nii.gz", ct=ct)


CASES = (
    _scan("a_T1_brain", labels="a_labels"),
    _scan("b_T1_head", labels="b_labels"),
    _scan("c_T1_head", labels="c_labels"),
    *(_scan(f"d_{c}_brain", mask="d_brainmask") for c in ("T1", "T2", "FLAIR", "T1POST")),
    *(_scan(f"e_{c}_head", mask=f"e_{c}_brainmask") for c in ("T1", "T2", "FLAIR")),
    *(_scan(f"f_{c}_head", mask=f"f_{c}_brainmask") for c in ("T1", "FLAIR")),
    *(_template(f"avg152_{c}", "avg152_brainmask_x255") for c in ("T1", "T2", "PD")),
    _template("mni_T1_1mm", "mni_brainmask_1mm"),
    _template("mni_T2_brain_1mm", "mni_brainmask_1mm"),
    _template("ct_brain_1mm", "ct_brainmask_1mm", ct=True),
)
SAME_HEAD = tuple(case.name for case in CASES if case.name.startswith("d_"))


@dataclass(frozen=True)
class Result:
    """What was measured on one scan; what could not be is empty."""

    name: str
    seconds: float
    structures: Mapping[str, float]
    volumes: Mapping[str, float]
    labels: Mapping[int, float]
    masks: Mapping[str, float]

    @property
    def mean_structures(self) -> float:
        """Mean Dice of the structures, NaN without a reference."""
        return _mean(self.structures.values())

    @property
    def mean_labels(self) -> float:
        """Mean Dice of the labels, left and right apart, NaN without a reference."""
        return _mean(self.labels.values())

    @property
    def summary(self) -> str:
        """Name and the most telling figure, as a title."""
        if self.structures:
            return f"{self.name}: Dice {self.mean_structures:.2f}"
        return f"{self.name}: mask {self.masks['closed']:.3f}" if self.masks else self.name


def merge(label_map: np.ndarray) -> np.ndarray:
    """Number the structures of a label map from one on, in the order of STRUCTURES."""
    table = np.zeros(max(int(label_map.max(initial=0)), *LABELS) + 1, np.int32)
    for number, members in enumerate(STRUCTURES.values(), start=1):
        table[list(members)] = number
    return table[label_map]


def structure_dice(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Dice of the merged structures of two label maps, NaN where neither has one."""
    found = dice(merge(a), merge(b), range(1, len(STRUCTURES) + 1))
    return dict(zip(STRUCTURES, found.values(), strict=True))


def volume_ratios(found: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Voxels of each merged structure over those of the reference, NaN where it has none."""
    counts = (
        np.bincount(merge(x).ravel(), minlength=len(STRUCTURES) + 1) for x in (found, reference)
    )
    found, known = (count[1:].astype(float) for count in counts)
    ratios = np.divide(found, known, out=np.full_like(known, np.nan), where=known > 0)
    return dict(zip(STRUCTURES, ratios.tolist(), strict=True))


def mask_dice(labels: Volume, mask: np.ndarray) -> dict[str, float]:
    """Dice of three readings of a segmentation as a brain mask, all with their holes filled.

    `tissue` is all labels but 24, the CSF around the brain; `closed` is that, closed with a
    ball of CLOSING_MM; `all` takes 24 in.
    """
    masks = {
        "tissue": brain_mask(labels.data, labels.spacing, closing_mm=0),
        "closed": brain_mask(labels.data, labels.spacing, closing_mm=CLOSING_MM),
        "all": brain_mask(labels.data, labels.spacing, closing_mm=0, exclude=()),
    }
    return {k: dice(m.astype(np.int32), mask.astype(np.int32), (1,))[1] for k, m in masks.items()}


def read_mask(path: Path, scan: Volume) -> np.ndarray:
    """Read a mask, above half of its maximum, by nearest neighbour on the grid of a scan."""
    from scipy import ndimage

    mask = read_volume(path)
    inside = mask.data > mask.data.max() / 2
    if inside.shape == scan.shape and np.allclose(mask.affine, scan.affine, atol=1e-3):
        return inside
    move = np.linalg.inv(mask.affine) @ scan.affine
    return ndimage.affine_transform(
        inside.astype(np.uint8), move[:3, :3], move[:3, 3], scan.shape, order=0
    ).astype(bool)


def evaluate_case(
    case: Case, data: Path, run: Run, refine: bool = True
) -> tuple[Result, Volume, Volume]:
    """Segment one scan and compare it; also returns the scan and its label map."""
    scan = read_volume(data / case.image)
    start = time.perf_counter()
    found = segment(scan, run, ct=case.ct, refine=refine).labels
    seconds = time.perf_counter() - start
    structures, volumes, labels, masks = {}, {}, {}, {}
    if case.labels:
        reference = read_volume(data / case.labels, labels=True)
        check_same_grid(found, reference)
        structures = structure_dice(found.data, reference.data)
        volumes = volume_ratios(found.data, reference.data)
        labels = dice(found.data, reference.data, LABELS)
    if case.mask:
        masks = mask_dice(found, read_mask(data / case.mask, scan))
    return Result(case.name, seconds, structures, volumes, labels, masks), scan, found


def agreement(maps: Mapping[str, np.ndarray]) -> list[tuple[str, str, float]]:
    """Mean Dice of the structures for each pair of label maps of the same head."""
    return [
        (a, b, _mean(structure_dice(maps[a], maps[b]).values()))
        for a, b in itertools.combinations(maps, 2)
    ]


def as_thumbnail(volume: Volume, centre: np.ndarray, spacing: float = 1.6) -> np.ndarray:
    """Cut a RAS cube of 224 mm about a point in the world, by nearest neighbour."""
    volume = resample_nearest(reorient(volume, "RAS"), spacing)
    voxel = np.linalg.solve(volume.affine, [*centre, 1])[:3]
    return crop_or_pad(volume, round(224 / spacing), voxel).data


def thumbnails(scan: Volume, labels: Volume) -> tuple[np.ndarray, np.ndarray]:
    """The scan in [0, 1] and its labels, about the centre of the segmentation, 3D."""
    middle = bounding_box_centre(labels)
    if middle is None:
        middle = [(n - 1) / 2 for n in labels.shape]
    centre = (labels.affine @ [*middle, 1])[:3]
    low, high = np.percentile(scan.data, (0.5, 99.5))
    window = np.clip((scan.data - low) / max(high - low, 1e-12), 0, 1)
    return as_thumbnail(replace(scan, data=window), centre), as_thumbnail(labels, centre)


def draw_all(path: Path, drawn: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Draw the thumbnails of all scans; a palette of 255 colours keeps the file small."""
    from PIL import Image

    titles, images, labels = zip(*drawn, strict=True)
    figures.contact_sheet(images, path, titles, labels, columns=3)
    with Image.open(path) as figure:
        small = figure.convert("RGB").quantize(255)
    small.save(path, optimize=True)


def report(run: Run, load_seconds: float, results: Sequence[Result], pairs: Sequence) -> str:
    """Lay out everything as Markdown."""
    rows = [
        [r.name, r.mean_structures, r.mean_labels]
        + [r.masks.get(kind) for kind in ("tissue", "closed", "all")]
        + [f"{r.seconds:.1f}"]
        for r in results
    ]
    facts = run.metadata
    lines = [
        f"# {run.folder.resolve().name} on the development scans",
        "",
        f"{facts.get('steps_done', '?')} steps, {facts.get('minutes_done', '?')} minutes, "
        f"{' x '.join(f'{mm:g}' for mm in run.spacing)} mm, {run.task_model.count_params():,} "
        f"weights, loaded in {load_seconds:.1f} s.",
        "",
        f"Dice: mean of {len(STRUCTURES)} structures, left and right merged, and of "
        f"{len(LABELS)} labels, left and right apart, both without 24, the CSF around the brain. "
        "Brain mask: tissue is all labels but 24 with holes filled; closed is tissue closed "
        f"with a ball of {CLOSING_MM:g} mm; all takes 24 in.",
        "",
        *table(
            f"scan|{len(STRUCTURES)} structures|{len(LABELS)} labels|"
            "mask, tissue|mask, closed|mask, all|s",
            rows,
        ),
    ]
    known = [r for r in results if r.structures]
    if known:
        rows = [[name, *(r.structures[name] for r in known)] for name in STRUCTURES]
        lines += ["", *table("|".join(["structure", *(r.name for r in known)]), rows)]
        rows = [[name, *(r.volumes[name] for r in known)] for name in STRUCTURES]
        lines += [
            "",
            *table("|".join(["volume over the reference's", *(r.name for r in known)]), rows),
        ]
    if pairs:
        lines += ["", "Agreement between contrasts of one head, mean Dice of the structures:", ""]
        lines += table("one|other|Dice", pairs)
        lines += ["", f"Mean of the pairs: {_mean(d for *_, d in pairs):.3f}"]
    return "\n".join(lines) + "\n"


def dice_rows(results: Sequence[Result]) -> list[dict[str, object]]:
    """One row per scan and structure, label, or mask: Dice, or the ratio of volumes."""
    return [
        {"scan": r.name, "kind": kind, "name": name, "value": f"{value:.4f}"}
        for r in results
        for kind, values in (
            ("structure", r.structures),
            ("volume ratio", r.volumes),
            ("label", r.labels),
            ("mask", r.masks),
        )
        for name, value in values.items()
    ]


def run_all(
    cases: Sequence[Case],
    data: Path,
    run: Run,
    refine: bool,
    inspect: Callable[[Result, Volume, Volume], None],
) -> list[Result]:
    """Evaluate the cases whose scan is there, and hand each on to `inspect`."""
    results = []
    for case in cases:
        if not (data / case.image).is_file():
            print(f"skipped, absent: {data / case.image}", file=sys.stderr)
            continue
        result, scan, labels = evaluate_case(case, data, run, refine)
        print(f"{result.summary}, {result.seconds:.1f} s", file=sys.stderr)
        inspect(result, scan, labels)
        results.append(result)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder of scans/, templates/")
    parser.add_argument("-o", "--output", type=Path, help="folder; RUN/scans by default")
    parser.add_argument(
        "--no-refine",
        dest="refine",
        action="store_false",
        help="the posteriors of the network alone",
    )
    parser.add_argument("--overlays", action="store_true", help="also draw each scan on its own")
    args = parser.parse_args(arguments)
    output = args.output or args.run / "scans"
    output.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    run = Run.load(args.run)
    run.task_model  # noqa: B018, loads on first use
    load_seconds = time.perf_counter() - start
    same_head, drawn = {}, []

    def inspect(result: Result, scan: Volume, labels: Volume) -> None:
        if result.name in SAME_HEAD:
            same_head[result.name] = labels.data
        drawn.append((result.summary, *thumbnails(scan, labels)))
        if args.overlays:
            ras, found = reorient(scan, "RAS"), reorient(labels, "RAS")
            path = output / f"{result.name}_seg.png"
            figures.overlay(ras.data, found.data, path, result.summary, spacing=ras.spacing)

    results = run_all(CASES, args.data, run, args.refine, inspect)
    if not results:
        parser.error(f"none of the scans is in {args.data}; name their folder with --data")
    text = report(run, load_seconds, results, agreement(same_head))
    (output / "report.md").write_text(text, encoding="utf-8")
    write_table(output / "dice.csv", ("scan", "kind", "name", "value"), dice_rows(results))
    draw_all(output / "overlays.png", drawn)
    print(text)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def held_out(run: Run, maps: Sequence[str | Path], seed: int) -> LabelMaps:
    """Give label maps as a run was trained on them, on a grid with a margin around its images."""
    return LabelMaps(
        list(maps),
        seed,
        table=run.table,
        shape=tuple(round(n * _MARGIN) for n in run.shape),
        spacing=run.spacing,
        centre_on=run.table.brain_labels,
    )


def table(titles: str, rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay out rows as Markdown; titles are separated by bars."""
    columns = titles.split("|")
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
