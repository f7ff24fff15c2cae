"""Files of label maps with more labels."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from synthtf.data.enrich import build_labels, check_parts, enrich_labels
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.paths import check_ending, refuse_clashes, stem
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.usage import usage_errors

File = str | os.PathLike
Change = Callable[[Volume, Volume, LabelTable], tuple[np.ndarray, LabelTable]]


def enrich_file(
    image: File,
    labels: File,
    output: File,
    table: File | None,
    num_parts: int,
    values: Sequence[int] | None = None,
) -> str:
    """Split the labels of a map; see `enrich_labels`.

    Args:
        image: scan.
        labels: label map on its grid.
        output: the new map; its table, .tsv, gets the same name.
        table: labels of the map. None: the values alone.
        num_parts: parts per label.
        values: labels to split. None: all but 0 that vary in intensity.

    Returns:
        What was written, in a line.

    Raises:
        ValueError: if the files do not fit.
        OSError: if a file cannot be read or written.
    """
    return _write(
        (image, labels, output, table, num_parts),
        lambda scan, known, names: enrich_labels(scan, known, names, num_parts, values),
    )


def build_file(
    image: File,
    labels: File,
    output: File,
    table: File | None,
    num_labels: int,
    threshold: float | None = None,
) -> str:
    """Label the whole image, given a segmentation of a part of it; see `build_labels`.

    Args:
        image: scan.
        labels: segmentation on its grid.
        output: the new map; its table, .tsv, gets the same name.
        table: labels of the segmentation. None: the values alone.
        num_labels: new labels.
        threshold: intensity below which a voxel may be air. None: half of Otsu's threshold.

    Returns:
        What was written, in a line.

    Raises:
        ValueError: if the files do not fit.
        OSError: if a file cannot be read or written.
    """
    return _write(
        (image, labels, output, table, num_labels),
        lambda scan, known, names: build_labels(scan, known, names, num_labels, threshold),
    )


def _write(files: tuple[File, File, File, File | None, int], change: Change) -> str:
    image, labels, output, table, parts = files
    output = Path(output)
    listed = output.with_name(f"{stem(output)}.tsv")
    with usage_errors():
        check_parts(parts)
        check_ending(output)
        refuse_clashes([Path(image)], [output], others=[Path(labels)])
        names = LabelTable.read(table) if table else None
        if table and listed.exists() and listed.samefile(table):
            raise ValueError(f"{listed} is the table that is read; choose another output")
    scan, known = read_volume(image), read_volume(labels, labels=True)
    names = names or LabelTable.from_labels(count_labels(known.data))
    data, names = change(scan, known, names)
    write_volume(output, data, like=known)
    names.write(listed)
    return f"{output}: {len(count_labels(data))} labels; {listed}"
