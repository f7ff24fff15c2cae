"""Small random weights in the layout of SynthSeg's files, written out apart from the package."""

import h5py
import numpy as np


def write_unet(
    path,
    part="unet",
    *,
    outputs=33,
    inputs=1,
    features=2,
    levels=5,
    kernel=3,
    without_skips=0,
    seed=0,
    root="",
    sharpness=1.0,
):
    """Add a U-Net to a file: two convolutions a level, batch normalisation once a level."""
    file = _Layers(path, part, seed, root)
    widths = [features * 2**level for level in range(levels)]
    channels = inputs
    for level, width in enumerate(widths):
        file.convolution(f"conv_downarm_{level}_0", kernel, channels, width)
        file.convolution(f"conv_downarm_{level}_1", kernel, width, width)
        file.normalization(f"bn_down_{level}", width)
        channels = width
    for step in range(levels - 1):
        level = levels - 2 - step
        if level >= without_skips:
            channels += widths[level]
        file.convolution(f"conv_uparm_{levels + step}_0", kernel, channels, widths[level])
        file.convolution(f"conv_uparm_{levels + step}_1", kernel, widths[level], widths[level])
        file.normalization(f"bn_up_{step}", widths[level])
        channels = widths[level]
    file.convolution("likelihood", 1, channels, outputs, gain=sharpness)
    return path


def write_quality(path, *, groups=9, features=2, levels=4, kernel=5, seed=0):
    """Add the judge of segmentations to a file."""
    file = _Layers(path, "qc", seed, "")
    channels = groups
    for level in range(levels):
        width = features * 2**level
        file.convolution(f"conv_downarm_{level}_0", kernel, channels, width)
        file.convolution(f"conv_downarm_{level}_1", kernel, width, width)
        if channels != width:
            file.convolution(f"expand_down_merge_{level}", kernel, channels, width)
        file.normalization(f"bn_down_{level}", width)
        channels = width
    file.convolution("final_conv_0", kernel, channels, groups)
    file.convolution("final_conv_1", kernel, groups, groups)
    return path


def write_robust(path, *, tissues=5, outputs=33, seed=0, **sizes):
    """Write the three networks of SynthSeg-robust."""
    write_unet(path, "unet", outputs=tissues, seed=seed, **sizes)
    denoiser = {"inputs": tissues, "kernel": 5, "without_skips": 2, "seed": seed + 1}
    write_unet(path, "l2l", outputs=tissues, **{**sizes, **denoiser})
    write_unet(path, "unet2", outputs=outputs, inputs=1 + tissues, seed=seed + 2, **sizes)
    return path


def write_all(folder, seed=0, **sizes):
    """Write all files of a folder of models."""
    write_unet(folder / "synthseg_2.0.h5", seed=seed, **sizes)
    write_unet(folder / "synthseg_1.0.h5", outputs=32, seed=seed, root="model_weights/", **sizes)
    write_robust(folder / "synthseg_robust_2.0.h5", seed=seed, **sizes)
    write_unet(
        folder / "synthseg_parc_2.0.h5", "unet_parc", inputs=3, outputs=69, seed=seed, **sizes
    )
    write_quality(folder / "synthseg_qc_2.0.h5", seed=seed)
    return folder


class _Layers:
    """Layers of a network, as legacy Keras stores them."""

    def __init__(self, path, part, seed, root):
        self.path, self.part, self.root = path, part, root
        self.rng = np.random.default_rng(seed)

    def convolution(self, name, kernel, inputs, outputs, gain=1.0):
        shape = (*[kernel] * 3, inputs, outputs)
        scale = gain * np.sqrt(2 / (kernel**3 * inputs))
        self._store(name, kernel=self.rng.normal(scale=scale, size=shape))
        self._store(name, bias=self.rng.normal(scale=0.1, size=outputs))

    def normalization(self, name, width):
        self._store(
            name,
            gamma=self.rng.uniform(0.8, 1.2, width),
            beta=self.rng.normal(scale=0.1, size=width),
            moving_mean=self.rng.normal(scale=0.1, size=width),
            moving_variance=self.rng.uniform(0.5, 1.5, width),
        )

    def _store(self, name, **tensors):
        layer = f"{self.part}_{name}"
        with h5py.File(self.path, "a") as file:
            for tensor, values in tensors.items():
                file[f"{self.root}{layer}/{layer}/{tensor}:0"] = values.astype("float32")
