"""Label maps with more labels: structures split by intensity, and heads labelled in full.

A network learns more from maps whose contrast varies within structures, and whose labels cover
everything that a scan shows. Both come from clustering the intensities of the scan that a map
belongs to. Everything here is deterministic.

Reference: Billot et al., SynthSeg, Medical Image Analysis 2023. Its training maps also label the
whole head by clustering intensities, with mixture models instead of k-means.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage
from scipy.cluster.vq import ClusterError, kmeans2

from synthtf.data.grid import check_same_grid
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.volumes import Volume
from synthtf.ranges import as_whole

_MAX_SAMPLES = 200_000  # intensities that cluster centres are found from
_ITERATIONS = 50
_SMOOTHING = 1.0  # mm, standard deviation
_BINS = 256


def enrich_labels(
    image: Volume,
    labels: Volume,
    table: LabelTable,
    num_parts: int = 2,
    values: Sequence[int] | None = None,
) -> tuple[np.ndarray, LabelTable]:
    """Split labels into parts by k-means of the image's intensities inside each label.

    Parts are numbered by their intensity: the darkest keeps the label, the others get new values
    above all labels of the map and the table. They count as the original label in the output, and
    each is a separate tissue. Part k of a label and part k of its partner are partners.

    Args:
        image: scan, on the grid of the label map.
        labels: label map.
        table: labels of the map.
        num_parts: parts per label, from 2 to 255.
        values: labels to split. Default: all labels except 0 with at least `num_parts` different
            intensities.

    Returns:
        The label map, int32, and the table with the new rows.

    Raises:
        ValueError: if the grids differ, the table does not list a label of the map, `num_parts`
            is out of range, or a given label has no voxel or fewer intensities than parts.
    """
    check_parts(num_parts)
    check_same_grid(labels, image)
    counts = count_labels(labels.data)
    table.check(counts, labels.name)
    skip = values is None
    values = [v for v in counts if v] if values is None else list(dict.fromkeys(map(int, values)))
    out = labels.data.copy()
    parts = {}
    for value in values:
        inside = labels.data == value
        if not inside.any():
            raise ValueError(f"{labels.name}: no voxel of label {value}; it cannot be split")
        try:
            parts[value] = cluster(image.data[inside], num_parts)
        except ValueError as error:
            if not skip:
                raise ValueError(f"{image.name}: in label {value}: {error}") from None
    new = _new_values(table, [*counts, *table.ids], list(parts), num_parts)
    for value, part in parts.items():
        out[labels.data == value] = np.array([value, *new[value]], "int32")[part]
    return out, _with_parts(table, new)


def build_labels(
    image: Volume,
    labels: Volume,
    table: LabelTable,
    num_parts: int = 4,
    threshold: float | None = None,
) -> tuple[np.ndarray, LabelTable]:
    """Label everything that a scan shows, given a segmentation of a part of it.

    Unlabelled voxels of air stay 0: they are darker than the threshold and connected to the
    border of the volume. The other unlabelled voxels are clustered by their smoothed intensity
    into new labels above all others, from dark to bright, and the clusters are smoothed.

    Args:
        image: scan, on the grid of the segmentation.
        labels: segmentation; 0 where no label is known.
        table: labels of the segmentation.
        num_parts: number of new labels, from 2 to 255.
        threshold: intensity below which a voxel may be air. Default: half of Otsu's threshold.

    Returns:
        The label map, int32, and the table with the new rows, which count as background.

    Raises:
        ValueError: if the grids differ, the table does not list a label, `num_parts` is out of
            range, or too few voxels are left to be clustered.
    """
    check_parts(num_parts)
    check_same_grid(labels, image)
    counts = count_labels(labels.data)
    table.check(counts, labels.name)
    # At least one voxel: less smoothing would leave single voxels.
    std = [max(1.0, _SMOOTHING / mm) for mm in image.spacing]
    unknown = labels.data == 0
    if threshold is None:
        threshold = otsu_threshold(image.data) / 2
    smooth = ndimage.gaussian_filter(image.data, [s / 2 for s in std], mode="nearest")
    tissue = unknown & ~_touches_border(smooth < threshold, unknown)
    try:
        part = cluster(smooth[tissue], num_parts)
    except ValueError as error:
        raise ValueError(f"{image.name}: outside the labels of {labels.name}: {error}") from None
    largest = np.full(labels.data.shape, -1, "float32")
    winner = np.zeros(labels.data.shape, "int32")
    for k in range(num_parts):
        member = np.zeros(labels.data.shape, "float32")
        member[tissue] = part == k
        share = ndimage.gaussian_filter(member, std, mode="nearest")
        winner[share > largest] = k
        np.maximum(largest, share, out=largest)
    first = max(*counts, *table.ids) + 1
    out = np.where(tissue, first + winner, labels.data).astype("int32")
    rows = [
        {
            "ids": first + k,
            "names": f"outside {k + 1}",
            "outputs": 0,
            "groups": f"outside {k + 1}",
            "brain": "no",
            "sides": "none",
        }
        for k in range(num_parts)
    ]
    return out, table.with_rows(rows)


def check_parts(num_parts: int) -> None:
    """Check the number of parts to split into.

    Raises:
        ValueError: if it is not a whole number from 2 to 255.
    """
    as_whole(num_parts, "num_parts", 2, 255)


def cluster(values: np.ndarray, num_parts: int) -> np.ndarray:
    """Return the k-means cluster of each value, numbered from the lowest to the highest.

    Starts from quantiles, so that the result does not depend on chance.

    Args:
        values: intensities, `(n,)`.
        num_parts: number of clusters.

    Returns:
        uint8 array of shape `(n,)`, from 0.

    Raises:
        ValueError: if there are fewer different values than clusters.

    Example:
        >>> cluster(np.array([5.0, 0.0, 9.0, 0.5, 5.5]), 3).tolist()
        [1, 0, 2, 0, 1]
    """
    different = np.unique(values)
    if different.size < num_parts:
        raise ValueError(
            f"`num_parts` must not exceed the number of different intensities, {different.size}. "
            f"Received: num_parts={num_parts}"
        )
    step = -(-values.size // _MAX_SAMPLES)
    at = (np.arange(num_parts) + 0.5) / num_parts
    for source in (values, different):
        # Equal quantiles leave clusters empty; quantiles of the different values are never equal.
        sample = np.sort(source)[::step].astype("float64")
        start = np.quantile(sample, at)
        try:
            centres, _ = kmeans2(
                sample[:, None], start[:, None], _ITERATIONS, minit="matrix", missing="raise"
            )
        except ClusterError:
            continue
        centres = np.sort(centres[:, 0])
        break
    else:
        centres = np.quantile(different, np.arange(num_parts) / (num_parts - 1))
    return np.digitize(values, (centres[1:] + centres[:-1]) / 2).astype("uint8")


def otsu_threshold(values: np.ndarray) -> float:
    """Return the threshold with the largest variance between the two classes it separates.

    Args:
        values: intensities, of any shape.

    Returns:
        The threshold.

    Example:
        >>> 2 < otsu_threshold(np.array([1.0, 2.0, 8.0, 9.0])) < 8
        True

    Reference: Otsu, A threshold selection method from gray-level histograms, IEEE SMC 1979.
    """
    # The brightest voxels, such as vessels, would leave the histogram few bins for the rest.
    top = np.quantile(values, 0.999)
    counts, edges = np.histogram(np.minimum(values, top), _BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(all="ignore"):
        apart = total / below - (total[-1] - total) / above
        between = np.where(above > 0, below * above * apart**2, 0)
    # The mean of all equally good thresholds, where no value lies between the classes.
    return float(edges[1:][between >= np.nanmax(between) * (1 - 1e-9)].mean())


def _touches_border(dark: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Return the components of dark, unknown voxels that reach the border of the volume."""
    regions, _ = ndimage.label(dark & unknown)
    border = set()
    for axis in range(regions.ndim):
        for end in (0, -1):
            border |= set(np.unique(np.take(regions, end, axis)))
    return np.isin(regions, sorted(border - {0}))


