"""The ranges of a recipe, one frozen block per layer, as JSON on disk."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthtf.ranges import Range, as_range

_BOUNDS = {
    "scaling": (1e-3, float("inf")),
    "strength": (0, float("inf")),
    "control_points": (2, float("inf")),
    "proportion": (0, 1),
    "drop": (0, 1),
    "std": (0, float("inf")),
    "gamma": (1e-3, float("inf")),
    "factor": (1, float("inf")),
}


_KINDS = {str: "a name", bool: "true or false", int: "a whole number", float: "a number"}


def _is(value: Any, kind: type) -> bool:
    """Whether JSON's value is of a kind; true and false are no numbers."""
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


class _Block:
    """Normalises ranges to tuples and checks them when a block is made."""

    def __post_init__(self) -> None:
        """Normalise and check."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            name = f"{type(self).__name__.lower()}.{item.name}"
            if item.type == Range:
                bounds = _BOUNDS.get(item.name, (-float("inf"), float("inf")))
                object.__setattr__(self, item.name, as_range(value, name, *bounds))
            elif not _is(value, item.type):
                raise ValueError(f"`{name}` must be {_KINDS[item.type]}. Received: {value!r}")
            elif item.name.endswith("probability"):
                as_range(value, name, 0, 1)


@dataclass(frozen=True)
class Affine(_Block):
    """Of `RandomAffine`: mm, degrees, ratio, off-diagonal entries."""

    translation: Range = (-30, 30)
    rotation: Range = (-30, 30)
    scaling: Range = (0.9, 1.1)
    shear: Range = (-0.1, 0.1)
    probability: float = 1.0


@dataclass(frozen=True)
class Warp(_Block):
    """Of `RandomWarp`: strength in mm."""

    strength: Range = (0, 20)
    control_points: Range = (2, 16)
    noise: str = "perlin"
    diffeomorphic: bool = True
    integration_steps: int = 5
    probability: float = 1.0


@dataclass(frozen=True)
class Flip(_Block):
    """Of `RandomFlip`: needs left-right pairs in the label table."""

    axis: int = 0
    probability: float = 0.0


@dataclass(frozen=True)
class FieldOfView(_Block):
    """Of `RandomFieldOfView`; `labels` also crops the label map that the task sees."""

    proportion: Range = (0, 0.2)
    labels: bool = False
    probability: float = 1.0


@dataclass(frozen=True)
class Intensity(_Block):
    """Of `RandomIntensity`; `share` is "none", or "sides" or "tissues" of the label table."""

    mean: Range = (0, 1)
    std: Range = (0, 0)
    share: str = "none"
    background_probability: float = 0.5

    def __post_init__(self) -> None:
        """Normalise and check."""
        super().__post_init__()
        if self.share not in ("none", "sides", "tissues"):
            raise ValueError(
                '`intensity.share` must be "none", "sides" or "tissues". '
                f"Received: share={self.share!r}"
            )


@dataclass(frozen=True)
class Bias(_Block):
    """Of `RandomBiasField`."""

    drop: Range = (0, 0.5)
    control_points: Range = (2, 4)
    form: str = "linear"
    std: Range = (0, 0.7)
    probability: float = 1.0


@dataclass(frozen=True)
class Blur(_Block):
    """Of `RandomBlur`: mm."""

    std: Range = (0, 2)
    probability: float = 1.0


@dataclass(frozen=True)
class Noise(_Block):
    """Of `RandomNoise`: share of the intensity range."""

    std: Range = (0, 0.1)
    distribution: str = "gaussian"
    probability: float = 1.0


@dataclass(frozen=True)
class Gamma(_Block):
    """Of `RandomGamma`."""

    gamma: Range = (0.5, 1.5)
    probability: float = 1.0


@dataclass(frozen=True)
class Resolution(_Block):
    """Of `RandomResolution`: voxel size in mm."""

    factor: Range = (1, 4)
    mode: str = "anisotropic"
    probability: float = 1.0


@dataclass(frozen=True)
class ThickSlices(_Block):
    """Of a second `RandomResolution`, across one axis: slice thickness in mm."""

    factor: Range = (1, 8)
    probability: float = 0.0


@dataclass(frozen=True)
class ClearedSlices(_Block):
    """Of `RandomClearedSlices`."""

    proportion: Range = (0, 0.1)
    probability: float = 0.0


@dataclass(frozen=True)
class SkullStrip(_Block):
    """Of `RandomMask`: all but the brain of the label table set to zero."""

    probability: float = 0.0


@dataclass(frozen=True)
class SynthesisConfig:
    """All ranges of `labels_to_image`, with the tutorial's starter ranges as defaults.

    A step whose probability is zero is left out of the model.

    Example:
    >>> config = SynthesisConfig(blur=Blur(std=(0, 1)))
    >>> SynthesisConfig.from_json(config.to_json()) == config
    True

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025,
        Table II.
    """

    affine: Affine = Affine()
    warp: Warp = Warp()
    flip: Flip = Flip()
    field_of_view: FieldOfView = FieldOfView()
    intensity: Intensity = Intensity()
    bias: Bias = Bias()
    blur: Blur = Blur()
    noise: Noise = Noise()
    gamma: Gamma = Gamma()
    resolution: Resolution = Resolution()
    thick_slices: ThickSlices = ThickSlices()
    cleared_slices: ClearedSlices = ClearedSlices()
    skull_strip: SkullStrip = SkullStrip()

    @classmethod
    def preset(cls, name: str) -> "SynthesisConfig":
        """Give a published recipe.

        Args:
            name: "tutorial" (the defaults), "synthseg", "heads", "synthmorph-brains", or
                "synthmorph-shapes", for label maps of `shapes_to_labels`.

        Raises:
            ValueError: if there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"`name` must be one of {tuple(PRESETS)}. Received: name={name!r}")
        return cls.from_dict(PRESETS[name])

    def extremes(self) -> "SynthesisConfig":
        """Set both bounds of every range to the maximum, to look at the strongest effect."""

        def block(value: Any) -> Any:
            names = [f.name for f in dataclasses.fields(value) if f.type == Range]
            return dataclasses.replace(value, **{n: (getattr(value, n)[1],) * 2 for n in names})

        return SynthesisConfig(
            **{f.name: block(getattr(self, f.name)) for f in dataclasses.fields(self)}
        )

    def to_dict(self) -> dict[str, Any]:
        """Give nested dicts, one per block."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SynthesisConfig":
        """Make a config from nested dicts; what is left out keeps its default.

        Raises:
            ValueError: if a name is unknown or a range is bad.
        """
        blocks = {f.name: f.type for f in dataclasses.fields(cls)}
        _refuse_unknown(values, blocks, "recipe")
        made = {}
        for name, entries in values.items():
            kind = type(getattr(cls, name))
            if not isinstance(entries, dict):
                raise ValueError(f"recipe: `{name}` must be an object. Received: {entries!r}")
            _refuse_unknown(entries, [f.name for f in dataclasses.fields(kind)], name)
            made[name] = kind(**entries)
        return cls(**made)

    def to_json(self) -> str:
        """Give the text of a recipe file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "SynthesisConfig":
        """Read the text of a recipe file.

        Raises:
            ValueError: if it is not JSON, or as `from_dict`.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"recipe: not JSON, {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"recipe: expected an object. Received: {values!r}")
        return cls.from_dict(values)

    def save(self, path: str | Path) -> None:
        """Write a recipe file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "SynthesisConfig":
        """Read a recipe file.

        Raises:
            ValueError: if it does not hold a recipe; the message names the file.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _refuse_unknown(given: Any, known: Any, where: str) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f"{where}: unknown name {name!r}; the known ones are {sorted(known)}")


# Hoffmann et al., SynthMorph, IEEE TMI 2022; voxelmorph's scripts/tf/train_synthmorph.py and
# neurite's labels_to_image_old: no affine, intensities of 0-255 divided by 255, and gamma as
# uniform as exp(N(0, 0.25²)) is wide. What the blocks do not express: the velocity's SD of each
# scale is drawn by itself; blurring comes before the bias field; images are clipped at 255;
# label maps are flipped along random axes without swapping left and right.
_SYNTHMORPH: dict[str, Any] = {
    "affine": {"probability": 0.0},
    "field_of_view": {"probability": 0.0},
    "intensity": {
        "mean": (25 / 255, 225 / 255),
        "std": (5 / 255, 25 / 255),
        "background_probability": 0.8,
    },
    "bias": {"form": "exponential", "control_points": (4, 5), "std": (0, 0.3)},
    "blur": {"std": (0, 1)},
    "noise": {"probability": 0.0},
    "gamma": {"gamma": (0.65, 1.54)},
    "resolution": {"probability": 0.0},
}

PRESETS: dict[str, dict[str, Any]] = {
    "tutorial": {},
    # SynthSeg/labels_to_image_model.py and scripts/tutorials/3-training.py, with intensities
    # of 0-255 divided by 255, voxels of 1 mm, and a velocity field of SD 4 drawn on a lattice
    # of 0.04 of the size, which reaches about 2.5 SD.
    "synthseg": {
        "affine": {
            "translation": (0, 0),
            "rotation": (-15, 15),
            "scaling": (0.8, 1.2),
            "shear": (-0.012, 0.012),
        },
        "warp": {"strength": (0, 10), "control_points": (6, 6), "noise": "value"},
        "flip": {"probability": 0.5},
        "field_of_view": {"probability": 0.0},
        "intensity": {
            "mean": (25 / 255, 225 / 255),
            "std": (5 / 255, 25 / 255),
            "share": "sides",
            "background_probability": 0.5,
        },
        "bias": {"form": "exponential", "control_points": (4, 4), "std": (0, 0.7)},
        "blur": {"probability": 0.0},
        "noise": {"probability": 0.0},
        "gamma": {"gamma": (0.5, 2.0)},
        "resolution": {"mode": "isotropic", "factor": (1, 4), "probability": 0.1},
        "thick_slices": {"factor": (1, 8), "probability": 0.85},
    },
    # For whole-head maps and scans of any kind: poses of real scans, left-right flips,
    # textured tissue, and skull-stripped images some of the time.
    "heads": {
        "affine": {
            "translation": (-20, 20),
            "rotation": (-15, 15),
            "scaling": (0.88, 1.12),
            "shear": (-0.05, 0.05),
        },
        "warp": {"strength": (0, 8), "control_points": (3, 12)},
        "flip": {"probability": 0.5},
        "field_of_view": {"proportion": (0, 0.15), "probability": 0.2},
        "intensity": {"std": (0, 0.08), "share": "sides", "background_probability": 0.2},
        "bias": {"form": "exponential", "control_points": (2, 4), "std": (0, 0.35)},
        "blur": {"std": (0, 1.5)},
        "noise": {"std": (0, 0.06)},
        "gamma": {"gamma": (0.6, 1.6)},
        "resolution": {"mode": "isotropic", "factor": (1, 3), "probability": 0.3},
        "thick_slices": {"factor": (2, 6), "probability": 0.4},
        "skull_strip": {"probability": 0.35},
    },
    # Velocities of an SD of up to 0.5 voxels of 2 mm, every 16 mm of 160-192 mm. The strength is
    # the largest velocity, about four times the SD in the volume, to which interpolation between
    # its points has brought the published one: about half.
    "synthmorph-brains": {
        **_SYNTHMORPH,
        "warp": {"strength": (0, 2), "control_points": (11, 13), "noise": "gaussian"},
    },
    # The sum of velocities of an SD of up to 3 voxels of 2 mm, every 8, 16 and 32 mm; here each
    # sample and axis draws one scale, with the SD of the sum. Both images of a pair show the
    # same shapes, as of `labels_to_pairs` with `same_anatomy`.
    "synthmorph-shapes": {
        **_SYNTHMORPH,
        "warp": {"strength": (0, 25), "control_points": (6, 25), "noise": "gaussian"},
    },
}
