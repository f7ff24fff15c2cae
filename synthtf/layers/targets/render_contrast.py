"""A contrast that is always the same as a target."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops

from synthtf.arguments import Limits, Spacing
from synthtf.label_arguments import DistinctLabels, check_one_per_label
from synthtf.layers.base import SynthesisLayer, Tensor, as_labels
from synthtf.layers.contrast.random_tissue_maps import RandomTissueMaps, as_tissues
from synthtf.layers.contrast.signal_model import SEQUENCES, SignalModel
from synthtf.layers.scene import Scene
from synthtf.ops.labels import look_up
from synthtf.ops.linear import apply_along_axes, blur_matrix
from synthtf.ranges import Range, per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RenderContrast(SynthesisLayer):
    """Render the label map in one contrast, as a target: that of a T1-weighted scan, for example.

    Proton density and relaxation times of each tissue are in the middle of their ranges, see
    `RandomTissueMaps`, and so are the parameters of the sequence, see `SignalModel`. The brightest
    tissue is 1. A blur mixes the tissues at their borders, as voxels do.

    Args:
        sequence: name of the sequence; "mprage" is T1-weighted.
        labels: label values that may occur. None: in a recipe, those of the label table.
        tissues: tissue of each label, see `RandomTissueMaps`. None: those of the label table.
        blur: standard deviation in mm.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: the same, float32 in [0, 1].

    Raises:
        ValueError: if the sequence is unknown, or there is not one tissue per label.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 1, 2, 3], "int32").reshape(1, 4, 1, 1)
    >>> tissues = ["white matter", "gray matter", "CSF"]
    >>> layer = RenderContrast(labels=[1, 2, 3], tissues=tissues, blur=0)
    >>> [round(float(x), 1) for x in np.asarray(layer(labels)).ravel()]
    [0.0, 1.0, 0.6, 0.2]

    Reference: Iglesias et al., SynthSR: a public AI tool to turn heterogeneous clinical brain
        scans into high-resolution T1-weighted images for 3D morphometry, Science Advances 2023.
    """

    takes, gives, from_table, step_name = ("view",), ("target",), ("labels",), "contrast"

    def __init__(
        self,
        sequence: Literal[tuple(SEQUENCES)] = "mprage",
        labels: DistinctLabels | None = None,
        tissues: Annotated[Sequence[str | Sequence[Range]], as_tissues] | None = None,
        blur: Annotated[float, Limits(0, unit="mm")] = 0.5,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            sequence=sequence, labels=labels, tissues=tissues, blur=blur, spacing=spacing, **kwargs
        )
        check_one_per_label(self, "tissues")
        if self.labels is not None and self.tissues is None:
            raise ValueError("`tissues` must have one entry per label where `labels` are given")
        self._values = sorted({0, *(self.labels or ())})
        self._intensities = self._signal() if self.labels else None

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the voxel size, the labels and their tissues."""
        known = {"spacing": scene.spacing}
        if self.labels is not None:
            return known
        return {**known, "labels": scene.table.ids, "tissues": scene.table.groups}

    def call(self, inputs: Tensor) -> Tensor:
        """Look the intensities up, then blur."""
        labels = as_labels(inputs)
        each = ops.cast(ops.reshape(labels, (ops.shape(labels)[0], -1))[:, :1] * 0, "float32")
        image = look_up(each + ops.convert_to_tensor(self._intensities), labels, self._values)
        spacing = per_axis(self.spacing, len(inputs.shape) - 2)
        if not self.blur:
            return image
        std = each[:, 0] + self.blur
        sizes = image.shape[1:-1]
        return apply_along_axes(
            image, [blur_matrix(std / mm, n) for mm, n in zip(spacing, sizes, strict=True)]
        )

    def _signal(self) -> np.ndarray:
        """Signal of each label value, `(1, labels)`; 1 for the brightest, 0 for no label."""
        maps = RandomTissueMaps(self.labels, self.tissues)
        middle = {
            name: ops.full((1,), sum(bounds) / 2, "float32")
            for name, bounds in SEQUENCES[self.sequence].items()
        }
        middle["sequence"] = ops.full((1,), tuple(SEQUENCES).index(self.sequence), "int32")
        column = np.array(self._values, "int32").reshape(1, -1, 1)
        signal = SignalModel(self.sequence).transform(maps.identity(column), middle)
        found = ops.convert_to_numpy(signal)[..., 0]
        return found / max(found.max(), 1e-6)

    def output_spec(self, inputs: Any) -> Any:
        """An image of one channel."""
        return keras.KerasTensor(inputs.shape, "float32")
