"""What the channels of SynthSeg's networks are."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BACKGROUND = "background"
TOTAL = "total intracranial"
CORTEX = (3, 42)
"""Labels of the left and the right cerebral cortex, which parcels replace."""

_MIDDLE = {0: BACKGROUND, 14: "3rd ventricle", 15: "4th ventricle", 16: "brain-stem", 24: "csf"}
# Left label, right label, name, class of topology of the left and of the right.
_SIDED = (
    (2, 41, "cerebral white matter", 4, 14),
    (3, 42, "cerebral cortex", 4, 14),
    (4, 43, "lateral ventricle", 4, 14),
    (5, 44, "inferior lateral ventricle", 4, 14),
    (7, 46, "cerebellum white matter", 5, 15),
    (8, 47, "cerebellum cortex", 5, 15),
    (10, 49, "thalamus", 6, 16),
    (11, 50, "caudate", 7, 17),
    (12, 51, "putamen", 8, 18),
    (13, 52, "pallidum", 9, 19),
    (17, 53, "hippocampus", 10, 20),
    (18, 54, "amygdala", 11, 21),
    (26, 58, "accumbens area", 12, 22),
    (28, 60, "ventral DC", 13, 23),
)
_TOPOLOGY_OF_MIDDLE = {0: 0, 14: 1, 15: 2, 16: 3, 24: 0}

# Group of the scores of quality to its labels.
_QUALITY_GROUPS = {
    "general white matter": (2, 41, 11, 50, 26, 58, 28, 60),
    "general grey matter": (3, 42),
    "general csf": (14, 15, 4, 5, 43, 44),
    "cerebellum": (7, 8, 46, 47),
    "brainstem": (16,),
    "thalamus": (10, 49),
    "putamen+pallidum": (12, 13, 51, 52),
    "hippocampus+amygdala": (17, 18, 53, 54),
}
QUALITY_NAMES = tuple(_QUALITY_GROUPS)
"""Names of the groups that have a score; group 0 is the background, which has none."""

# Desikan-Killiany, 1001 and on at the left, 2001 and on at the right; 4 is the corpus callosum.
_PARCELS = (
    *("bankssts", "caudalanteriorcingulate", "caudalmiddlefrontal", "", "cuneus", "entorhinal"),
    *("fusiform", "inferiorparietal", "inferiortemporal", "isthmuscingulate", "lateraloccipital"),
    *("lateralorbitofrontal", "lingual", "medialorbitofrontal", "middletemporal"),
    *("parahippocampal", "paracentral", "parsopercularis", "parsorbitalis", "parstriangularis"),
    *("pericalcarine", "postcentral", "posteriorcingulate", "precentral", "precuneus"),
    *("rostralanteriorcingulate", "rostralmiddlefrontal", "superiorfrontal", "superiorparietal"),
    *("superiortemporal", "supramarginal", "frontalpole", "temporalpole", "transversetemporal"),
    "insula",
)
PARCELS = {
    first + number: f"ctx-{side}-{name}"
    for first, side in ((1001, "lh"), (2001, "rh"))
    for number, name in enumerate(_PARCELS)
    if name
}
"""Label to name of each parcel of the cortex, ascending."""


@dataclass(frozen=True)
class Labels:
    """Labels of a version of SynthSeg, a channel each, ascending.

    Attributes:
        names: label to name; the first is the background.
        has_total: whether the total intracranial volume is told.
        pairs: left label to right label; none where there is one side only.
        classes: label to the class of structures that are one piece together, 0 for none.
    """

    names: dict[int, str]
    has_total: bool
    pairs: Mapping[int, int]
    classes: Mapping[int, int]

    @functools.cached_property
    def values(self) -> np.ndarray:
        """Label of each channel, int32."""
        return np.array(list(self.names), np.int32)

    @functools.cached_property
    def mirrored(self) -> np.ndarray:
        """Channel of the other side's structure, for each channel; itself in the middle."""
        other = {**self.pairs, **{right: left for left, right in self.pairs.items()}}
        return np.searchsorted(self.values, [other.get(label, label) for label in self.names])

    @functools.cached_property
    def topology(self) -> list[np.ndarray]:
        """Channels of each class of structures that are one piece together."""
        of_channel = np.array([self.classes[label] for label in self.names])
        return [np.flatnonzero(of_channel == c) for c in np.unique(of_channel) if c]

    @functools.cached_property
    def quality_groups(self) -> np.ndarray:
        """Group of the scores of quality that each channel belongs to, 0 for none."""
        group = {
            label: number
            for number, labels in enumerate(_QUALITY_GROUPS.values(), 1)
            for label in labels
        }
        return np.array([group.get(label, 0) for label in self.names])

    @functools.cached_property
    def cortex(self) -> np.ndarray:
        """Channels of the cerebral cortex."""
        return np.flatnonzero(np.isin(self.values, CORTEX))


def _version(middle: dict[int, str], has_total: bool) -> Labels:
    names, classes, pairs = dict(middle), dict(_TOPOLOGY_OF_MIDDLE), {}
    for left, right, name, left_class, right_class in _SIDED:
        names |= {left: f"left {name}", right: f"right {name}"}
        classes |= {left: left_class, right: right_class}
        pairs[left] = right
    return Labels(dict(sorted(names.items())), has_total, pairs, classes)


VERSION_2 = _version(_MIDDLE, has_total=True)
VERSION_1 = _version({v: name for v, name in _MIDDLE.items() if v != 24}, has_total=False)
