"""From a conformed scan to the outputs of a network: what all tasks of one image share."""

import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.inference.conform import Box, pad_to_multiple
from synthtf.inference.foreground import foreground_box
from synthtf.inference.kept import kept_with_network
from synthtf.inference.locate import fits, locate
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import ScanBudget, explain_exhaustion
from synthtf.inference.patches.predict import predict_patches
from synthtf.inference.uncertainty import Spread
from synthtf.runs.run import Run, as_run

if TYPE_CHECKING:
    import keras

_MARGIN = 8.0  # mm by which the window grows on each side where the brain fills it
_NUMBERS = {2: "two", 3: "three"}
_SPACING = (0.3, 8.0)  # mm: outside, the header is wrong more often than the scan is special


_labelling: "weakref.WeakKeyDictionary[Run, Run]" = weakref.WeakKeyDictionary()


def load_run(model: Any, task: str, dimensions: Sequence[int] = (3,)) -> Run:
    """Give the run of a task: of a run, a folder, a name, or a model.

    A network that returns images and labels voxels, too, counts as one of segmentation.

    Args:
        model: A run, a folder, a name, or a model.
        task: Name of the task.
        dimensions: Of how many the network may be.

    Raises:
        ValueError: If it is of another task or of other dimensions.
        FileNotFoundError: If a file of it is missing.
    """
    run = as_run(model)
    if task == "segmentation" and run.task == "regression" and run.output_labels:
        run = _labelling_run(run)
    if run.task != task:
        raise ValueError(f"Expected a run of the task {task!r}. Received {run.task!r}: {run.name}")
    if len(run.spacing) not in dimensions:
        wanted = " or ".join(_NUMBERS[n] for n in dimensions)
        raise ValueError(
            f"Expected a network of {wanted} dimensions. Received one of {len(run.spacing)}: "
            f"{run.name}"
        )
    return run


def _labelling_run(run: Run) -> Run:
    """Give the part of a run that labels voxels; once for each run, as its network is compiled."""
    if run not in _labelling:
        facts = {**run.metadata, "task": "segmentation"}
        from synthtf.networks.parts import label_network

        network = label_network(run.task_model)
        recipe = None if run.folder else run.recipe
        _labelling[run] = Run(run.folder, run.table, recipe, facts, network)
    return _labelling[run]


def warn_of_spacing(volume: Volume, run: Run) -> None:
    """Warn of voxels that no head is scanned with.

    Warns:
        UserWarning: If a side of the voxels is below 0.3 mm or above 8 mm.
    """
    if min(volume.spacing) < _SPACING[0] or max(volume.spacing) > _SPACING[1]:
        sizes, known = (" x ".join(f"{mm:.3g}" for mm in s) for s in (volume.spacing, run.spacing))
        warnings.warn(
            f"{volume.name}: voxels of {sizes} mm, and the network works at {known} mm; is the "
            "voxel size in the header right?",
            UserWarning,
            stacklevel=3,
        )


