"""What has changed between two scans of one person."""

import dataclasses
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.applying import apply_transform
from synthtf.inference.conform import Box, ConformedGrid
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget, ScanBudget
from synthtf.inference.prediction import brain_box, load_run, predict, warn_of_spacing
from synthtf.inference.registration.registering import register
from synthtf.inference.segmenting import mirrored_channels

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """What `find_change` returns.

    Attributes:
        map: On the grid of the first scan, float32: for each voxel, the share of it that a region
            has gained (above 0) or lost (below 0) until the second scan. A frame per region, if
            there are several.
        volumes: By region, the change of its volume in mm³, the sum over the map.
    """

    map: Volume
    volumes: dict[str, float]


def find_change(
    first: "Volume | str | PathLike",
    second: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    affine: "CombinedModel | Run | str | PathLike | None" = None,
    flip: bool = True,
    ct: bool = False,
    budget: MemoryBudget | None = None,
) -> Change:
    """Find what has changed from a scan of a person to a later one, of any two contrasts.

    The second scan is brought to the grid of the first one. The network labels each scan beside the
    other, and the change of a region is the difference of its posteriors. So the change from the
    second to the first is the negative one, and that from a scan to itself is none.

    Args:
        first: A volume, or its file.
        second: Likewise, of the same person.
        model: A run of the task "change", its folder or name, or a model that `fit` trained.
        affine: A run of registration of the kind affine or rigid, by which the second scan is
            aligned with the first one, rigidly. None: their headers align them already.
        flip: Whether to average with the prediction on the left-right mirrored scans.
        ct: Whether both scans are in Hounsfield units.
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        The map and the changes of volume.

    Raises:
        ValueError: If the scans or the runs do not fit, the scans do not overlap, or the network
            does not fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size.
    """
    run = load_run(model, "change")
    scans = [scan if isinstance(scan, Volume) else read_volume(scan) for scan in (first, second)]
    for scan in scans:
        if scan.data.ndim != 3 or scan.ndim != 3:
            raise ValueError(
                f"{scan.name}: expected one frame in three dimensions. Received: {scan.data.shape}"
            )
        warn_of_spacing(scan, run)
    transform = Affine(np.eye(4))
    if affine is not None:
        which = ("moving", "fixed") if ct else ()
        transform = register(scans[1], scans[0], affine, method="rigid", ct=which).forward
    moved = apply_transform(scans[1], transform, like=scans[0])
    if not moved.data.max() > moved.data.min():
        raise ValueError(
            f"{scans[1].name}: no overlap with {scans[0].name} where their headers, or the "
            "registration, put them"
        )
    grid = ConformedGrid.of(scans[0].data.shape, scans[0].affine, run.spacing)
    size = int(2 * scans[0].data.size * SCAN_BYTES)
    limits = (budget or MemoryBudget()).for_scan(size)
    images = [grid.conform(data) for data in (scans[0].data, moved.data)]
    box = _box(run, images[0], ct, limits)
    pair = np.stack([normalize_intensity(image[box], ct=ct) for image in images], axis=-1)
    found = _difference(run, pair, flip, limits)
    voxel = abs(np.linalg.det(grid.affine[:3, :3]))
    names = region_names(run)
    volumes = dict(zip(names, (found.sum((0, 1, 2)) * voxel).tolist(), strict=True))
    frames = [grid.restore(found[..., channel], box) for channel in range(len(names))]
    data = frames[0] if len(frames) == 1 else np.stack(frames, axis=-1)
    return Change(Volume(data, scans[0].affine, scans[0].header, ndim=3), volumes)


def region_names(run: "Run") -> list[str]:
    """Name the regions whose change the network of a run tells.

    Raises:
        ValueError: If it is of another task or of two dimensions.
    """
    return [str(region) for region in load_run(run, "change").metadata["regions"]]


def _box(run: "Run", image: np.ndarray, ct: bool, limits: ScanBudget) -> Box:
    """Part of a conformed scan to look at: the brain."""
    brain = [run.output_labels.index(v) for v in run.table.brain_outputs if v in run.output_labels]

    def find(normalized: np.ndarray) -> np.ndarray:
        twice = np.stack([normalized] * 2, axis=-1)
        posteriors = predict(run, twice, len(run.output_labels), budget=limits)
        return np.isin(posteriors.argmax(-1), brain)

    return brain_box(run, image, ct, find, limits)


def _difference(run: "Run", pair: np.ndarray, flip: bool, limits: ScanBudget) -> np.ndarray:
    """The change of each region: its posteriors in the second scan less those in the first."""
    regions = [np.isin(run.output_labels, values) for values in run.metadata["region_labels"]]
    mirrored = mirrored_channels(run.output_labels, run.output_pairs) if flip else None

    def shares(images: np.ndarray) -> np.ndarray:
        posteriors = predict(run, images, len(run.output_labels), mirrored, limits)
        return np.stack([posteriors[..., chosen].sum(-1) for chosen in regions], axis=-1)

    before = shares(pair)
    return shares(np.ascontiguousarray(pair[..., ::-1])) - before
