"""Random affine matrices."""

from typing import Annotated, Any

import keras
import numpy as np
from keras import ops, tree

from synthtf.arguments import Limits, Offset, Spacing
from synthtf.layers.base import RandomLayer, Tensor
from synthtf.ops.affine import affine_matrix, in_voxels
from synthtf.ranges import Range, per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomAffine(RandomLayer):
    """Draw an affine matrix per sample.

    `A = T R Z E` (translation, rotation, scaling, shear) about the centre of the
    volume, from output to input positions. Every parameter is drawn uniformly
    per sample and axis.

    Args:
        translation: `(low, high)`, mm.
        rotation: `(low, high)`, degrees; three angles in 3D, one in 2D.
        scaling: `(low, high)`, ratio; above one the anatomy shrinks.
        shear: `(low, high)`, off-diagonal entries.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, any dtype; only its rank matters.
    Output shape: `(batch, ndim + 1, ndim + 1)`, float32, in voxels.

    Raises:
        ValueError: if a range is reversed or a scaling is not positive.

    Example:
    >>> import numpy as np
    >>> layer = RandomAffine(rotation=0, scaling=1, shear=0, translation=(5, 5), spacing=2)
    >>> matrix = layer(np.zeros((1, 8, 8, 8, 1), "int32"))
    >>> np.round(np.asarray(matrix)[0, :3, 3], 3).tolist()
    [2.5, 2.5, 2.5]

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    takes, gives = ("labels",), ("transform",)

    def __init__(
        self,
        translation: Offset = (-30, 30),
        rotation: Annotated[Range, Limits(-360, 360, "degrees")] = (-30, 30),
        scaling: Annotated[Range, Limits(1e-3)] = (0.9, 1.1),
        shear: Annotated[Range, Limits()] = (-0.1, 0.1),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            translation=translation,
            rotation=rotation,
            scaling=scaling,
            shear=shear,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw translation (mm), rotation (degrees), scaling and shear."""
        ndim = len(shape) - 2
        sizes = {"translation": ndim, "scaling": ndim}
        turns = 1 if ndim == 2 else 3
        sizes.update(rotation=turns, shear=turns)
        return {
            name: self.uniform(key, name, getattr(self, name), (n,)) for name, n in sizes.items()
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Build the matrices."""
        names = ("translation", "rotation", "scaling", "shear")
        matrix = affine_matrix(*(draws[name] for name in names))
        return in_voxels(matrix, per_axis(self.spacing, matrix.shape[-1] - 1))

    def identity(self, inputs: Tensor) -> Tensor:
        """Identity matrices, which broadcast over the batch."""
        ndim = len(tree.flatten(inputs)[0].shape) - 2
        return ops.convert_to_tensor(np.eye(ndim + 1, dtype="float32")[None])

    def output_spec(self, inputs: Any) -> Any:
        """One matrix per sample."""
        shape = tree.flatten(inputs)[0].shape
        return keras.KerasTensor((shape[0], len(shape) - 1, len(shape) - 1), "float32")
