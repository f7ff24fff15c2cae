"""Runs whose networks read distances off the brightness: what they find is known."""

import keras
import numpy as np

from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

SHAPE, SPACING, RADIUS = (48, 48, 48), 2.0, 32.0


def network():
    """Reads distances off an image whose brightness falls by 1 % per mm from the brain's border.

    The image is 0.5 at the border, and the second border lies 3 mm further inside.
    """
    image = keras.Input((None, None, None, 1), name="image")
    distance = (0.5 - image) * 100
    return keras.Model(image, keras.ops.concatenate([distance, distance + 3], axis=-1))


def write_run(folder):
    """A run of such a network."""
    facts = {
        "task": "stripping",
        "shape": list(SHAPE),
        "spacing": [SPACING] * 3,
        "multiple": 8,
        "output_labels": [0, 1],
        "limit": 10.0,
    }
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe.preset("tutorial"), facts)
    run.save_model(network())
    return run


def scan(spacing=(2.0, 2.0, 2.0), shape=SHAPE, codes="RAS", centre=(0, 0, 0)):
    """Brightness 0.5 at the radius, 1 % less for each mm outwards, and the true distance."""
    affine = np.diag([*spacing, 1.0])
    for axis, code in enumerate(codes):
        affine[axis, axis] *= 1 if code in "RAS" else -1
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    distance = np.linalg.norm(grid @ affine[:3, :3].T + affine[:3, 3] - centre, axis=-1) - RADIUS
    image = np.clip(0.5 - distance / 100, 0, 1)
    # Percentiles of 0 and 1, so that normalisation leaves the values alone.
    image.ravel()[: image.size // 20] = 0
    image.ravel()[-image.size // 20 :] = 1
    return Volume(image.astype("float32"), affine), distance
