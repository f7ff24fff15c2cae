"""Register the development data with trained networks and measure the result.

    python scripts/evaluate_registration.py RUN [RUN ...] [--affine RUN] [--data ../shared/data]
        [-o DIR] [--ants]

RUN is a folder that `synthtf train registration` writes; deformable ones run after that of
--affine. They are compared with each other, with doing nothing, with aligning the centres of the
brains, and with --ants also with ANTs (pip install antspyx). The output folder, by default scans/
in the first run, gets

    report.md            the tables that are printed as well
    MOVING_to_FIXED.png  what the last run did: checkerboards, deformation grid, Jacobian

Networks are measured with and without the refinement that follows them. Pairs of different heads
are measured by the mean Dice of 30 structures, moved by nearest neighbour.
Scans of one head are displaced by known random transforms; the error is the mean distance, over the
corners of the bounding box of the brain, between where they should go and where they go.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from evaluate_scans import LABELS, table

from synthtf.data import LabelTable, Volume, read_volume
from synthtf.data.transforms import Affine, Transform, compose
from synthtf.evaluation import dice
from synthtf.inference.applying import apply_transform
from synthtf.inference.registration.picture import draw_registration
from synthtf.inference.registration.registering import register
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

PAIRS = (("19", "20"), ("20", "19"), ("b", "c"), ("c", "b"), ("a", "b"))
SAME_HEAD = (
    ("e_T1_head", "e_FLAIR_head", "e_FLAIR_brainmask"),
    ("d_T1_brain", "d_FLAIR_brain", "d_brainmask"),
)
NUM_DISPLACED = 5
_WARPING = ("deformable", "joint")


@dataclass(frozen=True)
class Head:
    """An image and its label map."""

    name: str
    image: Volume
    labels: Volume


@dataclass(frozen=True)
class Method:
    """A way to register: from moving and fixed image to the transforms forward and back."""

    name: str
    run: Callable[[Volume, Volume], tuple[Transform, Transform]]


def read_head(name: str, data: Path) -> Head:
    """Read a scan with its labels, or a label map of which a scan is synthesised."""
    if name.isdigit():
        table = LabelTable.read(data / "label_maps" / "labels.tsv")
        labels = read_volume(data / "label_maps" / f"head_{name}.nii.gz", labels=True)
        values = np.arange(labels.data.max() + 1)
        mapped = np.array([table.mapping.get(int(v), 0) for v in values], np.int32)
        return Head(
            name, as_scan(labels, table, int(name)), replace(labels, data=mapped[labels.data])
        )
    scans = data / "scans"
    image = next(iter(sorted(scans.glob(f"{name}_T1_*.nii.gz"))))
    labels = read_volume(scans / f"{name}_labels.nii.gz", labels=True)
    return Head(name, read_volume(image), labels)


def as_scan(labels: Volume, table: LabelTable, number: int) -> Volume:
    """Synthesise a scan of a label map, in place and without thick slices, of a random contrast."""
    names = ("affine", "warp", "flip", "field_of_view", "skull_strip", "resolution", "thick_slices")
    table = table.select({0, *np.unique(labels.data).tolist()})
    synthesis = Recipe.preset("heads").without(*names).build(labels.shape, table, labels.spacing)
    key = np.array([[0, number]], np.int32)
    image = synthesis.predict_on_batch({"labels": labels.data[None, ..., None], "key": key})
    return replace(labels, data=np.asarray(image["image"])[0, ..., 0])


def align_centres(moving: Head, fixed: Head) -> Transform:
    """Bring the centres of mass of the two brains upon each other: what a network starts from."""
    masks = [
        replace(head.labels, data=np.isin(head.labels.data, LABELS)) for head in (moving, fixed)
    ]
    shift = np.eye(4)
    shift[:3, 3] = _centre(masks[0]) - _centre(masks[1])
    return Affine(shift)


def _centre(scan: Volume) -> np.ndarray:
    """Centre of mass of what is above the mean, in mm."""
    voxels = np.argwhere(scan.data > scan.data.mean())
    return scan.affine[:3, :3] @ voxels.mean(0) + scan.affine[:3, 3]


def with_run(
    run: Run, affine: Run | None = None, method: str | None = None, refine: bool = True
) -> Method:
    """Register with trained networks."""
    kind = run.metadata["kind"]
    affine = affine if kind == "deformable" else None

    def apply(moving: Volume, fixed: Volume) -> tuple[Transform, Transform]:
        found = register(moving, fixed, run, affine=affine, method=method, refine=refine)
        return found.forward, found.inverse

    name = f"{run.folder.resolve().name}, {method or kind}{'' if refine else ', not refined'}"
    return Method(f"{affine.folder.resolve().name} and {name}" if affine else name, apply)


def with_ants(kind: str) -> Method:
    """Register with ANTs."""
    import ants

    from synthtf.data.volume_writer import write_volume
    from synthtf.interop.transform_files import read_transform

    def apply(moving: Volume, fixed: Volume) -> tuple[Transform, Transform]:
        images = []
        for scan in (moving, fixed):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "scan.nii.gz"
                write_volume(path, scan.data.astype(np.float32), affine=scan.affine)
                images.append(ants.image_read(str(path)))
        found = ants.registration(images[1], images[0], kind)
        # ANTs lists [warp, affine], in the order in which points of the fixed image do not pass
        # them; its inverse is [affine, inverse warp], of which the affine is to be inverted.
        forward = [read_transform(path) for path in found["fwdtransforms"]]
        inverse = [
            transform if path.endswith(".nii.gz") else transform.inverse()
            for path in found["invtransforms"]
            for transform in [read_transform(path)]
        ]
        return compose(*reversed(forward)), compose(*reversed(inverse))

    return Method(f"ANTs {kind}", apply)


def overlap(moving: Head, fixed: Head, transform: Transform) -> float:
    """Mean Dice of the structures."""
    moved = apply_transform(moving.labels, transform, like=fixed.labels, interpolation="nearest")
    found = dice(moved.data, fixed.labels.data, LABELS)
    return float(np.nanmean(list(found.values())))


def folding(transform: Transform, fixed: Volume) -> float:
    """Share of voxels of 2 mm where the transform folds, in percent."""
    grid = _grid(fixed, 2.0)
    points = transform(grid)
    axes = [np.gradient(points[..., i]) for i in range(3)]
    jacobian = np.stack([np.stack(parts, -1) for parts in axes], -2)
    start = np.stack([np.stack(np.gradient(grid[..., i]), -1) for i in range(3)], -2)
    return float(100 * np.mean(np.linalg.det(jacobian) / np.linalg.det(start) <= 0))


def inconsistency(forward: Transform, inverse: Transform, labels: Volume) -> float:
    """Mean distance between a point of the brain and where forth and back takes it, in mm."""
    voxels = np.argwhere(labels.data > 0)[::97]
    points = voxels @ labels.affine[:3, :3].T + labels.affine[:3, 3]
    return float(np.linalg.norm(inverse(forward(points)) - points, axis=-1).mean())


def _grid(scan: Volume, spacing: float) -> np.ndarray:
    steps = [np.arange(0, n, spacing / mm) for n, mm in zip(scan.shape, scan.spacing, strict=True)]
    voxels = np.stack(np.meshgrid(*steps, indexing="ij"), -1)
    return voxels @ scan.affine[:3, :3].T + scan.affine[:3, 3]


def displaced(scan: Volume, rigid: bool, seed: int, centre: np.ndarray) -> tuple[Volume, Affine]:
    """Displace a scan by its header; returns the transform from where it was to where it is.

    Up to 25°, 20 mm and, if not rigid, 10 %, about a point.
    """
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-25, 25, 3), degrees=True).as_matrix()
    if not rigid:
        matrix[:3, :3] = matrix[:3, :3] @ np.diag(rng.uniform(0.9, 1.1, 3))
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + rng.uniform(-20, 20, 3)
    return regridded(replace(scan, affine=matrix @ scan.affine)), Affine(matrix)


def regridded(scan: Volume) -> Volume:
    """Resample an oblique scan along the axes of the world, about its centre."""
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in scan.shape], indexing="ij"), -1)
    points = corners.reshape(-1, 3) @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    low, high = points.min(0), points.max(0)
    affine = np.eye(4)
    affine[:3, 3] = low
    grid = Volume(np.zeros(tuple(np.ceil(high - low).astype(int) + 1), np.uint8), affine)
    return apply_transform(scan, Affine(np.eye(4)), like=grid)


def corner_error(found: Transform, truth: Transform, mask: Volume) -> float:
    """Mean distance at the corners of the bounding box of a mask, in mm."""
    voxels = np.argwhere(mask.data > mask.data.max() / 2)
    box = np.stack([voxels.min(0), voxels.max(0)])
    corners = np.stack(np.meshgrid(*box.T, indexing="ij"), -1).reshape(-1, 3)
    points = corners @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    return float(np.linalg.norm(found(points) - truth(points), axis=-1).mean())


def compare_heads(
    methods: Sequence[Method], data: Path, drawn: Method, output: Path
) -> Iterator[list[object]]:
    """Rows of the table of different heads."""
    heads = {name: read_head(name, data) for name in sorted({n for pair in PAIRS for n in pair})}
    for moving, fixed in ((heads[m], heads[f]) for m, f in PAIRS):
        for name, transform in (
            ("scanner coordinates", Affine(np.eye(4))),
            ("centres of the brains", align_centres(moving, fixed)),
        ):
            score = overlap(moving, fixed, transform)
            yield [f"{moving.name} to {fixed.name}", name, score, *[""] * 3]
        for method in methods:
            start = time.perf_counter()
            forward, inverse = method.run(moving.image, fixed.image)
            seconds = time.perf_counter() - start
            pair = f"{moving.name}_to_{fixed.name}"
            print(f"{pair}, {method.name}", file=sys.stderr)
            if method is drawn:
                path = output / f"{pair}.png"
                draw_registration(path, moving.image, fixed.image, forward, method.name)
            yield [
                f"{moving.name} to {fixed.name}",
                method.name,
                overlap(moving, fixed, forward),
                f"{folding(forward, fixed.image):.4f}",
                f"{inconsistency(forward, inverse, fixed.labels):.2f}",
                f"{seconds:.1f}",
            ]


def compare_displaced(
    rigid_methods: Sequence[Method], affine_methods: Sequence[Method], data: Path
) -> Iterator[list[object]]:
    """Rows of the table of known transforms."""
    for moving, fixed, mask in SAME_HEAD:
        image, target = (read_volume(data / "scans" / f"{n}.nii.gz") for n in (moving, fixed))
        brain = read_volume(data / "scans" / f"{mask}.nii.gz")
        centre = _centre(target)
        for rigid in (True, False):
            for method in rigid_methods if rigid else affine_methods:
                errors = []
                for seed in range(NUM_DISPLACED):
                    scan, truth = displaced(image, rigid, seed, centre)
                    errors.append(corner_error(method.run(scan, target)[0], truth, brain))
                print(f"{moving} to {fixed}, {method.name}: {errors}", file=sys.stderr)
                kind = "rigid" if rigid else "affine"
                yield [f"{moving} to {fixed}", kind, method.name, np.mean(errors), max(errors)]


def report(pairs: Sequence[Sequence[object]], known: Sequence[Sequence[object]]) -> str:
    """Lay out both tables as Markdown."""
    lines = ["# Registration of the development data", ""]
    lines += table("pair|method|Dice|folding, %|inverse consistency, mm|s", pairs)
    lines += ["", "Mean over pairs:", ""]
    names = list(dict.fromkeys(row[1] for row in pairs))
    means = [[name, float(np.mean([row[2] for row in pairs if row[1] == name]))] for name in names]
    lines += table("method|Dice", means)
    lines += ["", f"Corner error after {NUM_DISPLACED} known random transforms, in mm:", ""]
    lines += table("scans|transform|method|mean|largest", known)
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of training runs")
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--affine", type=Path, help="run to come before deformable ones")
    parser.add_argument("--data", type=Path, default=default, help="folder of scans/, label_maps/")
    parser.add_argument("-o", "--output", type=Path, help="folder; RUN/scans by default")
    parser.add_argument("--ants", action="store_true", help="also register with ANTs")
    args = parser.parse_args(arguments)
    output = args.output or args.runs[0] / "scans"
    output.mkdir(parents=True, exist_ok=True)

    runs = [Run.load(folder) for folder in args.runs]
    affine = args.affine and Run.load(args.affine)
    linear = [run for run in [affine, *runs] if run and run.metadata["kind"] != "deformable"]
    both = (False, True)
    rigid_methods = [with_run(run, method="rigid", refine=r) for run in linear for r in both]
    affine_methods = [
        with_run(run, method="affine", refine=r)
        for run in linear
        if run.metadata["kind"] != "rigid"
        for r in both
    ]
    warping = [
        with_run(run, affine, refine=r)
        for run in runs
        if run.metadata["kind"] in _WARPING
        for r in both
    ]
    methods = [*affine_methods, *warping]
    drawn = methods[-1]
    if args.ants:
        rigid_methods.append(with_ants("Rigid"))
        affine_methods.append(with_ants("Affine"))
        methods += [affine_methods[-1], with_ants("SyN")]
    pairs = list(compare_heads(methods, args.data, drawn, output))
    known = list(compare_displaced(rigid_methods, affine_methods, args.data))
    text = report(pairs, known)
    (output / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
