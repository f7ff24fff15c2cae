"""The ranges of a recipe, one frozen block per layer, as JSON on disk."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthtf.data.shipped_models import shipped_recipes
from synthtf.synthesis import blocks


@dataclass(frozen=True)
class SynthesisConfig:
    """All ranges of `labels_to_image`, with the tutorial's starter ranges as defaults.

    A step whose probability is zero is left out of the model. A block may be given as the dict of
    its values.

    Example:
    >>> from synthtf.synthesis import blocks
    >>> config = SynthesisConfig(blur=blocks.Blur(std=(0, 1)))
    >>> SynthesisConfig.from_json(config.to_json()) == config
    True

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025,
        Table II.
    """

    source: blocks.Source = field(default_factory=blocks.Source)
    shapes: blocks.Shapes = field(default_factory=blocks.Shapes)
    spheres: blocks.Spheres = field(default_factory=blocks.Spheres)
    vessels: blocks.Vessels = field(default_factory=blocks.Vessels)
    affine: blocks.Affine = field(default_factory=blocks.Affine)
    warp: blocks.Warp = field(default_factory=blocks.Warp)
    flip: blocks.Flip = field(default_factory=blocks.Flip)
    structures: blocks.Structures = field(default_factory=blocks.Structures)
    erosion: blocks.Erosion = field(default_factory=blocks.Erosion)
    atrophy: blocks.Atrophy = field(default_factory=blocks.Atrophy)
    lesions: blocks.Lesions = field(default_factory=blocks.Lesions)
    subdivision: blocks.Subdivision = field(default_factory=blocks.Subdivision)
    field_of_view: blocks.FieldOfView = field(default_factory=blocks.FieldOfView)
    intensity: blocks.Intensity = field(default_factory=blocks.Intensity)
    signal: blocks.Signal = field(default_factory=blocks.Signal)
    transmit_field: blocks.TransmitField = field(default_factory=blocks.TransmitField)
    texture: blocks.Texture = field(default_factory=blocks.Texture)
    bias: blocks.Bias = field(default_factory=blocks.Bias)
    coils: blocks.Coils = field(default_factory=blocks.Coils)
    cupping: blocks.Cupping = field(default_factory=blocks.Cupping)
    streaks: blocks.Streaks = field(default_factory=blocks.Streaks)
    blur: blocks.Blur = field(default_factory=blocks.Blur)
    distortion: blocks.Distortion = field(default_factory=blocks.Distortion)
    chemical_shift: blocks.ChemicalShift = field(default_factory=blocks.ChemicalShift)
    motion: blocks.Motion = field(default_factory=blocks.Motion)
    slice_motion: blocks.SliceMotion = field(default_factory=blocks.SliceMotion)
    ghosting: blocks.Ghosting = field(default_factory=blocks.Ghosting)
    undersampling: blocks.Undersampling = field(default_factory=blocks.Undersampling)
    partial_fourier: blocks.PartialFourier = field(default_factory=blocks.PartialFourier)
    truncation: blocks.Truncation = field(default_factory=blocks.Truncation)
    spikes: blocks.Spikes = field(default_factory=blocks.Spikes)
    zipper: blocks.Zipper = field(default_factory=blocks.Zipper)
    noise: blocks.Noise = field(default_factory=blocks.Noise)
    gamma: blocks.Gamma = field(default_factory=blocks.Gamma)
    slices: blocks.Slices = field(default_factory=blocks.Slices)
    resolution: blocks.Resolution = field(default_factory=blocks.Resolution)
    thick_slices: blocks.ThickSlices = field(default_factory=blocks.ThickSlices)
    slice_intensity: blocks.SliceIntensity = field(default_factory=blocks.SliceIntensity)
    cleared_slices: blocks.ClearedSlices = field(default_factory=blocks.ClearedSlices)
    remapping: blocks.Remapping = field(default_factory=blocks.Remapping)
    window: blocks.Window = field(default_factory=blocks.Window)
    inversion: blocks.Inversion = field(default_factory=blocks.Inversion)
    clip: blocks.Clip = field(default_factory=blocks.Clip)
    quantization: blocks.Quantization = field(default_factory=blocks.Quantization)
    deface: blocks.Deface = field(default_factory=blocks.Deface)
    skull_strip: blocks.SkullStrip = field(default_factory=blocks.SkullStrip)
    padding: blocks.Padding = field(default_factory=blocks.Padding)

    def __post_init__(self) -> None:
        """Make blocks of dicts."""
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _as_block(getattr(self, f.name), f))

    @classmethod
    def preset(cls, name: str) -> "SynthesisConfig":
        """Give a recipe that comes with the package.

        Args:
            name: of a folder in `models/` that holds a `recipe.json` and a card which tells
                where its numbers are from, such as "tutorial" (the defaults) or "synthseg".

        Raises:
            ValueError: if there is no such recipe.
        """
        recipes = shipped_recipes()
        if name not in recipes:
            raise ValueError(f"`name` must be one of {tuple(recipes)}. Received: name={name!r}")
        return cls.load(recipes[name])

    def extremes(self) -> "SynthesisConfig":
        """Set both bounds of every range to the maximum, to look at the strongest effect."""

        def block(value: Any) -> Any:
            highest = {name: (high, high) for name, (_, high) in value.ranges().items()}
            return dataclasses.replace(value, **highest)

        return SynthesisConfig(
            **{f.name: block(getattr(self, f.name)) for f in dataclasses.fields(self)}
        )

    def to_dict(self) -> dict[str, Any]:
        """Give nested dicts, one per block; without those that are off, as by default."""
        default = SynthesisConfig()
        return {
            f.name: dataclasses.asdict(block)
            for f in dataclasses.fields(self)
            for block in [getattr(self, f.name)]
            if getattr(block, "probability", 0) or block != getattr(default, f.name)
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SynthesisConfig":
        """Make a config from nested dicts; what is left out keeps its default.

        Raises:
            ValueError: if a name is unknown or a range is bad.
        """
        _refuse_unknown(values, [f.name for f in dataclasses.fields(cls)], "recipe")
        for name, entries in values.items():
            if not isinstance(entries, dict):
                raise ValueError(f"recipe: `{name}` must be an object. Received: {entries!r}")
        return cls(**values)

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


def _as_block(value: Any, item: dataclasses.Field) -> Any:
    kind = item.default_factory
    if isinstance(value, kind):
        return value
    if not isinstance(value, dict):
        raise ValueError(
            f"`{item.name}` must be a `blocks.{kind.__name__}` or a dict of its values. "
            f"Received: {item.name}={value!r}"
        )
    _refuse_unknown(value, [f.name for f in dataclasses.fields(kind)], item.name)
    return kind(**value)


def _refuse_unknown(given: Any, known: Any, where: str) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f"{where}: unknown name {name!r}; the known ones are {sorted(known)}")
