"""Files of label maps with more labels."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from synthtf.data.enrich import check_parts
from synthtf.data.label_rows import COLUMNS
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.paths import check_ending, existing_volume, refuse_clashes, stem
from synthtf.data.tables import refuse_other_file
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.data.writable import check_writable
from synthtf.usage import usage_errors

Change = Callable[[Volume, Volume, LabelTable, int, object], tuple[np.ndarray, LabelTable]]


def write_more_labels(
    change: Change,
    image: str | os.PathLike,
    labels: str | os.PathLike,
    output: str | os.PathLike,
    table: str | os.PathLike | None,
    num_parts: int,
    choice: object = None,
) -> str:
    """Add labels to the file of a label map by clustering the intensities of its scan.

    Args:
        change: `enrich_labels` or `build_labels`.
        image: scan.
        labels: label map on its grid.
        output: the new map; its table, .tsv, gets the same name.
        table: labels of the map. None: the values alone.
        num_parts: fourth argument of `change`.
        choice: its fifth.

    Returns:
        What was written, in a line.

    Raises:
        ValueError: if the files do not fit.
        OSError: if a file cannot be read or written.
    """
    output = Path(output)
    listed = output.with_name(f"{stem(output)}.tsv")
    with usage_errors():
        check_parts(num_parts)
        check_ending(output)
        existing_volume(image, "IMAGE")
        existing_volume(labels, "the label map")
        refuse_clashes([Path(image)], [output], others=[Path(labels)])
        names = LabelTable.read(table) if table else None
        if table and listed.exists() and listed.samefile(table):
            raise ValueError(f"{listed} is the table that is read; choose another output")
        _check_table(listed, output)
    scan, known = read_volume(image), read_volume(labels, labels=True)
    names = names or LabelTable.from_labels(count_labels(known.data))
    data, names = change(scan, known, names, num_parts, choice)
    write_volume(output, data, like=known)
    names.write(listed)
    return f"{output}: {len(count_labels(data))} labels; {listed}"


def _check_table(listed: Path, output: Path) -> None:
    """Refuse to replace a table that was not written with an earlier map of this name."""
    check_writable(listed)
    refuse_other_file(listed, COLUMNS)
    if listed.exists() and not output.exists():
        raise ValueError(
            f"the table {listed} exists without {output.name}, and would be replaced; choose "
            "another output"
        )
