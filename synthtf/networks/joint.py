"""Affine and deformable registration in one network."""

from typing import Any

import keras
from keras import layers

from synthtf.layers.base import SynthesisLayer
from synthtf.layers.geometry.compose_transforms import ComposeTransforms
from synthtf.layers.geometry.resample import Resample
from synthtf.ops.affine import invert_affine
from synthtf.ops.matrices import matrix_sqrt

Tensor = Any


def joint_registration(
    affine: keras.Model, deformable: keras.Model, name: str = "joint_registration"
) -> keras.Model:
    """Chain an affine and a deformable network, symmetrically.

    The affine transform is split into two halves, one for each image: both are resampled once, to
    the space in the middle, and registered there. The composition maps the fixed image to the
    moving one.

    Args:
        affine: as `affine_detector` builds it.
        deformable: as `registration_unet` builds it; with an input "regularization", this model
            has one, too.
        name: name of the model.

    Returns:
        Model with the inputs of `deformable` and the outputs "affine", "velocity" (in the space
        in the middle), "displacement" and "inverse", `(batch, *spatial, ndim)`, in voxels:
        the whole transform from the fixed to the moving image and back.

    Reference:
        Hoffmann et al., Anatomy-aware and acquisition-agnostic joint registration with
        SynthMorph, Imaging Neuroscience 2024.
    """
    inputs = {
        key: layers.Input(x.shape[1:], dtype="float32", name=key)
        for key, x in deformable.input.items()
    }
    matrix = affine({key: inputs[key] for key in ("moving", "fixed")})["affine"]
    half, half_back = HalveAffine(name="halve")(matrix)
    middle = {
        **inputs,
        "moving": Resample(name="moving_to_middle")(inputs["moving"], half),
        "fixed": Resample(name="fixed_to_middle")(inputs["fixed"], half_back),
    }
    warp = deformable(middle)
    outputs = {
        "affine": matrix,
        "velocity": warp["velocity"],
        "displacement": ComposeTransforms(name="forward")([half, warp["displacement"], half]),
        "inverse": ComposeTransforms(name="backward")([half_back, warp["inverse"], half_back]),
    }
    return keras.Model(inputs, outputs, name=name)


@keras.saving.register_keras_serializable(package="synthtf")
class HalveAffine(SynthesisLayer):
    """Split affine matrices into two equal halves: `half @ half = matrix`.

    Input shape: `(batch, ndim + 1, ndim + 1)`.
    Output shape: a pair of tensors of that shape, the half and its inverse.
    """

    def call(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Take the square root."""
        half = matrix_sqrt(matrix)
        return half, invert_affine(half)

    def output_spec(self, matrix: Any) -> Any:
        """Two matrices; two objects, since Keras tells symbolic tensors apart by identity."""
        return tuple(keras.KerasTensor(matrix.shape, "float32") for _ in range(2))
