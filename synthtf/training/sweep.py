"""One range of a recipe swept from low to high, with everything else as it was."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from synthtf import figures
from synthtf.data.label_maps import LabelMaps
from synthtf.data.paths import output_in
from synthtf.synthesis import Recipe
from synthtf.training.plan import TrainingPlan
from synthtf.training.samples import picture, synthesis_of, synthesize

STEPS = 6


def steps_of(recipe: Recipe, name: str, steps: int = STEPS) -> list[float]:
    """Give evenly spaced values of a range of a recipe, its bounds included.

    Args:
        recipe: recipe.
        name: dotted, such as "bias.drop".
        steps: number of values; of a range of whole numbers, there may be fewer.

    Raises:
        ValueError: if the recipe has no such range, or it is one number.

    Example:
    >>> steps_of(Recipe.preset("tutorial"), "bias.drop", 3)
    [0.0, 0.25, 0.5]
    """
    ranges = {n: (r.low, r.high) for n, r in recipe.ranges().items() if r.low != r.high}
    if name not in ranges:
        raise _unknown(name, "a range that is wider than one number", ranges)
    values = np.linspace(*ranges[name], steps)
    if all(isinstance(bound, int) for bound in ranges[name]):
        return np.unique(np.round(values).astype(int)).tolist()
    return values.tolist()


def check_name(recipe: Recipe, name: str) -> None:
    """Check that a recipe has a range, or a number with limits.

    Raises:
        ValueError: if it has none of this name.
    """
    if name not in recipe.ranges():
        raise _unknown(name, "a range", recipe.ranges())


def _unknown(name: str, what: str, known: Mapping[str, object]) -> ValueError:
    return ValueError(
        f"expected the name of {what}, such as {next(iter(known), 'bias.drop')}; the recipe has "
        f"{', '.join(known)}. Received: {name}"
    )


def sweep(
    maps: LabelMaps,
    plan: TrainingPlan,
    name: str,
    folder: str | Path,
    numbers: Sequence[int],
    steps: int = STEPS,
) -> Path:
    """Draw samples in rows, with a range of the recipe fixed from low to high along each row.

    All draws but this one are those of the sample, as they follow from its key. The step that the
    range belongs to is applied to all, whatever its probability. Volumes are shown by their middle
    axial slice.

    Args:
        maps: Made by `synthtf.training.samples.open_maps`.
        plan: The same plan.
        name: Of the range, dotted, such as "bias.drop".
        folder: Made if it does not exist.
        numbers: Of the samples, one per row.
        steps: Columns.

    Returns:
        `vary_NAME.png` in the folder.

    Raises:
        ValueError: If there is no such range.
    """
    recipe = Recipe.of(plan.recipe)
    values = steps_of(recipe, name, steps)
    step, argument = name.split(".")
    columns = []
    for value in values:
        varied = recipe.change(step, **{argument: value, "probability": 1.0})
        synthesis = synthesis_of(maps, plan, varied)
        images = (synthesize(synthesis, maps, n, compiled=False)["image"] for n in numbers)
        columns.append([_axial(picture(image)) for image in images])
    shown, titles = [], []
    for row, number in enumerate(numbers):
        for column, value in enumerate(values):
            shown.append(columns[column][row])
            titles.append(f"{name} {value:.3g}\nkey {maps.seed}, {number}")
    path = output_in(Path(folder), f"vary_{name}.png")
    return figures.contact_sheet(shown, path, titles, columns=len(values))


def _axial(image: np.ndarray) -> np.ndarray:
    """The middle slice: of all three planes, steps side by side would be too small to compare."""
    return image[:, :, image.shape[2] // 2] if image.ndim == 3 else image
