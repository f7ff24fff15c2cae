"""Reading the published weights of SynthSR."""

import os

import keras

from synthtf.interop.synthseg import load_synthseg_parts
from synthtf.networks import with_logits


def load_synthsr(path: str | os.PathLike, channels: int = 1) -> keras.Model:
    """Build SynthSR's U-Net with published weights; the file determines its size.

    Args:
        path: path of a file of legacy Keras in HDF5 format, such as `synthsr_v20_230130.h5`, with
            the layers of SynthSeg's U-Net but a single output.
        channels: number of images that the network must take: 2 in
            `synthsr_v10_210712_hyperfine.h5`, T1 and T2, else 1.

    Returns:
        Model that turns an image of shape `(batch, *spatial, channels)` into one of shape
        `(batch, *spatial, 1)`, of any values.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not hold such a network; the message names the first tensor
            that does not fit.

    Reference:
        Iglesias et al., Joint super-resolution and synthesis of 1 mm isotropic MP-RAGE volumes
        from clinical MRI exams with scans of different orientation, resolution and contrast,
        NeuroImage 2021. Iglesias et al., SynthSR: a public AI tool to turn heterogeneous clinical
        brain scans into high-resolution T1-weighted images for 3D morphometry, Science Advances
        2023.
    """
    network = load_synthseg_parts(path, ("unet",))["unet"]
    found = network.input.shape[-1]
    if found != channels:
        first = network.get_layer("down_0_conv_0").kernel.shape
        raise ValueError(
            f"{path}: the tensor unet_conv_downarm_0_0/kernel has the shape {tuple(first)}, but "
            f"the network expects {channels} input channels, not {found}; are these the weights "
            f"for {'one image' if found == 1 else 'T1 and T2'}?"
        )
    if network.output.shape[-1] != 1:
        outputs = tuple(network.get_layer("logits").kernel.shape)
        raise ValueError(
            f"{path}: the tensor unet_likelihood/kernel has the shape {outputs}, but SynthSR has "
            "one output; are these weights of SynthSeg?"
        )
    logits = with_logits(network).output["logits"]
    return keras.Model(network.input, logits, name="synthsr")
