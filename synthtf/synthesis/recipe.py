"""A recipe: the layers of a synthesis, in the order in which they act."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from synthtf.arguments import Limited
from synthtf.data.label_table import LabelTable
from synthtf.data.shipped_models import nearest, recipe_file, shipped_recipes
from synthtf.data.whole_files import write_whole
from synthtf.layers import RandomRemapping, ShowScan
from synthtf.layers.base import SynthesisLayer
from synthtf.ranges import Range
from synthtf.synthesis import build
from synthtf.synthesis.entries import as_entry, as_step, check_known, remake
from synthtf.synthesis.stages import check_order, group, moves, what

_RESERVED = ("labels", "key", "image", "scan", "target", build.FINE_LABELS)


class Recipe:
    """A list of synthesis layers, from which a model of any shape, labels and voxel size is built.

    A layer takes what it needs to know about labels and voxel size from the label table and
    `spacing` of `build`, unless it is told. On disk, a recipe is the same list as JSON: each entry
    has the name of the layer, and of its arguments those that differ from their defaults.

    Args:
        steps: layers, or entries of a recipe file. The name of a layer, or else that of its class
            (`RandomFieldOfView` is "field_of_view"), is the name of the step, from which its draws
            follow.

    Raises:
        ValueError: if a name occurs twice, an entry is unknown, or a step does not find what it
            takes; the message names the step.

    Example:
    >>> from synthtf.layers import RandomAffine, RandomIntensity, RandomNoise
    >>> recipe = Recipe([RandomAffine(), RandomIntensity(), RandomNoise(std=(0, 0.05))])
    >>> recipe.names
    ('affine', 'intensity', 'noise')
    >>> recipe.entries()[2]
    {'layer': 'RandomNoise', 'std': [0, 0.05]}
    >>> Recipe(recipe.entries()) == recipe
    True

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(self, steps: Sequence[SynthesisLayer | dict[str, Any]]) -> None:
        if not isinstance(steps, list | tuple) or not steps:
            raise ValueError(
                f"a recipe must be a list of layers, at least one. Received: {steps!r}"
            )
        self.steps = tuple(as_step(step, number) for number, step in enumerate(steps, start=1))
        for number, name in enumerate(self.names):
            if name in self.names[:number] or name in _RESERVED:
                why = "occurs twice" if name in self.names[:number] else "is taken"
                raise ValueError(
                    f"step {number + 1}: the name `{name}` {why}; give the layer another `name`"
                )
        check_order(self.steps)

    @classmethod
    def preset(cls, name: str) -> "Recipe":
        """Give a recipe that comes with the package.

        Args:
            name: name of a folder in `models/` that holds a `recipe.json` and a card which tells
                where its numbers are from, such as "tutorial" or "synthseg".

        Raises:
            ValueError: if there is no such recipe.
        """
        recipes = shipped_recipes()
        if name not in recipes:
            raise ValueError(
                f"`name` must be one of {tuple(recipes)}{nearest(name, recipes)}. "
                f"Received: name={name!r}"
            )
        return cls.load(recipes[name])

    @classmethod
    def of(cls, recipe: "Recipe | Sequence | str | os.PathLike") -> "Recipe":
        """Give a recipe as it is, or from a list of layers, the name of a preset, or a file.

        Raises:
            ValueError: if it is none of these, or there is neither such a preset nor such a file.

        Example:
        >>> Recipe.of("tutorial") == Recipe.preset("tutorial")
        True
        """
        if isinstance(recipe, Recipe):
            return recipe
        if isinstance(recipe, list | tuple):
            return cls(recipe)
        if not isinstance(recipe, str | os.PathLike):
            raise ValueError(
                "`recipe` must be a `Recipe`, a list of layers, the name of a preset or the path "
                f"of a JSON file. Received: recipe={recipe!r}"
            )
        return cls.load(recipe_file(recipe))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the steps."""
        return tuple(step.name for step in self.steps)

    @property
    def makes_labels(self) -> bool:
        """Whether it makes its label maps from nothing, and needs none."""
        return not self.steps[0].takes

    @property
    def makes_image(self) -> bool:
        """Whether a step makes an image of the labels."""
        return any("image" in step.gives for step in self.steps)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the steps that keep a target, which the model gives besides the labels."""
        return tuple(step.name for step in self.steps if step.gives == ("target",))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the numbers, kept from what steps draw, which the model gives besides."""
        return tuple(step.name for step in self.steps if step.gives == ("number",))

    @property
    def needs_scans(self) -> bool:
        """Whether a step takes the real scan of each label map."""
        return any("scan" in step.takes for step in self.steps)

    @property
    def coarsening(self) -> int:
        """Voxels of the label maps along each axis of a voxel of the images."""
        return math.prod(step.factor for step in self.steps if step.coarsens)

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.steps)

    def __iter__(self) -> Iterator[SynthesisLayer]:
        """The steps in order."""
        return iter(self.steps)

    def __contains__(self, name: str) -> bool:
        """Whether a step has this name."""
        return name in self.names

    def __getitem__(self, name: str) -> SynthesisLayer:
        """Give a step by its name.

        Raises:
            ValueError: if there is none.
        """
        if name not in self.names:
            raise ValueError(
                f"the recipe has no step `{name}`{nearest(name, self.names)}; "
                f"it has {', '.join(self.names)}"
            )
        return self.steps[self.names.index(name)]

    def __eq__(self, other: object) -> bool:
        """Whether the steps are the same."""
        return isinstance(other, Recipe) and self.entries() == other.entries()

    def __hash__(self) -> int:
        """As equal recipes have equal files."""
        return hash(self.to_json())

    def __repr__(self) -> str:
        """The names of the steps."""
        return f"Recipe({', '.join(self.names)})"

    def change(self, name: str, **arguments: Any) -> "Recipe":
        """Give the recipe in which one step has other arguments.

        Args:
            name: name of the step.
            **arguments: arguments of its layer.

        Raises:
            ValueError: if there is no such step or argument, or a value does not fit.

        Example:
        >>> Recipe.preset("tutorial").change("blur", std=1)["blur"].std
        (1.0, 1.0)
        """
        step = self[name]
        check_known(arguments, step, f"step `{name}`")
        changed = remake(step, **arguments)
        return Recipe([changed if s is step else s for s in self.steps])

    def without(self, *names: str) -> "Recipe":
        """Give the recipe without some of its steps.

        Raises:
            ValueError: if there is no such step.
        """
        left_out = [self[name] for name in names]
        return Recipe([step for step in self.steps if all(step is not s for s in left_out)])

    def fine(self) -> "Recipe":
        """Give the recipe whose images are as fine as its label maps."""
        return Recipe([step for step in self.steps if not step.coarsens])

    def with_scans(self, synthetic: bool = False, remapping: float = 0.0) -> "Recipe":
        """Give the recipe that shows the real scan of each label map, with the same augmentation.

        Args:
            synthetic: whether samples without a scan show a synthetic image of their labels.
            remapping: probability that intensities are then mapped by a random curve.

        Raises:
            ValueError: if a step draws into the label maps, which the scans do not show.

        Example:
        >>> Recipe.preset("synthmorph-brains").with_scans(remapping=0.5).names
        ('warp', 'scan_image', 'remapping', 'bias', 'blur', 'gamma')
        """
        drawn = [s for s in self.steps if "labels" in s.gives and not _follows(s)]
        if drawn:
            raise ValueError(
                f"`recipe` must not change the label maps of real scans, which do not show it: "
                f"leave out {', '.join(step.name for step in drawn)}. Received: recipe={self!r}"
            )
        makers = [s for s in self.steps if "image" in s.gives and "image" not in s.takes]
        if not makers:
            raise ValueError(
                f"`recipe` must have a step that makes an image. Received: recipe={self!r}"
            )
        shown = [ShowScan()]
        if remapping:
            shown.append(RandomRemapping(probability=remapping))
        last = self.steps.index(makers[-1])
        before = [
            s
            for s in self.steps[: last + 1]
            if synthetic or s.gives == ("transform",) or "labels" in s.gives
        ]
        return Recipe([*before, *shown, *self.steps[last + 1 :]])

    def ranges(self) -> dict[str, Limited]:
        """Describe the numbers and ranges of all steps, by dotted name such as "blur.std"."""
        return {
            f"{step.name}.{name}": limited
            for step in self.steps
            for name, limited in step.ranges().items()
        }

    def extremes(self) -> "Recipe":
        """Set every range to its highest value, to look at the strongest effects."""

        def strongest(step: SynthesisLayer) -> SynthesisLayer:
            values = {name: getattr(step, name) for name in step.ranges()}
            ranges = {n: (v[1], v[1]) for n, v in values.items() if isinstance(v, tuple)}
            return remake(step, **ranges)

        return Recipe([strongest(step) for step in self.steps])

    def describe(self) -> str:
        """Say in one line per stage what is done, and which steps are one pass over the volume.

        Example:
        >>> print(Recipe.preset("synthmorph-brains").without("gamma", "bias").describe())
        1  warp       transform: the label map is moved once
        2  intensity  parts to image
        3  blur       image
        """
        stages = group(self.steps)
        named = [" + ".join(stage.names) for stage in stages]
        width = max(map(len, named))
        lines, untouched = [], True
        for number, (names, stage) in enumerate(zip(named, stages, strict=True), start=1):
            lines.append(f"{number:<2} {names:<{width}}  {what(stage, untouched)}")
            last = stage.steps[-1]
            if stage.kind == "step" and "labels" in last.gives and not moves(last):
                untouched = False
        return "\n".join(lines)

    def table(
        self,
        labels: Sequence[int] | LabelTable | str | os.PathLike | None,
        shape: Sequence[int],
        spacing: Range = 1.0,
    ) -> LabelTable:
        """Give the table of the label maps after the recipe has made or changed them.

        Args:
            labels: as for `build`. A recipe that makes its label maps uses a table if it lists all
                of their labels.
            shape: spatial shape of the images.
            spacing: mm per voxel.
        """
        return build.bind(self.steps, shape, labels, spacing)[1].table

    def build(
        self,
        shape: Sequence[int],
        labels: Sequence[int] | LabelTable | str | os.PathLike | None = None,
        spacing: Range = 1.0,
    ) -> keras.Model:
        """Build the model that turns label maps into images and targets.

        Args:
            shape: spatial shape of the output, two or three axes; before voxels become larger.
            labels: label values that occur, or a label table or its path; its `outputs` the labels
                are mapped to and whose pairs, tissues and brain labels the steps use. None: for a
                recipe that makes its label maps.
            spacing: mm per voxel of label maps and images, a scalar or one per axis; likewise.

        Returns:
            Model from `{"labels": int32 (batch, *any, 1), "key": int32 (batch, 2)}` to
            `{"image": float32 (batch, *shape, 1) in [0, 1], "labels": int32 (batch, *shape, 1)}`
            and each of the recipe's `targets`, `(batch, *shape, channels)`, and `numbers`,
            `(batch, 1)`; without an image if no step makes one. The input may be of any size: its
            centre comes to lie in the centre. If steps give the voxels `coarsening` times the
            size, all sizes are divided by that, and there is the output "fine_labels", int32
            `(batch, *shape, 1)`, too.
            If a step takes the real scan of a label map, there is the input "scan", too, float32
            `(batch, *any, 1)`.

        Raises:
            ValueError: if the shape or the label table does not fit.

        Example:
        >>> import numpy as np
        >>> model = Recipe.preset("tutorial").build((32, 32), labels=[0, 1])
        >>> maps = np.ones((1, 40, 40, 1), "int32")
        >>> sample = model({"labels": maps, "key": np.array([[0, 7]], "int32")})
        >>> tuple(sample["image"].shape)
        (1, 32, 32, 1)
        """
        return build.build(self.steps, shape, labels, spacing)

    def entries(self) -> list[dict[str, Any]]:
        """Give the list that a recipe file holds."""
        return [as_entry(step) for step in self.steps]

    def to_json(self) -> str:
        """Give the text of a recipe file, one step a line."""
        lines = (json.dumps(entry) for entry in self.entries())
        return "[\n  " + ",\n  ".join(lines) + "\n]\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read the text of a recipe file.

        Raises:
            ValueError: if it is not JSON, or as the constructor.
        """
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"recipe: not JSON, {error}") from None
        try:
            return cls(entries)
        except RecursionError:
            raise ValueError("recipe: its entries are nested too deeply") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write a recipe file."""
        write_whole(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """Read a recipe file.

        Raises:
            ValueError: if it does not hold a recipe; the message names the file.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _follows(step: SynthesisLayer) -> bool:
    """Whether the real scan follows what a step does to the label map."""
    return moves(step) or "image" in step.gives
