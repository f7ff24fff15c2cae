"""From a conformed scan to the outputs of a network: what all tasks of one image share."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.conform import pad_to_multiple
from synthtf.inference.foreground import foreground_box
from synthtf.inference.locate import Box, locate
from synthtf.inference.normalize import normalize_intensity

if TYPE_CHECKING:
    from synthtf.tasks.run import Run

_MARGIN = 8.0  # mm by which the window grows on each side where the brain fills it


def load_run(model: "Run | str | PathLike", task: str) -> "Run":
    """Load a run of a task in three dimensions, or check one.

    Raises:
        ValueError: If it is of another task or of two dimensions.
        FileNotFoundError: If a file of it is missing.
    """
    if isinstance(model, str | PathLike):
        from synthtf.tasks.run import Run

        model = Run.load(model)
    if model.task != task:
        raise ValueError(
            f"Expected a run of the task {task!r}. Received {model.task!r}: {model.folder}"
        )
    if len(model.spacing) != 3:
        raise ValueError(
            f"Expected a network of three dimensions. Received one of {len(model.spacing)}: "
            f"{model.folder}"
        )
    return model


def brain_box(
    run: "Run", image: np.ndarray, ct: bool, find: Callable[[np.ndarray], np.ndarray]
) -> Box:
    """Part of a conformed scan to predict: the brain, or the foreground where that is small.

    Args:
        run: A training run.
        image: Conformed scan.
        ct: Whether it is in Hounsfield units.
        find: Gives for a normalised image a boolean array: what belongs to the brain.
    """

    def find_in(window: Box) -> np.ndarray:
        return find(normalize_intensity(image[window], ct=ct))

    margin = [int(np.ceil(_MARGIN / mm)) for mm in run.spacing]
    return locate(find_in, foreground_box(image, run.spacing), run.shape, margin)


def predict(
    run: "Run", image: np.ndarray, num_outputs: int, mirrored: Sequence[int] | None = None
) -> np.ndarray:
    """Apply the network of a run to a normalised image.

    Args:
        run: A training run.
        image: `(x, y, z)`, of any size; it is padded to what the network needs.
        num_outputs: Channels that the network should have.
        mirrored: To average with the prediction on the left-right mirror image, the channel that
            shows in it what each channel shows in the image. None: no average.

    Returns:
        `(x, y, z, num_outputs)`, float32.

    Raises:
        ValueError: If the network has other outputs.
    """
    padded, inner = pad_to_multiple(image, run.multiple)
    batch = padded[None, ..., None]
    # predict_on_batch compiles once for all shapes on TensorFlow; called directly, a
    # functional model would hold every intermediate tensor to the end.
    result = np.array(run.task_model.predict_on_batch(batch)[0], np.float32)
    if result.shape != (*padded.shape, num_outputs):
        raise ValueError(
            f"Expected {num_outputs} channels, {(*padded.shape, num_outputs)}, from the network "
            f"in {run.folder}. Received: {result.shape}"
        )
    if mirrored is not None:
        mirror = run.task_model.predict_on_batch(np.ascontiguousarray(batch[:, ::-1]))[0]
        result += np.asarray(mirror, np.float32)[::-1][..., list(mirrored)]
        result /= 2
    return result[inner]
