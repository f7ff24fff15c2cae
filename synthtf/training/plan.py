"""What to train, in all but its duration."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from synthtf.arguments import Limits, as_shape, as_whole_numbers
from synthtf.options import Options, option, options
from synthtf.ranges import Range, as_spacing

_LARGEST = 2**31 - 1


def _as_volume_shape(value: Any, name: str) -> tuple[int, ...]:
    """Check a spatial shape of two or three axes."""
    found = as_shape(value, name)
    if len(found) not in (2, 3):
        raise ValueError(f"`{name}` must have two or three sizes. Received: {name}={value!r}")
    return found


def _as_policy(value: Any, name: str) -> str:
    """Check the name of a dtype policy of Keras."""
    import keras

    try:
        keras.dtype_policies.get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be the name of a Keras dtype policy. Received: {name}={value!r}"
        ) from error
    return value


@options
class TrainingPlan(Options):
    """Everything about a training except its duration."""

    task: Any = option(text="network and objective, a `synthtf.tasks.task.Task`", flag=False)
    labels: Any = option(
        None,
        "label table, .tsv or FreeSurferColorLUT, or a `LabelTable`; without one, every value is "
        "an output label",
        metavar="TABLE",
    )
    recipe: Any = option(
        None,
        "recipe of the synthesis: its file, or the name of a preset such as tutorial or "
        "synthmorph-brains; none for the one that suits the task, see `synthtf info --recipes`",
        metavar="JSON|NAME",
    )
    scans: Any = option(
        None,
        "real scans of the label maps, for a recipe that keeps them (KeepScan): a folder with the "
        "names of the maps, or a .txt list in the order of theirs",
        metavar="SCANS",
    )
    real: Any = option(
        None,
        "real scans to learn from, instead of synthetic images or by turns with them: a table, "
        ".csv or .tsv, with the columns image and labels; for registration, without labels, with "
        "the columns moving and fixed, or a folder or .txt list of scans to draw pairs from; "
        "the steps of the recipe behind the contrast augment them",
        metavar="TABLE",
    )
    real_share: Annotated[float, Limits(0, 1)] = option(
        1.0,
        "share of the samples that are real, above 0; the others are synthesised from the label "
        "maps, or from those of the real scans if none are named",
    )
    real_remapping: Annotated[float, Limits(0, 1)] = option(
        0.0, "probability that the intensities of an image are mapped by a random curve"
    )
    spacing: Annotated[Range, as_spacing] | None = option(
        None, "voxel size in mm; none for that of the first map", metavar="MM"
    )
    shape: Annotated[Sequence[int], _as_volume_shape] | None = option(
        None,
        "voxels per axis, centred on the brain if the table knows it, else on all labels; none "
        "for the whole maps, enlarged to what the network needs",
    )
    around: Annotated[Sequence[int], as_whole_numbers] | None = option(
        None,
        "labels that the images of `shape` are centred on: at a voxel of one of them, drawn for "
        "each sample; none for the same place in all samples",
    )
    batch_size: Annotated[int, Limits(1, _LARGEST)] = option(1, "samples, or pairs, per step")
    steps_per_epoch: Annotated[int, Limits(1, _LARGEST)] = option(100, "steps between checkpoints")
    devices: Annotated[int, Limits(1, 1024)] = option(
        1, "GPUs, or processors of TensorFlow or JAX, that share the samples of each step"
    )
    precision: Annotated[str, _as_policy] = option(
        "float32", "Keras dtype policy such as mixed_bfloat16", metavar="POLICY"
    )
    jit_compile: Any = option(
        "auto", 'compile with XLA, True or False; "auto" does so where it is faster', flag=False
    )
    workers: Annotated[int, Limits(1, _LARGEST)] = option(
        1, "threads that prepare label maps ahead of the steps"
    )
    seed: Annotated[int, Limits(0, _LARGEST)] = option(
        0, "first part of every key, and seed of the initial weights"
    )
    pilot: Literal["half", "2d"] | None = option(
        None,
        "try the plan first with voxels of twice the size, or on slices; --start begins the real "
        "training with the weights of such a run",
    )
    start: Any = option(
        None,
        "run whose weights are the initial ones: with the same network, with the same U-Net but "
        "another task (its last layers are then new), or with the same detector of features; a "
        "network that labels voxels is a detector, too",
        metavar="RUN",
    )

    def __post_init__(self) -> None:
        """Check the values, and choose the recipe of the task if none is given."""
        super().__post_init__()
        if self.real is not None and not self.real_share > 0:
            raise ValueError(
                f"`real_share` must be above 0. Received: real_share={self.real_share}"
            )
        if self.real is not None and self.scans is not None:
            raise ValueError("`scans` must be left out where `real` names scans with their labels")
        if self.batch_size % self.devices:
            raise ValueError(
                f"`batch_size` must be a multiple of `devices`, {self.devices}, which share the "
                f"samples of a step. Received: batch_size={self.batch_size}"
            )
        if self.around is not None and self.shape is None:
            raise ValueError("`shape` must be given with `around`. Received: shape=None")
        if self.recipe is None:
            object.__setattr__(self, "recipe", self.task.default_recipe)