def brain_box(
    run: Run,
    image: np.ndarray,
    ct: bool,
    find: Callable[[np.ndarray], np.ndarray],
    budget: ScanBudget | None = None,
    search: Callable[[Box], Box | None] | None = None,
) -> Box:
    """Part of a conformed scan to predict: the brain, or the foreground where that is small.

    Args:
        run: A training run.
        image: Conformed scan.
        ct: Whether it is in Hounsfield units.
        find: Gives for a normalised image a boolean array: what belongs to the brain.
        budget: Memory; the largest part that is likely is planned before any work.
        search: Another way to find it in the box of the foreground, see `locator`.
    """

    def find_in(window: Box) -> np.ndarray:
        return find(normalize_intensity(image[window], ct=ct))

    margin = [int(np.ceil(_MARGIN / mm)) for mm in run.spacing]
    outer = foreground_box(image, run.spacing)
    if budget is not None:
        extents = [part.stop - part.start for part in outer]
        if not fits(outer, run.shape):
            largest = zip(extents, run.shape, margin, strict=True)
            extents = [min(extent, n + 2 * extra) for extent, n, extra in largest]
        budget.plan(run.task_model, [-(-n // run.multiple) * run.multiple for n in extents])
    found = None if search is None or fits(outer, run.shape) else search(outer)
    return locate(find_in, outer, run.shape, margin) if found is None else found


class LastPrediction:
    """What a network gave for the last image: the search for a brain ends where it is predicted."""

    def __init__(self) -> None:
        self._image: np.ndarray | None = None
        self._result: np.ndarray | None = None

    def keep(self, image: np.ndarray, result: np.ndarray) -> None:
        """Keep a result, until `take` is called."""
        self._image, self._result = image, result

    def take(self, image: np.ndarray) -> np.ndarray | None:
        """Give away the result of the same image, and forget that of any other."""
        known = self._image is not None and np.array_equal(self._image, image)
        result = self._result if known else None
        self._image = self._result = None
        return result


def predict(
    run: Run,
    image: np.ndarray,
    num_outputs: int,
    mirrored: Sequence[int] | None = None,
    budget: ScanBudget | None = None,
    spread: Spread | None = None,
    last: LastPrediction | None = None,
) -> np.ndarray:
    """Apply the network of a run to a normalised image.

    Args:
        run: A training run.
        image: `(x, y, z)`, or `(x, y)` for a network of two dimensions, and with an axis of
            channels for one of several channels; of any size, padded to what the network needs.
        num_outputs: Channels that the network should have.
        mirrored: To average with the prediction on the left-right mirror image, the channel that
            shows in it what each channel shows in the image. None: no average.
        budget: Memory, which decides on patches. None: the image in one piece.
        spread: Is shown how the two predictions differ.
        last: Keeps the prediction if there is no average, and spares that of the same image.

    Returns:
        The image's shape with an axis of `num_outputs`, float32.

    Raises:
        ValueError: If the network has other outputs, or does not fit the budget.
        MemoryError: If memory runs out; says what to do.
    """
    ndim = len(run.spacing)
    padded, inner = pad_to_multiple(image, run.multiple, ndim)
    result = None if last is None else last.take(padded)
    if result is None:
        result = apply_network(run.task_model, padded, budget)
    expected = (*padded.shape[:ndim], num_outputs)
    if result.shape != expected:
        raise ValueError(
            f"Expected {num_outputs} channels, {expected}, from the "
            f"network in {run.name}. Received: {result.shape}"
        )
    if mirrored is not None:
        mirror = apply_network(run.task_model, padded[::-1], budget)[::-1]
        for channel, shown in enumerate(mirrored) if spread is not None else ():
            spread.see(channel, (result[..., channel] - mirror[..., shown])[inner])
        # Slice by slice, as they lie in memory.
        for one, other in zip(result, mirror, strict=True):
            one += other[..., mirrored]
            one /= 2
    elif last is not None:
        last.keep(padded, result)
    return result[inner]


def apply_network(
    network: "keras.Model", image: np.ndarray, budget: ScanBudget | None = None
) -> np.ndarray:
    """Apply a network to an image of a size that it takes.

    Args:
        network: Functional model of one image.
        image: `(x, y, z)`, or `(x, y, z, channels)` for a network of several channels; without z
            for one of two dimensions.
        budget: Memory, which decides on patches. None: the image in one piece.

    Returns:
        `(x, y, z, outputs)`, float32.

    Raises:
        ValueError: If the network does not fit the budget.
        MemoryError: If memory runs out; says what to do.
    """
    ndim = len(network.inputs[0].shape) - 2
    shape = image.shape[:ndim]
    patch = None if budget is None else budget.plan(network, shape)
    if patch is not None and all(p >= n for p, n in zip(patch, shape, strict=True)):
        patch = None
    with explain_exhaustion(shape, patch):
        if patch is not None:
            return predict_patches(network, image, patch)
        image = np.ascontiguousarray(image if image.ndim > ndim else image[..., None], np.float32)
        return np.require(_compiled(network)(image[None])[0], np.float32, "W")


@kept_with_network
def _compiled(network: "keras.Model") -> Callable[[np.ndarray], np.ndarray]:
    from synthtf import xla

    return xla.traced_once(network)
