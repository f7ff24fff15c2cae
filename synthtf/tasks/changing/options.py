"""What can be chosen of a network that finds changes."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from synthtf.arguments import Limits, Probability
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.segmenting.options import SegmentationTask
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


def _as_names(values: Any, name: str) -> tuple[str, ...]:
    """Check names of steps, at least one."""
    found = (values,) if isinstance(values, str) else tuple(values)
    if not found or not all(isinstance(value, str) and value for value in found):
        raise ValueError(f"`{name}` must be names of steps. Received: {name}={values!r}")
    return found


def _as_known_regions(values: Any, name: str) -> tuple[int | str, ...]:
    """Check labels and names; what the command line gives as text may be a label."""
    given = [values] if isinstance(values, int | str) else list(values)
    found = tuple(int(v) if str(v).isdecimal() else v for v in given)
    if not found or not all(isinstance(v, int) or (isinstance(v, str) and v) for v in found):
        raise ValueError(
            f"`{name}` must be labels, whole numbers from 0, or names of regions, at least one. "
            f"Received: {name}={values!r}"
        )
    return found


@options
class ChangeTask(SegmentationTask):
    """A model that learns to find what has changed between two scans of one person.

    The scans show one anatomy at two visits, and differ in contrast, bias field, noise, resolution
    and position, too, which is no change; see `synthtf.synthesis.labels_to_visits`. The network
    labels a scan and is shown the other one beside it: `.task_model` maps images `(batch, *any,
    2)` in [0, 1], a scan and the other one, to the posteriors of the former, `(batch, *any,
    len(output_labels))`. It is applied to the scans in either order. The difference of the
    posteriors of a region is the share of each voxel that the region has gained (above 0) or lost
    (below 0) from the first visit to the second: its sum is the change of the volume. `.synthesis`
    gives "image", a channel for each visit, "labels", "later_labels" and "change".

    Example:
    >>> from synthtf.layers import RandomAffine, RandomErosion, RandomIntensity
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import longitudinal_change
    >>> recipe = [RandomAffine(), RandomErosion([1], name="growth"), RandomIntensity()]
    >>> small = {"network": UNetConfig(features=4, levels=2), "regions": [1], "between": ["growth"]}
    >>> longitudinal_change((32, 32), [0, 1], recipe=recipe, **small).task_model.input_shape[-1]
    2

    Reference: Freeborough and Fox, The boundary shift integral, IEEE TMI 1997, for the measure.
    """

    name: ClassVar[str] = "change"
    function: ClassVar[str] = "longitudinal_change"
    summary: ClassVar[str] = "find what has changed between two scans of one person"
    command: ClassVar[str] = "change"
    advice: ClassVar[tuple[str, ...]] = (
        "begin with the weights of a segmentation (`--start`): what it knows serves both visits",
        "list in `between` all that shall count as change; what is drawn behind these steps"
        " counts as none",
        "keep a share of pairs without any change, by `probability` of the steps",
        "try the network on two contrasts of one session, which should show none",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "changes of intensity alone, such as contrast enhancement: they are drawn at random"
        " for each visit",
        "a rate of change as a mark of a disease: volumes per year are yours to interpret",
        "thickness of the cortex: a voxel is as large",
    )
    default_recipe: ClassVar[str] = "change"

    network: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 4, max_features=64),
        text="size of the U-Net, or a Keras model to train further",
    )
    regions: Annotated[Sequence[int | str], _as_known_regions] = option(
        ("ventricle", "lesion"),
        "regions whose change is told, a channel each: labels, tissues of the table, or parts of "
        "names",
    )
    between: Annotated[Sequence[str], _as_names] = option(
        ("atrophy", "enlargement", "lesion_growth", "new_lesions"),
        "names of the steps of the recipe that happen between the visits; those before them make "
        "the anatomy, those behind them are of each visit by itself",
    )
    same_contrast: Probability = option(
        0.5, "share of the pairs whose scans have one contrast, as of one protocol"
    )
    change_weight: Annotated[float, Limits(0)] = option(
        1.0,
        "weight of the squared error of the change, as a share of the region's volume, beside the "
        "loss of the labels",
    )

    detector_size = Task.detector_size
    detector_weights = Task.detector_weights

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net of a scan and the other one."""
        from synthtf.networks import unet

        return unet(num_outputs, ndim, self.network, num_inputs=2)
