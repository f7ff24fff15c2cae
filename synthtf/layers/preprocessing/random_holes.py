"""Random holes in images."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits, Millimetres, Probability, Proportion, Spacing
from synthtf.label_arguments import LARGEST_WHOLE, Regions
from synthtf.layers.anatomy.lesion_bank import as_folder
from synthtf.layers.anatomy.random_lesions import RandomLesions
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.layers.scene import Scene
from synthtf.ranges import WholeRange


@keras.saving.register_keras_serializable(package="synthtf")
class RandomHoles(RandomLayer):
    """Cut holes into an image, as lesions are shaped, and add a channel that says where they are.

    What was there becomes 0. With the image before that as a target (`KeepImage`), a network
    learns to fill holes with what their surroundings suggest. Holes are drawn as `RandomLesions`
    draws lesions: blobs within given labels, and masks of real lesions from a bank.

    Args:
        within: label values that holes lie in, or, in a recipe, names of regions of the label
            table. Default: cerebral white matter.
        num_holes: `(low, high)`, holes per sample, whole numbers.
        size: `(low, high)`, mm, mean diameter; drawn per hole.
        irregularity: `(low, high)`, largest relative deviation of the radius, in [0, 1]; drawn per
            hole. 0: spheres.
        bank: folder of masks of real lesions, see `RandomLesions`. None: no bank.
        bank_probability: chance that a sample that is changed gets holes from the bank.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `[image, labels]`, float `(batch, *spatial, channels)` and integer
        `(batch, *spatial, 1)`.
    Output shape: `(batch, *spatial, channels + 1)`, float32; the last channel is 1 in holes.

    Raises:
        ValueError: if a label is negative, or a range reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> image, labels = np.ones((1, 32, 32, 1), "float32"), np.full((1, 32, 32, 1), 2, "int32")
    >>> found = np.asarray(RandomHoles(num_holes=2, size=6)([image, labels]))
    >>> found.shape, bool(np.all(found[..., 0] == 1 - found[..., 1]))
    ((1, 32, 32, 2), True)

    Reference: Pathak et al., Context encoders: feature learning by inpainting, CVPR 2016, for
        learning to fill what was cut out.
    """

    takes, gives, from_table = ("image", "labels"), ("image",), ("within",)

    def __init__(
        self,
        within: Regions = (2, 41),
        num_holes: Annotated[WholeRange, Limits(0, 1000)] = (1, 20),
        size: Millimetres = (3, 15),
        irregularity: Proportion = (0, 0.6),
        bank: Annotated[str, as_folder] | None = None,
        bank_probability: Probability = 0.5,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            within=within,
            num_holes=num_holes,
            size=size,
            irregularity=irregularity,
            bank=bank,
            bank_probability=bank_probability,
            spacing=spacing,
            **kwargs,
        )
        self._lesions = RandomLesions(
            self.within,
            LARGEST_WHOLE,
            self.num_holes,
            self.size,
            self.irregularity,
            bank=self.bank,
            bank_probability=self.bank_probability,
            spacing=self.spacing,
        )

    def build(self, *shapes: Any) -> None:
        """Mark the layer that draws as built: it has no weights."""
        self._lesions.built = True

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find where holes lie, and see that the bank can be read."""
        return self._lesions.bind(scene)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw what `RandomLesions` draws."""
        return self._lesions.draw(key, shape)

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Cut the holes, and say where they are."""
        marked = self._lesions.transform(inputs[1], draws)
        hole = ops.cast(ops.equal(marked, LARGEST_WHOLE), "float32")
        return ops.concatenate([as_image(inputs[0]) * (1.0 - hole), hole], axis=-1)

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """The image, and no hole."""
        image = as_image(inputs[0])
        return ops.concatenate([image, ops.zeros_like(image[..., :1])], axis=-1)

    def output_spec(self, inputs: list[Any]) -> Any:
        """A channel more."""
        *shape, channels = inputs[0].shape
        return keras.KerasTensor((*shape, channels + 1), "float32")
