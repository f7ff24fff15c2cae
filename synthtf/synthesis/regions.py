"""Regions of a label table by name, and the label of lesions."""

from collections.abc import Sequence
from dataclasses import replace

from synthtf.data.label_table import LabelTable
from synthtf.synthesis.config import SynthesisConfig


def region_labels(table: LabelTable, region: str) -> list[int]:
    """Find the labels of a region.

    Args:
        table: label table.
        region: "left" or "right", the structures of the brain on that side; "brain"; "outside",
            what surrounds it, with CSF and without background; a tissue of the table, such as
            "WM"; or a part of names, such as "cerebell".

    Returns:
        Label values.

    Raises:
        ValueError: if no label of the table is of that region.

    Example:
    >>> table = LabelTable.from_labels([0, 1, 2])
    >>> region_labels(table, "label 2")
    [2]
    """
    rows = zip(table.ids, table.names, table.sides, table.groups, table.brain, strict=True)
    found = [
        label
        for label, name, side, group, brain in rows
        if label != 0 and _is_in(region, name, side, group, brain)
    ]
    if not found:
        raise ValueError(
            f"no label of the table is of the region {region!r}; expected left, right, brain, "
            f"outside, a tissue ({', '.join(sorted(set(table.groups)))}) or a part of a name"
        )
    return found


def _is_in(region: str, name: str, side: str, group: str, brain: str) -> bool:
    if region in ("left", "right"):
        return side == region and brain == "yes"
    if region in ("brain", "outside"):
        return (brain != "yes") == (region == "outside")
    return region == group or region.lower() in name.lower()


def disjoint_regions(table: LabelTable, regions: Sequence[str]) -> list[list[int]]:
    """Find the labels of several regions; a label of two is of the later one, as it is smaller.

    Raises:
        ValueError: as `region_labels`, or if later regions leave nothing of one.
    """
    owner = {label: n for n, name in enumerate(regions) for label in region_labels(table, name)}
    groups = [[label for label, of in owner.items() if of == n] for n in range(len(regions))]
    if not all(groups):
        empty = regions[groups.index([])]
        raise ValueError(f"all labels of the region {empty!r} are of later ones, too: {regions}")
    return groups


def with_lesions(table: LabelTable, config: SynthesisConfig) -> LabelTable:
    """Add what a recipe adds to label maps, lesions, to a table that does not know them.

    Args:
        table: label table of the maps.
        config: recipe.

    Returns:
        The table, with a row for lesions if the recipe makes them.
    """
    label = config.lesions.lesion_label
    if not config.lesions.probability or label in table.ids:
        return table
    return replace(
        table,
        ids=(*table.ids, label),
        names=(*table.names, "lesion"),
        partners=(*table.partners, None),
        outputs=(*table.outputs, label),
        groups=(*table.groups, "lesion"),
        brain=(*table.brain, "yes"),
        sides=(*table.sides, "none"),
    )
