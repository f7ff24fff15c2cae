"""What a recipe knows about its images: all that a step may need to be told."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthtf.data.label_table import LabelTable


@dataclass(frozen=True)
class Scene:
    """Grid and labels at one point of a recipe.

    Attributes:
        shape: spatial shape of the images.
        spacing: mm per voxel, a scalar or one per axis.
        table: labels of the label map, with what the steps so far have added.
        parts: labels that a structure has been divided into for its contrast, new to old.
    """

    shape: tuple[int, ...]
    spacing: Any
    table: "LabelTable"
    parts: dict[int, int] = field(default_factory=dict)

    def labels(self, regions: Sequence[int | str]) -> list[int]:
        """Give the labels of regions, see `region_labels`; a label stands for itself."""
        return [label for group in self.label_groups(regions) for label in group]

    def label_groups(self, regions: Sequence[int | str | Sequence[int]]) -> list[list[int]]:
        """Give the labels of each region. A label of two regions is of the later one.

        Raises:
            ValueError: as `region_labels`, or if later regions leave nothing of one.
        """
        found = [
            region_labels(self.table, region)
            if isinstance(region, str)
            else list(region if hasattr(region, "__len__") else [region])
            for region in regions
        ]
        owner = {label: n for n, labels in enumerate(found) for label in labels}
        groups = [[label for label, of in owner.items() if of == n] for n in range(len(found))]
        if not all(groups):
            empty = regions[groups.index([])]
            raise ValueError(
                f"all labels of the region {empty!r} are of later ones, too: {tuple(regions)}"
            )
        return groups

    @property
    def contrast_labels(self) -> tuple[int, ...]:
        """All labels that get an intensity: those of the table, and the parts."""
        return (*self.table.ids, *self.parts)

    def groups(self, share: str | None) -> list[int] | None:
        """Number the labels so that those that share their intensities have the same number.

        A part shares with the same part of the labels that its structure shares with.

        Args:
            share: "sides", "tissues", or None: each label by itself.
        """
        number = {label: label for label in self.table.ids}
        if share == "sides":
            number.update({right: left for left, right in self.table.pairs})
        elif share == "tissues":
            names = sorted(set(self.table.groups))
            rows = zip(self.table.ids, self.table.groups, strict=True)
            number = {label: names.index(tissue) for label, tissue in rows}
        elif not self.parts:
            return None
        count: dict[int, int] = {}
        groups = [(number[label], 0) for label in self.table.ids]
        for old in self.parts.values():
            count[old] = count.get(old, 0) + 1
            groups.append((number[old], count[old]))
        ranked = sorted(set(groups), key=lambda group: group[::-1])
        order = {group: index for index, group in enumerate(ranked)}
        return [order[group] for group in groups]

    def tissues(self) -> list[str]:
        """Name the tissue of each label."""
        tissue = dict(zip(self.table.ids, self.table.groups, strict=True))
        return [tissue[self.parts.get(label, label)] for label in self.contrast_labels]

    def brain_tissues(self) -> list[int]:
        """Number the tissue of each label; what surrounds the brain has no tissue in common."""
        names = sorted(set(self.table.groups))
        rows = zip(self.table.ids, self.table.groups, self.table.brain, strict=True)
        number = {v: names.index(g) if brain != "no" else len(names) + v for v, g, brain in rows}
        return [number[self.parts.get(label, label)] for label in self.contrast_labels]

    def brain(self, step: str) -> tuple[int, ...]:
        """Give the labels of the brain.

        Args:
            step: name of the step that needs them.

        Raises:
            ValueError: if the table does not know the brain.
        """
        if not self.table.brain_labels:
            raise ValueError(
                f"`{step}` needs to know the brain: give a label table whose column `brain` says "
                "yes for some labels, or leave the step out"
            )
        return self.table.brain_labels

    def csf(self) -> list[int]:
        """Give the labels of the CSF around the brain."""
        rows = zip(self.table.ids, self.table.brain, strict=True)
        return [label for label, brain in rows if brain == "csf"]

    def with_label(self, label: int, name: str) -> "Scene":
        """Add a label of the brain that the table does not list."""
        if label in self.table.ids:
            return self
        row = {
            "ids": label,
            "names": name,
            "outputs": label,
            "groups": name,
            "brain": "yes",
            "sides": "none",
        }
        return dataclasses.replace(self, table=self.table.with_rows([row]))


def region_labels(table: "LabelTable", region: str) -> list[int]:
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
    >>> from synthtf.data.label_table import LabelTable
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
            f"no label of the table is of the region {region!r}; must be left, right, brain, "
            f"outside, a tissue ({', '.join(sorted(set(table.groups)))}) or a part of a name"
        )
    return found


def _is_in(region: str, name: str, side: str, group: str, brain: str) -> bool:
    if region in ("left", "right"):
        return side == region and brain == "yes"
    if region in ("brain", "outside"):
        return (brain != "yes") == (region == "outside")
    return region == group or region.lower() in name.lower()