def _new_values(
    table: LabelTable, taken: Sequence[int], values: Sequence[int], num_parts: int
) -> dict[int, tuple[int, ...]]:
    """Return new labels for each label and its partner, which a flip turns it into."""
    partner = dict(zip(table.ids, table.partners, strict=True))
    every = dict.fromkeys(v for label in values for v in (label, partner[label]) if v is not None)
    first = max(taken) + 1
    num = num_parts - 1
    return {v: tuple(range(first + j * num, first + (j + 1) * num)) for j, v in enumerate(every)}


def _with_parts(table: LabelTable, new: Mapping[int, tuple[int, ...]]) -> LabelTable:
    """Add rows for the parts of labels; they keep side, output and role."""
    row = {label: k for k, label in enumerate(table.ids)}
    rows = []
    for label, parts in new.items():
        at = row[label]
        partners = new.get(table.partners[at], (None,) * len(parts))
        whole = {name: getattr(table, name)[at] for name in ("outputs", "brain", "sides")}
        structure = table.structures[at]
        for k, (part, partner) in enumerate(zip(parts, partners, strict=True), 2):
            own = {
                "ids": part,
                "names": f"{table.names[at]} part {k}",
                "partners": partner,
                "groups": f"{table.groups[at]} part {k}",
                "structures": structure and f"{structure} part {k}",
            }
            rows.append(whole | own)
    return table.with_rows(rows)
