"""Heads to learn from and to test on: phantoms, in slices or whole."""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthtf.data import LabelledScan
from synthtf.data.phantom_rendering import CONTRASTS, render_phantom
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume
from synthtf.demo.held_out import count_as_outputs
from synthtf.demo.settings import demo_table
from synthtf.evaluation import dice
from synthtf.evaluation.averages import mean
from synthtf.inference import normalize_intensity

TABLE = demo_table()
SLICES = range(14, 28, 2)
LEAST = 5  # voxels of a structure in an image, for its Dice to count
HARDER = ("turned", "unevenly lit", "noisy", "blurred", "dark")


@dataclass(frozen=True)
class Grid:
    """Voxels of a head, and whether images are its axial slices or all of it."""

    spacing: float = 4.0  # mm
    shape: tuple[int, int, int] = (48, 48, 40)
    whole: bool = False

    @property
    def image_shape(self):
        """Voxels of an image."""
        return self.shape if self.whole else self.shape[:2]

    def images(self, volume):
        """Give the images of a volume, one after the other."""
        return [volume] if self.whole else [volume[:, :, z] for z in SLICES]

    def names(self, seed):
        """Give the names of the images of a head."""
        return [f"{seed}_{self.spacing:g}mm"] if self.whole else [f"{seed}_{z}" for z in SLICES]


SLICED = Grid()


@functools.lru_cache(maxsize=200)
def phantom(seed, grid):
    """Make a head whose structures are as thick as its voxels want them."""
    return head_phantom(seed, grid.shape, grid.spacing, detail=grid.spacing)


def write_images(heads, grid, folder):
    """Write the images of heads, as T1 and as labels, unless they are there."""
    found = []
    for seed in heads:
        files = [
            [folder / f"{kind}_{name}.nii.gz" for kind in ("T1", "labels")]
            for name in grid.names(seed)
        ]
        if not all(path.exists() for pair in files for path in pair):
            head = phantom(seed, grid)
            volumes = (render_phantom(head, "T1", seed, grid.spacing), head.astype("int32"))
            images = zip(*map(grid.images, volumes), strict=True)
            for pair, image in zip(files, images, strict=True):
                for path, data in zip(pair, image, strict=True):
                    write_volume(path, data, affine=np.diag([grid.spacing] * 3 + [1.0]))
        found += [LabelledScan(*pair, domain="T1") for pair in files]
    return found


def harder(image, labels, condition, seed):
    """Change the image of a head as a scanner or its patient may."""
    rng = np.random.default_rng([seed, HARDER.index(condition)])
    if condition == "turned":
        angle = rng.choice([-12, 12])
        turn = {"angle": angle, "reshape": False, "mode": "nearest"}
        return ndimage.rotate(image, order=1, **turn), ndimage.rotate(labels, order=0, **turn)
    if condition == "unevenly lit":
        x, y = (np.linspace(-1, 1, n) for n in image.shape[:2])
        slope = np.cos(angle := rng.uniform(0, 2 * np.pi)) * x[:, None] + np.sin(angle) * y
        return image * np.exp(0.6 * slope)[..., None], labels
    if condition == "noisy":
        return image + 0.08 * rng.standard_normal(image.shape, "float32"), labels
    if condition == "blurred":
        return ndimage.gaussian_filter(image, (0.8, 0.8, 0)), labels
    return image**1.5, labels


def mean_dice(found, truth, values):
    """Average the Dice over the structures of images."""
    scores = []
    for one, wanted in zip(found, truth, strict=True):
        known = [v for v in values if (wanted == v).sum() >= LEAST]
        scores += dice(one, wanted, known).values()
    return mean(scores)


def as_batch(image, grid):
    """Give a head as a batch of images, each in [0, 1]."""
    planes = [normalize_intensity(one.reshape(*one.shape[:2], -1)) for one in grid.images(image)]
    shape = (len(planes), *grid.image_shape, 1)
    return np.stack(planes).reshape(shape).astype("float32")


def as_outputs(labels, grid):
    """Give the output labels of the images of a head."""
    return np.stack(grid.images(count_as_outputs(labels, TABLE))).astype("int32")


@functools.lru_cache(maxsize=1000)
def tested(seed, grid, contrast, condition=""):
    """Give the images of a head that is tested on, and their labels."""
    head = phantom(seed, grid)
    image = render_phantom(head, contrast, seed, grid.spacing)
    if condition:
        image, head = harder(image, head, condition, seed)
    return as_batch(image, grid), as_outputs(head, grid)


def segmented(model, grid, seeds, contrast, condition):
    """Give what a segmentation finds in heads, and what is there."""
    found, truths = [], []
    values = np.array(model.output_labels, "int32")
    for seed in seeds:
        images, truth = tested(seed, grid, contrast, condition)
        found.append(values[model.task_model.predict_on_batch(images).argmax(-1)])
        truths.append(truth)
    return np.concatenate(found), np.concatenate(truths)


def registered(model, grid, seeds, contrast, moved=True):
    """Give the labels of T1 images that were moved onto images of the next head, and its labels."""
    found, truths = [], []
    for seed, other in zip(seeds, [*seeds[1:], seeds[0]], strict=True):
        (moving, labels), (fixed, truth) = tested(seed, grid, "T1"), tested(other, grid, contrast)
        if moved:
            batch = {"moving": moving, "fixed": fixed}
            shift = np.asarray(model.task_model.predict_on_batch(batch)["displacement"])
            places = np.indices(labels.shape[1:])
            labels = np.stack(
                [
                    ndimage.map_coordinates(one, places + np.moveaxis(by, -1, 0), order=0)
                    for one, by in zip(labels, shift, strict=True)
                ]
            )
        found.append(labels)
        truths.append(truth)
    return np.concatenate(found), np.concatenate(truths)


def test(model, training, seeds, conditions=("",), moved=True):
    """Measure the mean Dice for each contrast and condition."""
    values = [v for v in sorted(set(TABLE.outputs)) if v]
    scores = []
    for condition in conditions:
        for contrast in CONTRASTS:
            if training.registers:
                pair = registered(model, training.grid, seeds, contrast, moved)
            else:
                pair = segmented(model, training.grid, seeds, contrast, condition)
            about = {"contrast": contrast, "condition": condition or "as it is"}
            scores.append(about | {"dice": round(mean_dice(*pair, values), 4)})
    return scores
