"""The stages of a recipe: steps that are carried out together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synthtf.layers.base import SynthesisLayer

LABEL_MAPS = ("labels", "view", "parts")
"""Parts of a sample that hold labels, the coarser first: each is the one before unless changed."""


@dataclass(frozen=True)
class Stage:
    """Neighbouring steps that take one pass over the volume.

    Attributes:
        kind: "source" for label maps made from nothing, "move" for transforms that become one,
            "linear" for matrices that become one per axis, "coarsen" for larger voxels, or "step".
        steps: the layers, in their order.
    """

    kind: str
    steps: tuple[SynthesisLayer, ...]

    @property
    def names(self) -> list[str]:
        """Names of the steps."""
        return [step.name for step in self.steps]


def group(
    steps: Sequence[SynthesisLayer], alike: Callable[[SynthesisLayer], object] | None = None
) -> list[Stage]:
    """Group steps into stages.

    Args:
        steps: the layers, in their order.
        alike: only neighbours for which it gives the same are grouped. None: all may be.
    """
    stages: list[Stage] = []
    for step in steps:
        kind = _kind(step)
        fits = not stages or alike is None or alike(step) == alike(stages[-1].steps[-1])
        if stages and fits and stages[-1].kind == kind and kind in ("move", "linear"):
            stages[-1] = Stage(kind, (*stages[-1].steps, step))
        else:
            stages.append(Stage(kind, (step,)))
    return stages


def _kind(step: SynthesisLayer) -> str:
    if not step.takes:
        return "source"
    if step.gives == ("transform",):
        return "move"
    if step.coarsens:
        return "coarsen"
    return "linear" if step.is_linear else "step"


def check_order(steps: Sequence[SynthesisLayer]) -> None:
    """Check that each step finds what it takes, and that none comes too late.

    Raises:
        ValueError: if one does not; the message names the step.
    """
    made_by: dict[str, str] = {}
    for number, step in enumerate(steps):
        where = f"step {number + 1}, `{step.name}` ({type(step).__name__})"
        if not step.gives:
            raise ValueError(f"{where}: gives neither labels nor an image, so it is no step")
        if not step.takes and number:
            raise ValueError(f"{where}: makes label maps from nothing, so it must come first")
        if "scan" in step.takes and not steps[0].takes:
            raise ValueError(f"{where}: the label maps that the recipe makes have no scans")
        for part in step.takes:
            if part not in made_by and part not in (*LABEL_MAPS, "scan"):
                raise ValueError(f"{where}: takes {_A[part]}, but no step before it makes one")
        of = getattr(step, "of", None)
        if of is not None and of not in [earlier.name for earlier in steps[:number]]:
            raise ValueError(f"{where}: no step before it has the name `{of}`")
        still = next((earlier for earlier in steps[:number] if earlier.is_still), None)
        if still is not None and "transform" in step.gives:
            raise ValueError(
                f"{where}: moves the label map, so it must come before `{still.name}`, which has "
                "measured it"
            )
        coarse = next((earlier for earlier in steps[:number] if earlier.coarsens), None)
        if coarse is not None and {*step.gives, *step.also} & {*LABEL_MAPS}:
            raise ValueError(
                f"{where}: changes the label map, so it must come before `{coarse.name}`, behind "
                "which labels are shares of voxels"
            )
        _check_late(step, made_by, where)
        for part in step.gives:
            if part not in ("labels", "target", "number"):
                made_by.setdefault(part, step.name)
        if "maps" in step.takes and "image" in step.gives:
            made_by.pop("maps", None)  # used up


_A = {"image": "an image", "maps": "tissue maps", "transform": "a transform"}


def _check_late(step: SynthesisLayer, made_by: dict[str, str], where: str) -> None:
    """Refuse a step that changes labels which others have been made of already."""
    follow = {"labels": ("view", "parts", "maps", "image"), "view": ("parts", "maps", "image")}
    follow["parts"] = ("maps", "image")
    changed = [part for part in LABEL_MAPS if part in step.gives]
    # What changes the image along with the target may come at any time.
    for part in changed if step.takes and "image" not in step.gives else ():
        for made in follow[part]:
            if made in made_by and made not in (*step.gives, *step.also):
                raise ValueError(
                    f"{where}: changes the label map, so it must come before `{made_by[made]}`, "
                    f"which has made the {made} of it"
                )


def moves(step: SynthesisLayer) -> bool:
    """Whether a step has a displacement that can be composed with others."""
    return "transform" in step.gives or hasattr(step, "displacement")


def what(stage: Stage, untouched: bool) -> str:
    """Say what a stage does; `untouched` if no step before it has changed the labels themselves."""
    together = len(stage.steps) > 1
    if stage.kind == "source":
        return "makes the label map"
    if stage.kind == "coarsen":
        return f"all: voxels of {stage.steps[0].factor} times the size"
    if stage.kind == "move":
        transforms = f"{len(stage.steps)} transforms, composed" if together else "transform"
        return f"{transforms}: the label map is moved once"
    step = stage.steps[0]
    if stage.kind == "linear" and together:
        return f"image: {len(stage.steps)} linear steps, multiplied into one matrix per axis"
    if moves(step):
        once = "its displacement is composed with the transforms before it"
        return f"labels: {once if untouched else 'moved once more, as they were changed before'}"
    taken, given = ", ".join(step.takes), ", ".join(step.gives)
    return given if taken == given else f"{taken} to {given}"
