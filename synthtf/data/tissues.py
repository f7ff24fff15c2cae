"""Label tables in which tissues or structures are the output labels."""

import dataclasses
from collections.abc import Hashable, Mapping

from synthtf.data.label_table import LabelTable


def tissue_table(table: LabelTable) -> LabelTable:
    """Give a table whose output labels are tissues, each called by the least of its labels.

    The tissue of a label is that of the output label it counts as; what counts as background
    stays background.
    """
    return _grouped(table, dict(zip(table.ids, table.groups, strict=True)))


def structure_table(table: LabelTable) -> LabelTable:
    """Give a table whose output labels are structures as a whole, as `tissue_table` does.

    Raises:
        ValueError: if no label is a part of a structure.
    """
    if not any(table.structures):
        raise ValueError(
            "the label table must have a column `part_of` with the structure of each parcel, such "
            "as left cerebral cortex"
        )
    return _grouped(table, wholes(table))


def wholes(table: LabelTable) -> dict[int, int]:
    """Mapping from each label to the structure as a whole, called by the least of its labels."""
    structure = dict(zip(table.ids, table.structures, strict=True))
    least: dict[str, int] = {}
    for label in sorted(table.ids):
        least.setdefault(structure[label], label)
    return {label: least[of] if of is not None else label for label, of in structure.items()}


def _grouped(table: LabelTable, group: Mapping[int, Hashable]) -> LabelTable:
    first: dict[Hashable, int] = {}
    for label in table.output_labels[1:]:
        first.setdefault(group[label], label)
    outputs = tuple(first[group[label]] if label else 0 for label in table.outputs)
    return dataclasses.replace(table, outputs=outputs)
