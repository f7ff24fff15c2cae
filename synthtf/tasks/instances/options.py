"""What can be chosen of instance segmentation."""

import functools
from typing import TYPE_CHECKING, Annotated, ClassVar

from synthtf.arguments import Limits
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


@options
class InstancesTask(Task):
    """A model that learns to tell star-convex objects apart, in images of any contrast.

    Each label of the label maps is one object, as `RandomSpheres` makes them. `.synthesis` gives
    images and label maps; `.task_model` maps images `(batch, *any, 1)` in [0, 1] to `(batch, *any,
    1 + rays)`: the logit of the object probability, and distances along rays to the border of the
    object, in mm; see `synthtf.layers.StarDistances`.

    Example:
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import instance_segmentation
    >>> model = instance_segmentation((32, 32), [0, 1], rays=8, network=UNetConfig(4, 2))
    >>> model.task_model.output.shape
    (None, None, None, 9)

    Reference: Schmidt et al., Cell detection with star-convex polygons, MICCAI 2018; Weigert et
        al., WACV 2020; Dey et al., AnyStar, WACV 2024.
    """

    name: ClassVar[str] = "instances"
    function: ClassVar[str] = "instance_segmentation"
    summary: ClassVar[str] = "tell objects of one kind apart, such as cells"
    default_recipe: ClassVar[str] = "anystar"
    command: ClassVar[str] = "instances"
    advice: ClassVar[tuple[str, ...]] = (
        "let sizes and distances of the spheres go beyond those of your objects; count rays "
        "by the finest outline that matters",
        "choose the threshold by a few images with counted objects",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "objects that are not star-convex, such as branching cells or vessels: some of their "
        "border is seen from no inner point",
    )

    network: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 4, max_features=64),
        text="size of the U-Net, or a Keras model to train further",
    )
    rays: Annotated[int, Limits(3)] = option(
        32, "directions in which the distance to the border of an object is learned"
    )
    limit: Annotated[float, Limits(1e-3, unit="mm")] = option(30.0, "largest distance to learn, mm")
    distance_weight: Annotated[float, Limits(0)] = option(
        0.2, "weight of the error of the distances in mm beside that of the probability"
    )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net; its outputs are a logit and the distances."""
        from synthtf.networks import unet

        return unet(1 + self.rays, ndim, self.network, final_activation=None)
