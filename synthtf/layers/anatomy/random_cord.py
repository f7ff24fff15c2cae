"""Label maps of a spinal cord in a neck, made from nothing."""

from typing import Annotated, Any

import keras
from keras import ops, tree

from synthtf import random
from synthtf.arguments import Limits, PositiveMillimetres, Spacing
from synthtf.layers.anatomy.label_source import LabelSource
from synthtf.layers.base import Tensor, expand
from synthtf.ops.noise import value_noise
from synthtf.ops.resampling import axis_grid
from synthtf.ranges import Range, per_axis

_TISSUES = 3
_LABELS = ("white matter", "grey matter", "CSF", "dura", "vertebra", "disc", "arch")
"""What the labels from 1 on are; the next ones are tissues around the spine."""


@keras.saving.register_keras_serializable(package="synthtf")
class RandomCord(LabelSource):
    """Replace label maps by a spinal cord with its canal, vertebrae, and tissues around.

    The axes are right, anterior and superior, the cord runs along the last one; in 2D, it is an
    axial slice. Across, cord, canal and vertebral body are ellipses. The grey matter is a
    butterfly: two horns `| |x| - c - d y² | < w + v y` in coordinates `x` and `y` in which the cord
    is the unit circle, and a bar between them. Along the cord, vertebrae and discs alternate, and
    arches with gaps. What lies around is parted by smooth noise. The cord is straight: let a
    transform bend it.

    Args:
        radius: `(low, high)`, mm, half the width of the cord.
        flatness: `(low, high)`, depth of the cord, relative to its width.
        canal: `(low, high)`, mm of CSF around the cord; drawn for width and depth.
        body: `(low, high)`, mm from the canal to the skin.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone keeps its label map.

    Input shape: `(batch, *spatial, channels)`; unless `probability` is below 1, only its shape
        matters.
    Output shape: `(batch, *spatial, 1)`, int32: 0 air, 1 white matter, 2 grey matter, 3 CSF, 4
        dura and ligaments, 5 vertebrae, 6 discs, 7 arches, 8 to 10 tissues around.

    Raises:
        ValueError: if a range is reversed or out of bounds, or if the spatial shape is not known.

    Example:
    >>> import numpy as np
    >>> labels = np.asarray(RandomCord()(np.zeros((1, 64, 64, 1), "int32")))
    >>> labels.shape, int(labels[0, 32, 32, 0]) in (1, 2)
    ((1, 64, 64, 1), True)

    Reference: widths and depths from Frostell et al., A review of the segmental diameter of the
        healthy human spinal cord, Frontiers in Neurology 2016, widened.
    """

    def __init__(
        self,
        radius: PositiveMillimetres = (4.5, 8),
        flatness: Annotated[Range, Limits(0.2, 2)] = (0.5, 0.85),
        canal: PositiveMillimetres = (1, 5),
        body: PositiveMillimetres = (30, 70),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            radius=radius, flatness=flatness, canal=canal, body=body, spacing=spacing, **kwargs
        )

    def largest_label(self, shape: tuple[int | None, ...]) -> int:
        """Give the largest label that can occur, whatever the shape of the input."""
        return len(_LABELS) + _TISSUES

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw sizes in mm, shares, and the noise that parts the tissues."""
        points = (_TISSUES, *(6,) * (len(shape) - 2))
        ranges = {
            "radius": self.radius,
            "flatness": self.flatness,
            "canal_width": self.canal,
            "canal_depth": self.canal,
            "offset": (-0.4, 0.4),
            "horn": (0.28, 0.45),
            "bend": (0.0, 0.25),
            "horn_width": (0.08, 0.15),
            "widening": (0.0, 0.1),
            "bar": (0.08, 0.16),
            "dura": (0.5, 2.5),
            "bone": (3.0, 7.0),
            "vertebra_width": (8.0, 15.0),
            "vertebra_depth": (6.0, 10.0),
            "process": (1.5, 4.0),
            "period": (13.0, 22.0),
            "disc": (0.2, 0.35),
            "gap": (0.2, 0.5),
            "phase": (0.0, 1.0),
            "body": self.body,
        }
        draws = {name: self.uniform(key, name, bounds) for name, bounds in ranges.items()}
        return {**draws, "noise": random.uniform(random.fold_in(key, "noise"), points, 0.0, 1.0)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Paint from the outside to the inside."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        x, y, z = self._places(shape)
        d = {k: expand(v, x) for k, v in draws.items() if k != "noise"}
        depth, phase = d["radius"] * d["flatness"], z / d["period"] + d["phase"]
        phase = phase - ops.floor(phase)
        width = d["radius"] + d["canal_width"]
        canal = depth + d["canal_depth"]
        behind = y - d["offset"] * d["canal_depth"]
        labels = self._around(draws["noise"], shape)
        bodily = _inside(x, behind, width + d["body"] * 1.2, canal + d["body"])
        labels = ops.where(bodily, labels, 0)
        arch = _inside(x, behind, width + d["bone"], canal + d["bone"]) & (behind < 0.3 * canal)
        process = (ops.abs(x) < d["process"]) & (behind < 0) & (behind > -canal - 25.0)
        labels = ops.where((arch | process) & bodily & (phase > d["gap"]), 7, labels)
        front = behind - canal - d["dura"] - d["vertebra_depth"]
        vertebra = _inside(x, front, d["vertebra_width"], d["vertebra_depth"])
        labels = ops.where(vertebra, ops.where(phase < d["disc"], 6, 5), labels)
        for extra, label in ((d["dura"], 4), (0.0, 3)):
            labels = ops.where(_inside(x, behind, width + extra, canal + extra), label, labels)
        across, along = x / d["radius"], y / depth
        labels = ops.where(_inside(across, along, 1.0, 1.0), 1, labels)
        return ops.where(_is_grey(across, along, d), 2, labels)[..., None]

    def _places(self, shape: tuple[int | None, ...]) -> list[Tensor]:
        """Give the place of each voxel in mm from the centre, per axis; 0 along that missing."""
        spatial = shape[1:-1]
        spacing = per_axis(self.spacing, len(spatial))
        places = [
            (axis_grid(n, d, len(spatial)) - (n - 1) / 2) * mm
            for d, (n, mm) in enumerate(zip(spatial, spacing, strict=True))
        ]
        whole = ops.zeros((1, *spatial), "float32")
        return [whole + place for place in (*places, 0.0)[:3]]

    def _around(self, noise: Tensor, shape: tuple[int | None, ...]) -> Tensor:
        """Part the tissues around by which of several smooth noises is the largest."""
        points = ops.full((ops.shape(noise)[0], len(shape) - 2), noise.shape[-1], "int32")
        fields = [
            value_noise(noise[:, n, ..., None], points, shape[1:-1])[..., 0]
            for n in range(_TISSUES)
        ]
        labels = ops.full(ops.shape(fields[0]), len(_LABELS) + 1, "int32")
        largest = fields[0]
        for number, field in enumerate(fields[1:], start=2):
            labels = ops.where(field > largest, len(_LABELS) + number, labels)
            largest = ops.maximum(field, largest)
        return labels


def _inside(x: Tensor, y: Tensor, width: Tensor, depth: Tensor) -> Tensor:
    """Whether places are within an ellipse about the origin."""
    return ops.square(x / width) + ops.square(y / depth) < 1.0


def _is_grey(x: Tensor, y: Tensor, draws: dict[str, Tensor]) -> Tensor:
    """Whether places in the unit circle of the cord belong to the butterfly."""
    side = ops.abs(x)
    middle = draws["horn"] + draws["bend"] * ops.square(y)
    horn = ops.abs(side - middle) < draws["horn_width"] + draws["widening"] * y
    bar = (ops.abs(y) < draws["bar"]) & (side < middle)
    return (horn & (y > -0.75) & (y < 0.6) & _inside(x, y, 0.9, 0.9)) | bar
