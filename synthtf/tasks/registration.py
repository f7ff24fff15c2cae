"""Contrast-agnostic registration."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import OneHot, Resample
from synthtf.losses import SoftDice, gradient_loss, landmark_loss
from synthtf.networks import (
    DetectorConfig,
    RegistrationConfig,
    affine_detector,
    has_features,
    joint_registration,
    registration_unet,
    with_features,
)
from synthtf.ranges import Range
from synthtf.synthesis import Recipe, labels_to_pairs
from synthtf.tasks.combined import CombinedModel

Tensor = Any

KINDS = ("deformable", "affine", "rigid", "joint")
OVERLAPS = ("dice", "mse")
# Labels that a matrix moves are compared on voxels of twice the size, at an eighth of the cost.
_COARSE = 2


@keras.saving.register_keras_serializable(package="synthtf")
class RegistrationModel(CombinedModel):
    """Synthesis of pairs and a registration network; see `registration`, which makes one.

    The loss is the mismatch of the structures of the moved and the fixed label map, plus, for a
    network with an output "velocity", the squared gradient of the velocity. A network with an
    input "regularization", λ, is trained on `(1 - λ) mismatch + λ roughness` with a random λ in
    each pair, one without it on `mismatch + regularization · roughness`.

    A detector of features learns slowly from the overlap alone. With `landmarks`, its first
    feature maps are also taught to show one structure each, wherever that is; how much each
    counts in the fit, and what the further maps show, is left to the overlap.

    Args:
        synthesis: as `labels_to_pairs` builds it.
        task_model: from the inputs "moving" and "fixed" to "displacement", or to "affine".
        structures: label values that shall overlap; all others count as background.
        overlap: "dice" for one minus the soft Dice averaged over structures, "mse" for the mean
            squared difference of one-hot labels, over voxels and structures.
        regularization: weight of the roughness, at least 0.
        landmarks: weight of teaching a detector the structures, at least 0; see `landmark_loss`.
        **kwargs: of `keras.Model`.

    Attributes:
        output_labels: 0 and the structures.
    """

    maps_per_sample = 2

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        structures: Sequence[int],
        overlap: str = "dice",
        regularization: float = 1.0,
        landmarks: float = 0.0,
        **kwargs: Any,
    ) -> None:
        structures = tuple(int(v) for v in structures)
        if not structures or min(structures) < 1 or list(structures) != sorted(set(structures)):
            raise ValueError(
                "`structures` must be ascending positive label values. "
                f"Received: structures={structures}"
            )
        if overlap not in OVERLAPS:
            raise ValueError(f"`overlap` must be one of {OVERLAPS}. Received: overlap={overlap!r}")
        if not regularization >= 0:
            raise ValueError(f"`regularization` must not be negative. Received: {regularization!r}")
        if not landmarks >= 0:
            raise ValueError(f"`landmarks` must not be negative. Received: {landmarks!r}")
        network = _with_moved_structures(
            synthesis, task_model, (0, *structures), landmarks=landmarks > 0
        )
        super().__init__(synthesis, task_model, network, **kwargs)
        self.output_labels = (0, *structures)
        self.overlap = overlap
        self.regularization = float(regularization)
        self.landmarks = float(landmarks)
        self.soft_dice = SoftDice(reduction=None)
        self.dice = keras.metrics.Mean(name="dice")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Register the synthetic pair and move the structures."""
        return network({name: samples[name] for name in network.input})

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare the moved structures with the fixed ones; penalise a rough velocity."""
        fixed, moved = outputs["fixed_structures"], outputs["moved_structures"]
        if self.overlap == "mse":
            axes = tuple(range(1, len(fixed.shape)))
            mismatch = ops.mean(ops.square(fixed - moved), axis=axes)
        else:
            mismatch = self.soft_dice(fixed, moved)
        for name in ("moving", "fixed") if self.landmarks else ():
            maps, features = outputs[f"{name}_landmarks"], outputs[f"{name}_features"]
            mismatch = mismatch + self.landmarks * landmark_loss(maps, features) / 2
        if "velocity" not in outputs:
            return ops.mean(mismatch)
        roughness = gradient_loss(outputs["velocity"])
        if "regularization" in outputs:
            weight = outputs["regularization"][:, 0]
            return ops.mean((1 - weight) * mismatch + weight * roughness)
        return ops.mean(mismatch + self.regularization * roughness)

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the soft Dice."""
        fixed, moved = outputs["fixed_structures"], outputs["moved_structures"]
        self.dice.update_state(1 - self.soft_dice(fixed, moved))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "structures": self.output_labels[1:],
            "overlap": self.overlap,
            "regularization": self.regularization,
            "landmarks": self.landmarks,
        }


