"""What a task is: its options, and what follows from them."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from synthtf.options import Options, options_of, signature_of
from synthtf.ranges import Range, per_axis

if TYPE_CHECKING:
    import numpy as np

    from synthtf.data.label_table import LabelTable
    from synthtf.networks.sizes import DetectorConfig
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel


class Task(Options):
    """A task: its network, its objective and their options; abstract.

    A subclass is a dataclass of options with at least a `network`. From its fields come the
    arguments of the function in `synthtf.tasks`, the flags of `synthtf train` and `synthtf check`,
    and what `run.json` says. Its docstring is that of the function, too.

    Attributes:
        name: name of the task, as `synthtf train` and `run.json` have it.
        function: name of the function in `synthtf.tasks` that makes the model.
        summary: what the network does, after "train a network to".
        maps_per_sample: label maps that make one training sample, that of the model it builds.
        takes_pairs: whether it learns from pairs of real scans, without labels.
        needs_brain: whether a label table must say what the brain is.
        default_recipe: name of the recipe that is taken if none is given.
        has_stages: whether its network is made by several trainings, see `stages`.
        command: what uses its network on scans, as in a shell.
        advice: what experience advises for a training, a clause each; `synthtf check` and
            docs/tasks.md show it.
        unsuited: what its network cannot learn from synthetic images, likewise.
    """

    name: ClassVar[str]
    function: ClassVar[str]
    summary: ClassVar[str]
    maps_per_sample: ClassVar[int] = 1
    takes_pairs: ClassVar[bool] = False
    needs_brain: ClassVar[bool] = False
    default_recipe: ClassVar[str] = "heads"
    has_stages: ClassVar[bool] = False
    command: ClassVar[str] = ""
    advice: ClassVar[tuple[str, ...]] = ()
    unsuited: ClassVar[tuple[str, ...]] = ()

    @property
    def multiple(self) -> int:
        """Number that every size of the images must be a multiple of."""
        return self.network.multiple

    @property
    def width(self) -> int:
        """Features of the first level of the network."""
        return self.network.features

    def make_network(self, ndim: int, num_outputs: int) -> Any:
        """Build the task network alone, for images of `ndim` axes; implemented by each task."""
        raise NotImplementedError(f"{type(self).__name__} must implement `make_network`")

    def target_channels(self, num_outputs: int) -> int:
        """Channels of the maps that the objective compares and the network does not make."""
        return 0

    def build(
        self,
        shape: tuple[int, ...],
        table: "LabelTable",
        spacing: Range,
        recipe: Any,
        network: Any = None,
    ) -> "CombinedModel":
        """Build the combined model, by `build` of the module `model` in the folder of the task.

        Args:
            shape: spatial shape of the images.
            table: label table.
            spacing: mm per voxel.
            recipe: recipe of the synthesis.
            network: Keras model to train instead of a new one of the size in the options.
        """
        folder = type(self).__module__.rpartition(".")[0]
        model = importlib.import_module(f"{folder}.model")
        return model.build(self, shape, table, spacing, recipe, network)

    def make(
        self,
        shape: Sequence[int],
        labels: Any,
        spacing: Range = 1.0,
        recipe: Any = None,
        network: Any = None,
    ) -> "CombinedModel":
        """Make the combined model, which can be trained, used and kept as a run.

        Args:
            shape: spatial shape of the synthetic images, two or three axes.
            labels: label values that occur, or a label table or its path.
            spacing: mm per voxel, a scalar or one per axis. A recipe with `AverageDown` makes
                images of larger voxels of both, which the network works on.
            recipe: recipe of the synthesis: its name, its file, or as it is. None: the
                `default_recipe`.
            network: Keras model to train instead of a new one of the size in the options.

        Raises:
            ValueError: if the shape is not a multiple of what the network needs, or an argument is
                out of range.
        """
        from synthtf.networks import network_multiple
        from synthtf.synthesis import Recipe

        shape, facts = tuple(shape), self.facts()
        recipe = Recipe.of(self.default_recipe if recipe is None else recipe)
        if not recipe.makes_image:
            raise ValueError(
                "`recipe` must have a step that makes an image, such as RandomIntensity. "
                f"Received: recipe={recipe!r}"
            )
        spacing = per_axis(spacing, len(shape))
        if network is not None:
            facts.update(network=None, multiple=math.gcd(network_multiple(network), *shape))
        elif any(n % (multiple := self.multiple * recipe.coarsening) for n in shape):
            raise ValueError(
                f"`shape` must be a multiple of {multiple} along each axis for this network and "
                f"recipe. Received: shape={shape}"
            )
        table = recipe.table(labels, shape, spacing)
        model = self.build(shape, table, spacing, recipe, network)
        image = next(x for name, x in model.synthesis.output.items() if "labels" not in name)
        channels = [x.shape[-1] for x in model.task_model.inputs]
        if image.shape[-1] not in channels:
            raise ValueError(
                f"`network` must take the channels of the recipe's images, {image.shape[-1]}. "
                f"Received: a network of {channels[0]}"
            )
        facts["shape"] = [n // recipe.coarsening for n in shape]
        facts["spacing"] = [mm * recipe.coarsening for mm in spacing]
        facts["output_labels"] = list(model.output_labels)
        facts.update(model.facts)
        model.describe(table, recipe, facts)
        return model

    def stages(self, table: "LabelTable") -> "dict[str, tuple[Task, LabelTable]]":
        """Give the trainings that a network of this task is made by, if there are several.

        Args:
            table: table of the labels that occur in the label maps.

        Returns:
            By the name of its folder, the task of each training and its label table.
        """
        return {}

    def join(self, folder: Path, runs: "Sequence[Run]") -> "Run":
        """Write the run of a network made of those of all `stages`; implemented by such a task.

        Args:
            folder: folder of the run.
            runs: runs of the stages, in their order.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `join`")

    def facts(self) -> dict[str, Any]:
        """What `run.json` shall say; a run with other facts is not resumed."""
        return {"task": self.name, "multiple": self.multiple, **self.to_dict()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Task":
        """Give the options of a run from its `run.json`."""
        known = options_of(cls)
        # None, where there must be a value: one that JSON cannot hold, such as a Keras model.
        return cls.from_dict(
            {
                name: facts[name]
                for name, described in known.items()
                if name in facts and (facts[name] is not None or described.argument.optional)
            }
        )

    def starting_from(self, run: "Run") -> "Task":
        """Give the task whose network can begin with the weights of a run."""
        return self

    def copy_weights(self, run: "Run", target: "Run") -> None:
        """Let the network of a run begin with the weights of another run.

        Those of a run of another task are taken up to the features that its outputs share: what
        each task makes of them is its own.

        Args:
            run: with the weights.
            target: whose network gets them.

        Raises:
            ValueError: if the run has another network.
        """
        if run.task == self.name:
            pair = run.task_model.weights, target.task_model.weights
        else:
            from synthtf.networks import trunk_weights

            pair = trunk_weights(run.task_model), trunk_weights(target.task_model)
        if not pair[0] or not copied(*pair):
            raise ValueError(f"{run.name}: has another network than the one to be trained")

    def detector_size(self, run: "Run") -> "DetectorConfig":
        """Give the size of the network of a run of this task as a detector of features.

        Raises:
            ValueError: if it cannot serve as one.
        """
        raise ValueError(f"{run.name}: a network of the task {self.name} cannot be a detector")

    def detector_weights(self, run: "Run") -> "list[np.ndarray] | None":
        """Give the weights of the detector of a run of this task; None if it has none."""
        return None


def copied(source: Sequence[Any], target: Sequence[Any]) -> bool:
    """Copy weights if all are of the same shapes, and say whether they are.

    A kernel of a network of two dimensions becomes the middle of one of three, see `as_kernel`.
    The first kernel of a network of more input channels is 0 for those that are new.
    """
    if len(source) != len(target):
        return False
    source = [_with_inputs(source[0], tuple(target[0].shape)), *source[1:]] if source else []
    values = [as_kernel(old, tuple(new.shape)) for old, new in zip(source, target, strict=True)]
    if any(value is None for value in values):
        return False
    for value, new in zip(values, target, strict=True):
        new.assign(value)
    return True


def _with_inputs(weight: Any, shape: tuple[int, ...]) -> Any:
    """Give a kernel as many input channels as one of a shape, if it has fewer."""
    if len(weight.shape) < 4 or len(shape) < 4 or weight.shape[-2] >= shape[-2]:
        return weight
    import numpy as np

    added = (*weight.shape[:-2], shape[-2] - weight.shape[-2], weight.shape[-1])
    return np.concatenate([np.asarray(weight, "float32"), np.zeros(added, "float32")], axis=-2)


def as_kernel(weight: Any, shape: tuple[int, ...]) -> Any:
    """Give a weight of a network as one of a shape, or None if it cannot be.

    Slices that a network of three dimensions sees through such a kernel are what the network of two
    dimensions saw: it looks at neighbours within axial slices alone.

    Args:
        weight: variable or array.
        shape: its own shape, or that of a kernel with a third axis in space.

    Example:
    >>> import numpy as np
    >>> kernel = as_kernel(np.ones((3, 3, 1, 1)), (3, 3, 3, 1, 1))
    >>> kernel.sum(axis=(0, 1)).ravel().tolist()
    [0.0, 9.0, 0.0]
    """
    if tuple(weight.shape) == shape:
        return weight
    if len(shape) != 5 or (*shape[:2], *shape[3:]) != tuple(weight.shape):
        return None
    import numpy as np

    kernel = np.zeros(shape, "float32")
    kernel[:, :, shape[2] // 2] = np.asarray(weight, "float32")
    return kernel


def task_function(task: type[Task]) -> "Callable[..., CombinedModel]":
    """Make the function that makes the model of a task, with the task's options as arguments."""

    def make(
        shape: Sequence[int],
        labels: Any,
        spacing: Range = 1.0,
        recipe: Any = None,
        **options: Any,
    ) -> "CombinedModel":
        network = options.get("network")
        own = None if network is None or isinstance(network, Options) else network
        if own is not None:
            del options["network"]
        return task(**options).make(shape, labels, spacing, recipe, own)

    make.__name__ = make.__qualname__ = task.function
    make.__module__ = "synthtf.tasks"
    make.__signature__ = signature_of(make, task)
    text = task.__doc__.replace("Attributes:\n", _ARGUMENTS, 1)
    make.__doc__ = text.replace("Example:\n", f"{_RESULT}Example:\n", 1)
    return make


_ARGUMENTS = """Args:
    shape: spatial shape of the synthetic images, two or three axes.
    labels: label values that occur, or a label table or its path.
    spacing: mm per voxel, a scalar or one per axis. A recipe with `AverageDown` makes images of
        larger voxels from both, which the network works on.
    recipe: recipe of the synthesis: its name, its file, or as it is. None: the one that suits the
        task.
"""
_RESULT = """Returns:
    Keras model that fits on `synthtf.data.LabelMaps`. `.synthesis` makes images and targets,
    `.task_model` is the network alone, `.save_run(folder)` keeps it with all that is needed to use
    it.

Raises:
    ValueError: if the shape is not a multiple of what the network needs, or an argument is out of
        range.

"""
