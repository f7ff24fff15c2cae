"""One range of a recipe swept from low to high, with everything else as it was."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthtf import figures
from synthtf.data.label_maps import LabelMaps
from synthtf.data.paths import output_in
from synthtf.synthesis import SynthesisConfig, load_recipe
from synthtf.training.plan import TrainingPlan
from synthtf.training.samples import picture, synthesis_of, synthesize

STEPS = 6


def ranges_of(config: SynthesisConfig) -> dict[str, tuple[float, float]]:
    """Give the ranges of a recipe that are wider than one number, by dotted name.

    Example:
    >>> ranges_of(SynthesisConfig())["bias.drop"]
    (0.0, 0.5)
    """
    return {
        f"{block}.{name}": (low, high)
        for block in config.to_dict()
        for name, (low, high) in getattr(config, block).ranges().items()
        if low < high
    }


def with_value(config: SynthesisConfig, name: str, value: float) -> SynthesisConfig:
    """Give a recipe in which a range is one number, and its step is applied to every sample.

    Args:
        config: recipe.
        name: dotted, such as "bias.drop".
        value: within the range.
    """
    block, entry = name.split(".")
    entries = config.to_dict()
    entries[block][entry] = (value, value)
    if "probability" in entries[block]:
        entries[block]["probability"] = 1.0
    return SynthesisConfig.from_dict(entries)


def steps_of(config: SynthesisConfig, name: str, steps: int = STEPS) -> list[float]:
    """Give evenly spaced values of a range, its bounds included.

    Raises:
        ValueError: if the recipe has no such range, or it is one number.
    """
    ranges = ranges_of(config)
    if name not in ranges:
        raise ValueError(
            f"expected the name of a range that is wider than one number, such as "
            f"{next(iter(ranges), 'bias.drop')}; the recipe has {', '.join(ranges)}. "
            f"Received: {name}"
        )
    return np.linspace(*ranges[name], steps).tolist()


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
    config = load_recipe(plan.recipe)
    values = steps_of(config, name, steps)
    columns = []
    for value in values:
        synthesis = synthesis_of(maps, plan, with_value(config, name, value))
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
