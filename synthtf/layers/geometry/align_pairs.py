"""Affine alignment of the label maps of a pair."""

from typing import Any

import keras
from keras import ops

from synthtf.label_arguments import Labels
from synthtf.layers.base import SynthesisLayer, Tensor
from synthtf.layers.scene import Scene
from synthtf.ops.affine import fit_affine_both_ways, homogeneous, invert_affine, with_anchors
from synthtf.ops.labels import barycenter, one_hot
from synthtf.ops.matrices import matrix_sqrt

_COARSE = 2


@keras.saving.register_keras_serializable(package="synthtf")
class AlignPairs(SynthesisLayer):
    """Bring both label maps of each pair into the halfway space by an affine transform.

    It fits the centres of the structures that both have, in closed form, with equal weights. Where
    fewer than four structures leave the fit open, it is the identity.

    Args:
        labels: label values of the structures. None: in a recipe, those of the brain, or all but
            the background where the label table does not know them.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(2 · pairs, *spatial, 1)`, integer.
    Output shape: `(2 · pairs, ndim + 1, ndim + 1)`, float32, from the middle to the voxels of
        each map, about the centre.
    """

    takes, gives, from_table = ("labels",), ("transform",), ("labels",)

    def __init__(self, labels: Labels | None = None, **kwargs: Any) -> None:
        super().__init__(labels=labels, **kwargs)

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the structures."""
        if self.labels is not None:
            return {}
        return {"labels": sorted({*scene.table.brain_labels} - {0} or {*scene.table.ids} - {0})}

    def call(self, inputs: Tensor) -> Tensor:
        """Fit, and go halfway."""
        ndim = len(inputs.shape) - 2
        # A centre of mass does not need every voxel, and both maps of a pair shift alike.
        coarse = inputs[(slice(None), *[slice(None, None, _COARSE)] * ndim)]
        present = one_hot(coarse, (-1, *self.labels))[..., 1:]
        sizes = ops.cast(ops.stack(ops.shape(inputs)[1:-1]), "float32")
        unit = ops.max(sizes)
        centres = barycenter(present) * (sizes / unit)
        found = ops.max(present, axis=tuple(range(1, ndim + 1)))
        weights = found[::2] * found[1::2] / len(self.labels)
        points = with_anchors(centres[::2], centres[1::2], weights)
        half = matrix_sqrt(fit_affine_both_ways(*points))
        scale = ops.concatenate(
            [ops.ones((ndim, ndim), "float32"), ops.full((ndim, 1), unit, "float32")], axis=1
        )
        both = ops.stack([half, invert_affine(half)], axis=1)[:, :, :ndim] * scale
        return homogeneous(ops.reshape(both, (-1, ndim, ndim + 1)))

    def output_spec(self, inputs: Any) -> Any:
        """One matrix per map."""
        size = len(inputs.shape) - 1
        return keras.KerasTensor((inputs.shape[0], size, size), "float32")
