"""The model that learns to register."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import OneHot, Resample
from synthtf.losses import SoftDice, gradient_loss, landmark_loss, local_ncc
from synthtf.networks import (
    DetectorConfig,
    RegistrationConfig,
    affine_detector,
    detector,
    has_features,
    joint_registration,
    registration_unet,
    with_features,
)
from synthtf.ranges import Range
from synthtf.synthesis import labels_to_pairs
from synthtf.tasks.registering.detectors import detector_weights
from synthtf.tasks.registering.options import RegistrationTask
from synthtf.training.combined import CombinedModel

Tensor = Any

# Labels that a matrix moves are compared on voxels of twice the size, at an eighth of the cost.
_COARSE = 2

_REAL = "real"  # of synthesis: whether a pair is of real scans


@keras.saving.register_keras_serializable(package="synthtf")
class RegistrationModel(CombinedModel):
    """Synthesis of pairs and a registration network; see `RegistrationTask`, which makes one.

    The loss is the mismatch of the structures of the moved and the fixed label map, plus, for a
    network with an output "velocity", the squared gradient of the velocity. A network with an
    input "regularization", λ, is trained on `(1 - λ) mismatch + λ roughness` with a random λ in
    each pair, one without it on `mismatch + regularization · roughness`.

    A detector of features learns slowly from the overlap alone. With `landmarks`, its first
    feature maps are also taught to show one structure each, wherever that is; how much each
    counts in the fit, and what the further maps show, is left to the overlap.

    The mismatch of a real pair, which has no labels, is `similarity` times one minus the local
    correlation of the moved and the fixed scan, `local_ncc`. These are moved as the images are that
    the network sees, without what the recipe has done to their intensities.

    Args:
        synthesis: as `labels_to_pairs` builds it.
        task_model: from the inputs "moving" and "fixed" to "displacement", or to "affine".
        structures: label values that shall overlap; all others count as background.
        overlap: "dice" or "mse".
        regularization: weight of the roughness.
        landmarks: weight of teaching a detector the structures; see `landmark_loss`.
        similarity: weight of the mismatch of real pairs.
        **kwargs: arguments of `keras.Model`.

    Attributes:
        output_labels: 0 and the structures.
    """

    maps_per_sample = 2

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        structures: Sequence[int],
        overlap: str,
        regularization: float,
        landmarks: float,
        similarity: float,
        **kwargs: Any,
    ) -> None:
        structures = tuple(int(v) for v in structures)
        network = _with_moved_structures(
            synthesis, task_model, (0, *structures), landmarks=landmarks > 0
        )
        super().__init__(synthesis, task_model, network, **kwargs)
        self.output_labels = (0, *structures)
        self.overlap = overlap
        self.regularization = float(regularization)
        self.landmarks = float(landmarks)
        self.similarity = float(similarity)
        self.soft_dice = SoftDice(reduction=None)
        self.dice = keras.metrics.Mean("dice", "float32")
        self.ncc = keras.metrics.Mean("ncc", "float32") if _REAL in synthesis.output else None

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
        if _REAL in outputs:
            unlike = self.similarity * (1 - _correlation(outputs))
            mismatch = ops.where(outputs[_REAL][:, 0] > 0, unlike, mismatch)
        if "velocity" not in outputs:
            return mismatch
        roughness = gradient_loss(outputs["velocity"])
        if "regularization" in outputs:
            weight = outputs["regularization"][:, 0]
            return (1 - weight) * mismatch + weight * roughness
        return mismatch + self.regularization * roughness

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the soft Dice of synthetic pairs, and the local correlation of real ones."""
        fixed, moved = outputs["fixed_structures"], outputs["moved_structures"]
        real = outputs[_REAL][:, 0] if _REAL in outputs else None
        self.dice.update_state(1 - self.soft_dice(fixed, moved), None if real is None else 1 - real)
        if real is not None:
            self.ncc.update_state(_correlation(outputs), real)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "structures": self.output_labels[1:],
            "overlap": self.overlap,
            "regularization": self.regularization,
            "landmarks": self.landmarks,
            "similarity": self.similarity,
        }


def _correlation(outputs: dict[str, Tensor]) -> Tensor:
    """Squared local correlation of the moved and the fixed scan of each pair, from 0 to 1."""
    return -local_ncc(outputs["fixed_scan"], outputs["moved_scan"])


def _with_moved_structures(
    synthesis: keras.Model, task_model: keras.Model, values: Sequence[int], landmarks: bool
) -> keras.Model:
    """Give the network that also takes label maps and moves them, one channel per structure."""
    images = task_model.input
    labels = ["moving_labels", "fixed_labels"]
    scans = ["moving_scan", "fixed_scan", _REAL] if _REAL in synthesis.output else []
    inputs = {
        name: layers.Input(
            synthesis.output[name].shape[1:],
            dtype="int32" if name in labels else "float32",
            name=name,
        )
        for name in [*images, *labels, *scans]
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
    outputs = {name: inputs[name] for name in scans if name != "moving_scan"}
    if scans:
        move = Resample(name="moved_scan")
        outputs["moved_scan"] = move(inputs["moving_scan"], transform)
    pool = getattr(layers, f"AveragePooling{len(moving.shape) - 2}D")
    if "displacement" not in found:
        coarse = pool(_COARSE, name="coarse_structures")
        moving, fixed, transform = coarse(moving), coarse(fixed), _coarse_matrix(transform)
    outputs["moved_structures"] = Resample(name="moved_structures")(moving, transform)
    outputs["fixed_structures"] = fixed
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
    return matrix * ops.convert_to_tensor(scale)


def build(
    task: RegistrationTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> RegistrationModel:
    """Build the combined model; see `Task.build`."""
    pairs = (task.same_anatomy, task.shapes, task.aligned)
    synthesis = labels_to_pairs(shape, table, recipe, spacing, *pairs)
    network = network or task.make_network(len(shape))
    model = RegistrationModel(
        synthesis,
        network,
        task.structures or table.brain_outputs,
        task.overlap,
        task.regularization,
        task.landmarks,
        task.similarity,
        name=task.function,
    )
    if not isinstance(task.detector, bool):
        given = detector(network)
        if given is None:
            raise ValueError(
                "`network` must have a detector of features, which `detector` gives the weights. "
                f"Received: network={task.network!r}"
            )
        given.set_weights(detector_weights(task.detector))
        given.trainable = False
    return model


def make_registration(
    kind: str,
    ndim: int,
    size: RegistrationConfig | DetectorConfig,
    affine: keras.Model | None = None,
) -> keras.Model:
    """Build the task network of a kind.

    Args:
        kind: kind of registration, see `RegistrationTask`.
        ndim: axes of the images.
        size: size of the network.
        affine: trained network for the kind "joint"; stays as it is.

    Raises:
        ValueError: if a joint network lacks the affine one.
    """
    if isinstance(size, DetectorConfig):
        return affine_detector(ndim, kind, size)
    deformable = registration_unet(ndim, size)
    if kind == "deformable":
        return deformable
    if affine is None:
        raise ValueError('`affine` must be a trained run for the kind "joint". Received: None')
    affine.trainable = False
    return joint_registration(affine, deformable)
