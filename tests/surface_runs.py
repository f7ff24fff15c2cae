"""Runs and scans in which the surfaces are known: two balls with a shell, one a side."""

import keras
import numpy as np

from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.layers import KeepDistance, RandomIntensity
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

SPACING, RADII, OFFSET = 2.0, (14.0, 18.0), 17.8  # mm; of the white and the pial surface
INNER, OUTER = 8.0, 22.0  # mm; radii where the image is brightest and dark
TABLE = """id\tname\tbrain
0\tbackground\tno
2\tleft cerebral white matter\tyes
3\tleft cerebral cortex\tyes
7\tleft cerebellar cortex\tyes
41\tright cerebral white matter\tyes
42\tright cerebral cortex\tyes
46\tright cerebellar cortex\tyes
"""


def radii(shape, affine):
    """Distance of each voxel of a grid from the nearer of the two centres, in mm."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    points = grid @ affine[:3, :3].T + affine[:3, 3]
    centre = np.stack(
        [np.sign(points[..., 0]) * OFFSET, 0 * points[..., 0], 0 * points[..., 0]], -1
    )
    return np.linalg.norm(points - centre, axis=-1)


def make_scan():
    """The distance from the centres as an image, dark far from them, left-handed and shifted."""
    shape = (84, 46, 46)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 41.5, -22.5, -22.5
    image = np.clip((OUTER - radii(shape, affine)) / (OUTER - INNER), 0, 1) * 1000
    return Volume(image.astype("float32"), affine)


def make_labels():
    """The label map of that image."""
    scan = make_scan()
    radius, left = radii(scan.data.shape, scan.affine), np.indices(scan.data.shape)[0] > 41.5
    tissues = [np.where(left, *pair) for pair in ((2, 41), (3, 42), (0, 0))]
    return Volume(np.choose(np.digitize(radius, RADII), tissues).astype("int32"), scan.affine)


def make_table(folder):
    """The label table of a run in a folder."""
    path = folder.with_suffix(".tsv")
    path.write_text(TABLE)
    return LabelTable.read(path)


def segmentation_run(folder):
    """Posteriors of background, white matter and cortex, which are soft at the borders."""

    def channels(radius, left):
        white, pial = (keras.ops.sigmoid(2 * (r - radius)) for r in RADII)
        each = [white, pial - white, 0 * white]
        parts = [part * side for side in (left, 1 - left) for part in each]
        return keras.ops.concatenate([1 - pial, *parts], axis=-1)

    table = make_table(folder)
    return _make(folder, "segmentation", table, [RandomIntensity()], table.output_labels, channels)


def distance_run(folder):
    """Distances to the four surfaces, those of the right side first."""

    def channels(radius, left):
        limited = [keras.ops.clip(radius - r, -5, 5) for r in RADII]
        parts = [side * d + (1 - side) * 5 for side in (1 - left, left) for d in limited]
        return keras.ops.concatenate(parts, axis=-1)

    steps = [KeepDistance([[41], [41, 42], [2], [2, 3]]), RandomIntensity()]
    return _make(folder, "regression", make_table(folder), steps, (), channels)


def _make(folder, task, table, steps, outputs, channels):
    """A run whose network gives `channels(radius, is_left)`, radius in mm."""
    image = keras.Input((None, None, None, 1), name="image")
    x = keras.ops.cumsum(keras.ops.ones_like(image), axis=1)
    left = keras.ops.cast(x < 0.5 * (keras.ops.max(x) + 1), "float32")
    network = keras.Model(image, channels(OUTER - (OUTER - INNER) * image, left))
    facts = {
        "task": task,
        "shape": [48] * 3,
        "spacing": [SPACING] * 3,
        "multiple": 1,
        "output_labels": list(outputs),
        "target_channels": [4],
    }
    run = Run.create(folder, table, Recipe(steps), facts)
    run.save_model(network)
    return run
