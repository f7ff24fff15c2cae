"""Blocks of the layers in `synthtf.layers.anatomy`."""

from dataclasses import dataclass

from synthtf.ranges import Range
from synthtf.synthesis.blocks.base import Block, Names, Numbers


@dataclass(frozen=True)
class Structures(Block):
    """Of `RandomStructures`; each region goes as a whole. Names as for `region_labels`."""

    regions: Names = ("left", "right", "brainstem", "outside")
    removal_probability: float = 0.5
    keep_one: bool = True
    probability: float = 0.0


@dataclass(frozen=True)
class Erosion(Block):
    """Of `RandomErosion`, at the border of the brain: mm."""

    distance: Range = (-2, 2)
    roughness: Range = (0, 1)
    roughness_size: Range = (10, 40)
    probability: float = 0.0


@dataclass(frozen=True)
class Atrophy(Block):
    """Of `RandomAtrophy`: mm. Each region changes as one structure; as for `region_labels`."""

    regions: Names = ("ventricle",)
    volume_change: Range = (0.7, 1.5)
    decay: Range = 20.0
    choice: str = "all"
    probability: float = 0.0


@dataclass(frozen=True)
class Lesions(Block):
    """Of `RandomLesions`: mm. The label joins the table of the recipe."""

    within: Numbers = (2, 41)
    lesion_label: int = 77
    num_lesions: Range = (1, 20)
    size: Range = (2, 15)
    irregularity: Range = (0, 0.6)
    probability: float = 0.0


@dataclass(frozen=True)
class Subdivision(Block):
    """Of `RandomSubdivision`: mm. What it splits, as for `region_labels`; none: all labels."""

    regions: Names = ()
    num_parts: int = 2
    size: Range = (5, 30)
    probability: float = 0.0
