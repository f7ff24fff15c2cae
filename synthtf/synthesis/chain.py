"""A chain of symbolic layers that grows stage by stage."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from synthtf import layers
from synthtf.data.label_table import LabelTable
from synthtf.data.tissues import wholes
from synthtf.layers.base import RandomLayer, SynthesisLayer
from synthtf.synthesis.fused import (
    DisplacementOf,
    DrawOf,
    LinearSteps,
    MirrorTransform,
    SwapSides,
)
from synthtf.synthesis.stages import LABEL_MAPS, Stage

FINE_LABELS = "fine_labels"
"""Output of a model: the label map before the voxels became larger."""

# Label maps that a recipe makes are larger than the image on each side: what a transform draws
# in then is not empty.
_MARGIN = 0.15


class Chain:
    """The parts of a sample, stage by stage.

    Attributes:
        parts: symbolic tensors by name; see `SynthesisLayer`.
        targets: symbolic images that are kept, by name of the step.
        numbers: symbolic numbers that are kept, a row per sample, by name of the step.
        key: symbolic keys.
        shape: spatial shape of the images.
        fine_labels: the label map before the voxels became larger, if they did.
        wholes: mapping from labels to structures as a whole, for contrast; see `wholes`.
        is_placed: whether the parts are on the grid of the images.
        trail: where the label map comes from: a label map, the transform that moves it here, and
            the flips that swap its labels; None once a step has changed the labels themselves.
        scan_trail: where the real scan comes from, and the transform that moves it here.
    """

    def __init__(
        self,
        inputs: dict[str, Any],
        shape: tuple[int, ...],
        table: LabelTable,
        steps: Sequence[SynthesisLayer],
    ) -> None:
        self.parts = {name: inputs[name] for name in ("labels", "scan") if name in inputs}
        self.targets: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}
        self.key = inputs["key"]
        self.shape = shape
        self.fine_labels: Any = None
        self.wholes = wholes(table)
        self.is_placed = False
        self.trail: tuple[Any, Any, list[tuple[Any, Any]]] | None = (inputs["labels"], None, [])
        self.scan_trail = (inputs.get("scan"), None)
        self._of_scan: list[SynthesisLayer] = []  # whose targets move with it
        self._steps = {step.name: step for step in steps}
        self._count = 0

    def repeat_rows(self, number: int) -> None:
        """Go on with so many rows for each one that there was, next to each other."""

        def rows(tensor: Any) -> Any:
            return None if tensor is None else ops.repeat(tensor, number, axis=0)

        self.parts = {name: rows(tensor) for name, tensor in self.parts.items()}
        self.targets = {name: rows(tensor) for name, tensor in self.targets.items()}
        self.fine_labels = rows(self.fine_labels)
        if self.trail is not None:
            start, transform, flips = self.trail
            flips = [(step, rows(mirrored)) for step, mirrored in flips]
            self.trail = (rows(start), rows(transform), flips)
        self.scan_trail = tuple(rows(tensor) for tensor in self.scan_trail)

    def source(self, stage: Stage) -> None:
        """Make label maps, with a margin around the images."""
        blank = ops.reshape(ops.zeros_like(self.key[:, :1]), (-1, *(1,) * len(self.shape), 1))
        canvas = ops.tile(blank, (1, *canvas_shape(self.shape), 1))
        labels = stage.steps[0](canvas, key=self.key)
        self.parts = {"labels": labels}
        self.trail = (labels, None, [])

    def move(self, stage: Stage) -> None:
        """Compose the transforms, then move everything with one interpolation."""
        labels = self.parts["labels"]
        transform, waiting, flips = None, [], []

        def composed() -> Any:
            return self._compose([t for t in (transform, *waiting) if t is not None])

        for step in stage.steps:
            if isinstance(step, layers.RandomFlip):
                transform = composed() if waiting or transform is not None else self._identity()
                mirror = MirrorTransform([step], self.shape, name=step.name)
                transform, mirrored = mirror(transform, key=self.key)
                flips.append((step, mirrored))
                waiting = []
            else:
                random = {"key": self.key} if isinstance(step, RandomLayer) else {}
                waiting.append(step(labels, **random))
        self._move_by(composed(), flips)

    def linear(self, stage: Stage) -> None:
        """Apply one matrix per axis."""
        self._place()
        if len(stage.steps) == 1:
            return self.step(stage)
        layer = LinearSteps(stage.steps, name="_and_".join(stage.names))
        self.parts["image"] = layer(self.parts["image"], key=self.key)
        return None

    def coarsen(self, stage: Stage) -> None:
        """Give all parts, and what is kept, larger voxels."""
        self._place()
        (step,) = stage.steps
        if self.fine_labels is None:
            self.fine_labels = self.parts["labels"]
        self.parts, self.targets = step(self.parts), step(self.targets) if self.targets else {}
        self.shape = tuple(self.parts["labels"].shape[1:-1])
        self.trail, self.scan_trail = None, (self.parts.get("scan"), None)
        self._of_scan = []

    def step(self, stage: Stage) -> None:
        """Call a layer on what it takes."""
        (step,) = stage.steps
        if "scan" in step.takes and step.gives == ("target",):
            self._of_scan.append(step)
            return self._keep(step) if self.is_placed else None
        self._place()
        if "scan" in step.takes:
            shown = [self.parts[name] for name in ("scan", "image") if name in self.parts]
            self.parts["image"] = step(shown if len(shown) > 1 else shown[0])
            return None
        before = self.trail
        if step.gives == ("target",):
            return self._keep(step)
        if step.gives == ("number",):
            return self._keep_draw(step)
        if "image" in step.gives and "image" not in step.takes and "image" in self.parts:
            return self._replace_image(step)
        also = [part for part in step.also if part in self.parts]
        inputs = [self._part(part) for part in (*step.takes, *also)]
        random = {"key": self.key} if isinstance(step, RandomLayer) else {}
        outputs = step(inputs if len(inputs) > 1 else inputs[0], **random)
        for name, target in self.targets.items() if step.hides else ():
            self.targets[name] = step([target, *inputs[1:]], **random)
            self._of_scan = []
        gives = (*step.gives, *also)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        self.parts.update(zip(gives, outputs, strict=True))
        field = self.parts.pop("transform", None)
        if "maps" in step.takes and "image" in gives:
            del self.parts["maps"]  # used up
        if "labels" in gives:
            self.trail = None
            if field is None and hasattr(step, "displacement"):
                of = DisplacementOf([step], name=f"{step.name}_displacement")
                field = of(inputs[0], key=self.key)
        if field is not None and "scan" in self.parts:
            # What has been kept stays as it is where a step moves labels and image alone.
            self._of_scan = [] if "image" in gives else self._of_scan
            self._follow_with_scan(field)
        if field is not None and before is not None:
            self.trail = before
            self._follow(field, [])
        return None

    def outputs(self) -> dict[str, Any]:
        """Give the label map, the normalised image and what is kept."""
        self._place()
        found = {"labels": self.parts["labels"]}
        if self.fine_labels is not None:
            found[FINE_LABELS] = self.fine_labels
        if "image" in self.parts:
            found["image"] = layers.MinMaxNormalize(name="image")(self.parts["image"])
        return {**found, **self.targets, **self.numbers}

    def _keep(self, step: SynthesisLayer) -> None:
        """Keep a part, or the gain of a step, as a target."""
        (taken,) = step.takes
        part = self._part(taken)
        if hasattr(step, "of"):
            gain = self._steps[step.of]
            part = gain(ops.ones_like(part), key=self.key)
        self.targets[step.name] = step(part)

    def _keep_draw(self, step: SynthesisLayer) -> None:
        """Keep what a step has drawn."""
        of = DrawOf([self._steps[step.of]], step.draw, step.still, name=f"{step.name}_of_sample")
        self.numbers[step.name] = step(of(self.parts["image"], key=self.key))

    def _part(self, name: str) -> Any:
        """Give a part, or the one that it is the same as."""
        if name not in LABEL_MAPS:
            return self.parts[name]
        finer = LABEL_MAPS[: LABEL_MAPS.index(name) + 1]
        found = next(part for part in reversed(finer) if part in self.parts)
        if name == "parts" != found and any(label != v for label, v in self.wholes.items()):
            return layers.MapLabels(self.wholes, name=self._name("wholes"))(self.parts[found])
        return self.parts[found]

    def _place(self) -> None:
        """Bring the label map onto the grid of the images, if nothing has moved it there."""
        if not self.is_placed:
            self._move_by(self._identity(), [])

    def _identity(self) -> Any:
        """Identity matrices, one per sample."""
        eye = np.eye(len(self.shape) + 1, dtype="float32")
        return ops.cast(self.key[:, :1, None], "float32") * 0 + eye

    def _compose(self, transforms: Sequence[Any]) -> Any:
        """Compose transforms; the last is applied first to the positions."""
        if len(transforms) == 1:
            return transforms[0]
        return layers.ComposeTransforms(self.shape, name=self._name("transform"))(list(transforms))

    def _move_by(self, transform: Any, flips: list[tuple[Any, Any]]) -> None:
        """Move all parts; the label map from where it was before it was moved at all."""
        for part in [part for part in self.parts if part not in ("labels", "scan")]:
            move = layers.Resample(shape=self.shape, name=self._name(f"moved_{part}"))
            moved = move(self.parts[part], transform)
            self.parts[part] = self._swapped(moved, flips) if part in LABEL_MAPS else moved
        of_scan = [step.name for step in self._of_scan]
        for name in [name for name in self.targets if name not in of_scan]:
            move = layers.Resample(shape=self.shape, name=self._name(f"moved_{name}"))
            self.targets[name] = move(self.targets[name], transform)
        if "scan" in self.parts:
            self._follow_with_scan(transform)
        if self.trail is None:
            self.trail = (self.parts["labels"], None, [])
        self._follow(transform, flips)
        self.is_placed = True

    def _follow(self, transform: Any, flips: list[tuple[Any, Any]]) -> None:
        """Move the label map by one transform more, from where its trail begins."""
        start, before, earlier = self.trail
        if before is not None:
            transform = self._compose([before, transform])
        flips = [*earlier, *flips]
        self.trail = (start, transform, flips)
        move = layers.Resample(shape=self.shape, name=self._name("moved"))
        self.parts["labels"] = self._swapped(move(start, transform), flips)

    def _follow_with_scan(self, transform: Any) -> None:
        """Move the real scan by one transform more, from how it was read."""
        start, before = self.scan_trail
        if before is not None:
            transform = self._compose([before, transform])
        self.scan_trail = (start, transform)
        move = layers.Resample(shape=self.shape, name=self._name("moved_scan"))
        self.parts["scan"] = move(start, transform)
        for step in self._of_scan:
            self._keep(step)

    def _swapped(self, labels: Any, flips: list[tuple[Any, Any]]) -> Any:
        """Swap the sides of the samples that are mirrored."""
        for step, mirrored in flips:
            if step.pairs:
                labels = SwapSides([step], name=self._name("sides"))(labels, mirrored)
        return labels

    def _replace_image(self, step: SynthesisLayer) -> None:
        """Show the image of a second contrast in a share of the samples."""
        every = type(step).from_config({**step.get_config(), "probability": 1.0})
        (taken,) = step.takes
        image = every(self.parts.pop(taken) if taken == "maps" else self._part(taken), key=self.key)
        mix = layers.RandomMix(0.0, probability=1 - step.probability, name=f"{step.name}_or_random")
        self.parts["image"] = mix([image, self.parts["image"]], key=self.key)

    def _name(self, name: str) -> str:
        """Give a name that no other layer of the model has."""
        self._count += 1
        return f"{name}_{self._count}"


def canvas_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Spatial shape of the label maps that a recipe makes."""
    return tuple(n + 2 * math.ceil(_MARGIN * n) for n in shape)