def _with_moved_structures(
    synthesis: keras.Model, task_model: keras.Model, values: Sequence[int], landmarks: bool
) -> keras.Model:
    """Give the network that also takes label maps and moves them, one channel per structure."""
    images = task_model.input
    names = [*images, "moving_labels", "fixed_labels"]
    inputs = {
        name: layers.Input(synthesis.output[name].shape[1:], dtype=dtype, name=name)
        for name, dtype in zip(names, ["float32"] * len(images) + ["int32"] * 2, strict=True)
    }
    if landmarks and not has_features(task_model):
        raise ValueError(
            "`landmarks` needs a network with a detector of features. "
            f"Received: {task_model.name!r}"
        )
    network = with_features(task_model) if landmarks else task_model
    found = network({name: inputs[name] for name in images})
    transform = found.get("displacement", found.get("affine"))
    one_hot = OneHot(values, name="structures")
    structures = {name: one_hot(inputs[f"{name}_labels"])[..., 1:] for name in ("moving", "fixed")}
    moving, fixed = structures.values()
    pool = getattr(layers, f"AveragePooling{len(moving.shape) - 2}D")
    if "displacement" not in found:
        coarse = pool(_COARSE, name="coarse_structures")
        moving, fixed, transform = coarse(moving), coarse(fixed), _coarse_matrix(transform)
    outputs = {
        "moved_structures": Resample(name="moved_structures")(moving, transform),
        "fixed_structures": fixed,
    }
    if "velocity" in found:
        outputs["velocity"] = found["velocity"]
    if "regularization" in inputs:
        outputs["regularization"] = inputs["regularization"]
    if landmarks:
        # There may be more structures than features, or fewer.
        features = found["features"]
        count = min(len(values) - 1, features.shape[-1])
        step = inputs["moving"].shape[1] // features.shape[1]
        both = ops.split(features[..., :count], 2, axis=0)
        for name, maps in zip(structures, both, strict=True):
            target = structures[name][..., :count]
            outputs[f"{name}_features"] = maps
            outputs[f"{name}_landmarks"] = target if step == 1 else pool(step)(target)
    return keras.Model(inputs, outputs, name=task_model.name)


def _coarse_matrix(matrix: Tensor) -> Tensor:
    """The matrix between larger voxels, in which the translation is a smaller number."""
    ndim = matrix.shape[-1] - 1
    scale = np.ones((ndim + 1, ndim + 1), "float32")
    scale[:ndim, ndim] = 1 / _COARSE
    return matrix * scale


def registration(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable | str | os.PathLike,
    kind: str = "deformable",
    spacing: Range = 1.0,
    config: Recipe | Sequence | str | os.PathLike = "heads",
    network: RegistrationConfig | DetectorConfig | keras.Model | None = None,
    affine: keras.Model | None = None,
    structures: Sequence[int] | None = None,
    same_anatomy: bool = False,
    shapes: float = 0.0,
    aligned: bool = False,
    **options: Any,
) -> RegistrationModel:
    """Build a model that learns to register images of any contrast from label maps alone.

    Args:
        shape: spatial shape of the synthetic images, two or three axes.
        labels: label values that occur, or a label table or its path.
        kind: "deformable", "affine", "rigid", or "joint": `affine` and a deformable network in
            the space in the middle.
        spacing: mm per voxel, a scalar or one per axis; must be isotropic but for "deformable".
        config: a recipe, its layers, its name, or its path.
        network: size of the network, or a task network to train further.
        affine: trained task network of the kind "affine" or "rigid", for "joint"; stays as it is.
        structures: output labels that shall overlap. None: those of the brain, so that skull
            and neck are ignored without skull-stripping; all if the table does not know it.
        same_anatomy: each pair is one label map deformed twice, as for longitudinal scans.
        shapes: share of pairs of random shapes instead of anatomy, in [0, 1].
        aligned: pairs are aligned affinely by their structures before they are moved at random:
            for a deformable network that shall come after an affine one.
        **options: `overlap`, `regularization` and `landmarks` of `RegistrationModel`.

    Returns:
        Keras model that fits on `synthtf.data.LabelMaps` of an even batch size: two samples make
        a pair. `.synthesis` gives pairs; `.task_model` maps images "moving" and "fixed",
        `(batch, *any, 1)` in [0, 1], to transforms from fixed to moving voxels.

    Raises:
        ValueError: if the shape is not a multiple of what the network needs, or an argument is
            out of range.

    Example:
    >>> model = registration((32, 32), labels=[0, 1])
    >>> sorted(model.task_model.output)
    ['displacement', 'inverse', 'velocity']

    Reference: Hoffmann et al., SynthMorph, IEEE TMI 2022; Anatomy-aware and
        acquisition-agnostic joint registration with SynthMorph, Imaging Neuroscience 2024.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={kind!r}")
    table = LabelTable.of(labels)
    synthesis = labels_to_pairs(shape, table, config, spacing, same_anatomy, shapes, aligned)
    if not isinstance(network, keras.Model):
        network = make_registration(kind, tuple(shape), network, affine)
    if structures is None:
        structures = brain_structures(table)
    return RegistrationModel(synthesis, network, structures, name="registration", **options)


def brain_structures(table: LabelTable) -> tuple[int, ...]:
    """Output labels of the brain, or all but the background where the table does not know."""
    brain = {table.mapping[label] for label in table.brain_labels} - {0}
    return tuple(sorted(brain or set(table.output_labels) - {0}))


def make_registration(
    kind: str,
    shape: tuple[int, ...],
    config: RegistrationConfig | DetectorConfig | None = None,
    affine: keras.Model | None = None,
) -> keras.Model:
    """Build the task network of a kind; see `registration`.

    Raises:
        ValueError: if the network does not fit the kind or the shape.
    """
    expected = DetectorConfig if kind in ("affine", "rigid") else RegistrationConfig
    config = config or expected()
    if not isinstance(config, expected):
        raise ValueError(
            f"`network` must be a {expected.__name__} for the kind {kind!r}. Received: {config!r}"
        )
    if any(n % config.multiple for n in shape):
        raise ValueError(
            f"`shape` must be a multiple of {config.multiple} along each axis for this network. "
            f"Received: shape={shape}"
        )
    if kind in ("affine", "rigid"):
        return affine_detector(len(shape), kind, config)
    deformable = registration_unet(len(shape), config)
    if kind == "deformable":
        return deformable
    if affine is None:
        raise ValueError('`affine` must be a trained network for the kind "joint". Received: None')
    affine.trainable = False
    return joint_registration(affine, deformable)
