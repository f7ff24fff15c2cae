"""Label tables in which tissues are the output labels."""

import dataclasses

from synthtf.data.label_table import LabelTable


def tissue_table(table: LabelTable) -> LabelTable:
    """Give a table whose output labels are tissues, each called by the least of its labels.

    The tissue of a label is that of the output label it counts as; what counts as background
    stays background.
    """
    groups = dict(zip(table.ids, table.groups, strict=True))
    tissues: dict[str, int] = {}
    for label in table.output_labels[1:]:
        tissues.setdefault(groups[label], label)
    outputs = tuple(tissues[groups[label]] if label else 0 for label in table.outputs)
    return dataclasses.replace(table, outputs=outputs)
