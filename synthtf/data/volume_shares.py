"""Shares of the brain that structures take in label maps."""

from collections.abc import Iterable, Mapping

from synthtf.data.label_table import LabelTable

SHARES = "volume_shares"
"""Name of these among the facts of a run."""


def volume_shares(counts: Iterable[Mapping[int, int]], table: LabelTable) -> dict[str, list[float]]:
    """Find the smallest and the largest share of the brain that each structure takes.

    Args:
        counts: label to number of voxels, of each map.
        table: says which labels are of the brain, and what they count as.

    Returns:
        Output label, as text for JSON, to these two. Empty where the table knows no brain, or no
        map has one.
    """
    outputs = table.brain_outputs if table.brain_labels else ()
    found: list[dict[int, float]] = []
    for count in counts:
        sizes = dict.fromkeys(outputs, 0)
        for label, number in count.items():
            if table.mapping.get(label) in sizes:
                sizes[table.mapping[label]] += number
        total = sum(sizes.values())
        if total:
            found.append({label: size / total for label, size in sizes.items()})
    if not found:
        return {}
    ranges = {}
    for label in outputs:
        shares = [share[label] for share in found]
        ranges[str(label)] = [round(min(shares), 6), round(max(shares), 6)]
    return ranges
