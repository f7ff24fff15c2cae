"""VoxelMorph's dense network, by the name and arguments of its TensorFlow code."""

import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from synthtf.compat.transforms import SpatialTransformer, check_one_of
from synthtf.interop.voxelmorph import load_voxelmorph, voxelmorph_sizes
from synthtf.networks import RegistrationConfig, registration_unet

Tensor = Any

_FEATURES = ((16, 32, 32, 32), (32, 32, 32, 32, 32, 16, 16))  # VoxelMorph's default


@keras.saving.register_keras_serializable(package="synthtf.compat")
class VxmDense(keras.Model):
    """VoxelMorph's network for deformable registration.

    It is `synthtf.networks.registration_unet`, with the lists of inputs and outputs that scripts
    for VoxelMorph expect. Train it with losses of `synthtf.losses`.

    Args:
        inshape: spatial shape of the images.
        nb_unet_features: lists of the feature maps on the way down and up. None: VoxelMorph's
            default, `[[16, 32, 32, 32], [32, 32, 32, 32, 32, 16, 16]]`.
        int_steps: number of squarings; with 0 the velocity is the displacement.
        int_resolution: 2, the voxel size at which the velocity is integrated.
        bidir: also move the target onto the source.
        unet_half_res: end the U-Net at half the resolution.
        fill_value: value outside of the image. None: that of the border.
        reg_field: the field that is the last output, to be regularised: "preintegrated" (the
            velocity) or "warp" (the displacement).
        name: name of the model.

    Input shape: `[source, target]`, each `(batch, *inshape, 1)`, float32 in [0, 1].
    Output shape: `[moved, field]`, with `bidir` `[moved source, moved target, field]`; the field in
        voxels of its grid.

    Raises:
        ValueError: if an argument is out of range, or asks for what synthtf does not build.

    Example:
    >>> model = VxmDense((32, 32), [[4, 4], [4, 4, 4]])
    >>> [output.shape for output in model.outputs]
    [(None, 32, 32, 1), (None, 16, 16, 2)]

    Reference: `voxelmorph.tf.networks.VxmDense`; Balakrishnan et al., VoxelMorph: a learning
        framework for deformable medical image registration, IEEE TMI 2019.
    """

    def __init__(
        self,
        inshape: Sequence[int | None],
        nb_unet_features: Sequence[Sequence[int]] | None = None,
        int_steps: int = 7,
        int_resolution: int = 2,
        bidir: bool = False,
        unet_half_res: bool = False,
        fill_value: float | None = None,
        reg_field: str = "preintegrated",
        name: str = "vxm_dense",
    ) -> None:
        check_one_of("int_resolution", int_resolution, 2)
        check_one_of("reg_field", reg_field, "preintegrated", "warp")
        features = _FEATURES if nb_unet_features is None else nb_unet_features
        if len(features) != 2 or any(isinstance(part, int) for part in features):
            raise ValueError(
                "`nb_unet_features` must be two lists, of the way down and up. "
                f"Received: nb_unet_features={nb_unet_features!r}"
            )
        config = RegistrationConfig(
            encoder=tuple(features[0]),
            decoder=tuple(features[1]),
            integration_steps=int_steps,
            symmetric=False,
            full_resolution=not unet_half_res,
        )
        self._build(
            registration_unet(len(inshape), config), inshape, bidir, fill_value, reg_field, name
        )
        self._arguments = {
            "inshape": tuple(inshape),
            "nb_unet_features": [list(part) for part in features],
            "int_steps": int_steps,
            "int_resolution": int_resolution,
            "bidir": bidir,
            "unet_half_res": unet_half_res,
            "fill_value": fill_value,
            "reg_field": reg_field,
            "name": name,
        }

    def _build(
        self,
        network: keras.Model,
        inshape: Sequence[int | None],
        bidir: bool,
        fill_value: float | None,
        reg_field: str,
        name: str,
    ) -> None:
        source, target = (
            layers.Input((*inshape, 1), dtype="float32", name=f"{name}_{image}")
            for image in ("source", "target")
        )
        found = network({"moving": source, "fixed": target})
        move = SpatialTransformer(fill_value=fill_value, name=f"{name}_transformer")
        outputs = [move([source, found["displacement"]])]
        if bidir:
            outputs.append(move([target, found["inverse"]]))
        outputs.append(found["velocity" if reg_field == "preintegrated" else "displacement"])
        super().__init__([source, target], outputs, name=name)
        self._network = network

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return dict(self._arguments)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "VxmDense":
        """Build the model of a config."""
        return cls(**config)

    @classmethod
    def load(
        cls, path: str | os.PathLike, inshape: Sequence[int | None] | None = None
    ) -> "VxmDense":
        """Build the network of a file, of VoxelMorph's TensorFlow code, with its weights.

        Args:
            path: path of the .h5 file.
            inshape: spatial shape of the images. None: any.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it does not hold such a network; see `synthtf.interop.load_voxelmorph`.
        """
        ndim, config = voxelmorph_sizes(path)
        model = cls(
            inshape or (None,) * ndim,
            [config.encoder, config.decoder],
            int_steps=config.integration_steps,
            unet_half_res=not config.full_resolution,
        )
        model._network.set_weights(load_voxelmorph(path).get_weights())
        return model

    def get_registration_model(self) -> keras.Model:
        """Give the model from `[source, target]` to the displacement, `(batch, *spatial, ndim)`."""
        source, target = self.inputs
        found = self._network({"moving": source, "fixed": target})
        return keras.Model([source, target], found["displacement"])

    def register(self, src: Any, trg: Any) -> Any:
        """Give the displacement between two batches of images, `(batch, *spatial, ndim)`."""
        return self.get_registration_model().predict([src, trg], verbose=0)

    def apply_transform(self, src: Any, trg: Any, img: Any, interp_method: str = "linear") -> Any:
        """Move images by the displacement that registers `src` to `trg`."""
        move = SpatialTransformer(interp_method=interp_method, fill_value=None)
        return keras.ops.convert_to_numpy(move([img, self.register(src, trg)]))
