"""Print the seconds that another library takes for each sample of the tutorial's effects.

    PYTHON scripts/peers/generators.py LIBRARY LABELS.nii.gz REPEATS PICTURE.npy CLOCK

PYTHON is that of an environment with LIBRARY (torchio, monai or cornucopia), which need not have
synthtf; without LIBRARY, the exit status is 77. The first sample, which loads code, is not counted.
The middle slice of the last one is written to PICTURE.npy. CLOCK is wall or processor.
`benchmark.py --peers --environment PYTHON` runs this file.

All begin with one label map of 1 mm in memory and end with one image: the labels are moved by an
affine transform and a smooth warp with the nearest label, each label gets a random intensity, and
bias field, blur, noise, gamma and low resolution follow, with ranges close to those of the recipe.
No library has the same transforms: the comments say where they differ.
"""

import math
import sys
import time

import numpy as np


def torchio_generator(path):
    """Transforms of TorchIO, as its data loader applies them."""
    import torchio

    labels = torchio.LabelMap(path)
    labels.load()
    transform = torchio.Compose(
        [
            torchio.RandomAffine(scales=0.1, degrees=30, translation=30),
            torchio.RandomElasticDeformation(),  # B-splines of 7 control points, not integrated
            torchio.RandomLabelsToImage(
                label_key="labels", image_key="image", default_mean=(0, 1), default_std=(0, 0)
            ),
            torchio.RandomBiasField(),
            torchio.RandomBlur(std=(0, 2)),
            torchio.RandomNoise(std=(0, 0.1)),
            torchio.RescaleIntensity((0, 1)),
            torchio.RandomGamma(log_gamma=(math.log(0.5), math.log(1.5))),
            torchio.RandomAnisotropy(downsampling=(1, 4)),
        ]
    )
    return lambda: transform(torchio.Subject(labels=labels))["image"].data.numpy()


def monai_generator(path):
    """Transforms of MONAI's core, and what its users write to give labels an intensity."""
    import nibabel
    import torch
    from monai.transforms import (
        Compose,
        Lambda,
        Rand3DElastic,
        RandAdjustContrast,
        RandBiasField,
        RandGaussianNoise,
        RandGaussianSmooth,
        RandSimulateLowResolution,
        ScaleIntensity,
    )

    labels = torch.as_tensor(np.asarray(nibabel.load(path).dataobj, np.float32))[None]
    most, angle = int(labels.max()) + 1, math.radians(30)

    def random_intensities(moved):  # MONAI has no step from labels to an image
        return torch.rand(most)[moved.long()]

    transform = Compose(
        [
            Rand3DElastic(  # noise for each voxel, smoothed by a Gaussian; not integrated
                sigma_range=(5, 7),
                magnitude_range=(50, 150),
                prob=1,
                rotate_range=[angle] * 3,
                shear_range=[0.1] * 6,
                translate_range=[30] * 3,
                scale_range=[0.1] * 3,
                mode="nearest",
                padding_mode="zeros",
            ),
            Lambda(random_intensities),
            RandBiasField(coeff_range=(-0.3, 0.3), prob=1),  # a polynomial of degree 3
            RandGaussianSmooth((0.01, 2), (0.01, 2), (0.01, 2), prob=1),
            RandGaussianNoise(prob=1, std=0.1),
            ScaleIntensity(),
            RandAdjustContrast(prob=1, gamma=(0.5, 1.5)),
            # Along all axes: MONAI has no step that makes voxels longer along one.
            RandSimulateLowResolution(prob=1, zoom_range=(0.25, 1)),
        ]
    )
    return lambda: np.asarray(transform(labels))


def cornucopia_generator(path):
    """The generator of cornucopia, which is made like SynthSeg's."""
    import cornucopia
    import nibabel
    import torch

    labels = torch.as_tensor(np.asarray(nibabel.load(path).dataobj, np.int64))[None]
    _, labels = torch.unique(labels, return_inverse=True)  # its mixture wants 0, 1, 2, ...
    transform = cornucopia.SynthFromLabelTransform(
        order=1,  # linear splines for fields, "much faster"
        translations=30 / labels.shape[1],
        rotation=30,
        shears=0.1,
        zooms=0.1,
        elastic=20 / labels.shape[1],
        elastic_steps=5,
        bound="zeros",
        gmm_fwhm=False,
        bias=4,
        bias_strength=0.5,
        gamma=0.3,
        motion_fwhm=4.7,  # a standard deviation of 2 voxels
        resolution=4,  # along one axis or along all
        snr=10,
        gfactor=False,
    )
    return lambda: transform(labels)["image"].numpy()


GENERATORS = {
    "torchio": torchio_generator,
    "monai": monai_generator,
    "cornucopia": cornucopia_generator,
}


def main(library, path, repeats, picture, clock):
    """Make the samples one after the other."""
    seconds = {"wall": time.perf_counter, "processor": time.process_time}[clock]
    try:
        generate = GENERATORS[library](path)
    except ImportError as error:
        print(f"{error.name} is not there: pip install {library} nibabel", file=sys.stderr)
        sys.exit(77)
    for repeat in range(int(repeats) + 1):
        start = seconds()
        image = generate()
        if repeat:
            print(seconds() - start, flush=True)
    np.save(picture, image[0, :, :, image.shape[-1] // 2])


if __name__ == "__main__":
    main(*sys.argv[1:])
