"""Blocks of the layers in `synthtf.layers.anatomy`."""

from dataclasses import dataclass

from synthtf.ranges import Range
from synthtf.synthesis.blocks.base import Block, Names, Numbers, Values

SOURCES = ("maps", "shapes", "spheres", "vessels")


@dataclass(frozen=True)
class Source(Block):
    """Where label maps come from: "maps" of the user, or made from nothing by a layer.

    Those are "shapes", "spheres" and "vessels", with the block of that name.
    """

    kind: str = "maps"

    def __post_init__(self) -> None:
        """Normalise and check."""
        super().__post_init__()
        if self.kind not in SOURCES:
            raise ValueError(f"`source.kind` must be one of {SOURCES}. Received: {self.kind!r}")


@dataclass(frozen=True)
class Shapes(Block):
    """Of `RandomShapes`: mm."""

    num_labels: Range = 26
    size: Range = (32, 64)
    warp_strength: Range = (0, 16)
    control_points: Range = (3, 11)


@dataclass(frozen=True)
class Spheres(Block):
    """Of `RandomSpheres`: mm."""

    radius: Range = (4, 10)
    distance: Range = (20, 32)
    jitter: float = 0.25
    dropped: Range = (0, 0.33)
    irregularity: Range = (0, 0.4)


@dataclass(frozen=True)
class Vessels(Block):
    """Of `RandomVessels`: mm."""

    num_trees: Range = (1, 5)
    radius: Range = (1, 3)
    length: Range = (20, 60)
    num_levels: int = 5
    tortuosity: Range = (0, 1)
    label_by: str = "vessel"


@dataclass(frozen=True)
class Structures(Block):
    """Of `RandomStructures`; each region goes as a whole. Names as for `region_labels`.

    There is one removal probability for each region, or one for all.
    """

    regions: Names = ("left", "right", "brainstem", "outside")
    removal_probability: Values = (0.5,)
    keep_one: bool = True
    probability: float = 0.0


@dataclass(frozen=True)
class Erosion(Block):
    """Of `RandomErosion`: mm. The border is that of all regions together, see `region_labels`."""

    regions: Names = ("brain",)
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
