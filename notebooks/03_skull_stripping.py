# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. Skull-stripping
#
# You will train a network that finds the brain in images of any contrast, as SynthStrip does: it
# predicts the signed distance of each pixel to the border of the brain, in mm, negative within.
#
# You will learn
#
# - what the network is asked for: two distance maps, with the CSF in the sulci and without it;
# - to train it on label maps of heads;
# - to turn distances into a mask with a border of your choice, in contrasts that were never seen.
#
# It takes two to four minutes on two processor cores. To be that quick it works in 2D, on
# sagittal slices of phantoms; with a third number in `shape`, the same lines train in 3D.

# %% [markdown]
# ## Installation
#
# On Colab, this installs synthtf and a newer Keras than Colab's. If a later cell then complains
# about Keras, choose *Runtime > Restart session* and run from the top. Elsewhere the cell does
# nothing.

# %%
import importlib.util
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if importlib.util.find_spec("synthtf") is None:
    source = ".." if os.path.isfile("../setup.cfg") else "synthtf"  # a checkout, or PyPI
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)
    print("Installed. Now choose Runtime > Restart session, and run from the top.")

# %%
import synthtf  # before Keras: it switches on TensorFlow's fast convolutions

print("synthtf", synthtf.__version__)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from synthtf.data.phantoms import head_phantom, phantom_table, render_phantom
from synthtf.evaluation import dice
from synthtf.inference import normalize_intensity
from synthtf.layers import (
    RandomAffine,
    RandomBiasField,
    RandomBlur,
    RandomFieldOfView,
    RandomGamma,
    RandomIntensity,
    RandomNoise,
    RandomResolution,
    RandomWarp,
    SignedDistance,
)
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe

keras.utils.set_random_seed(0)

# %% [markdown]
# ## Label maps
#
# Two slices of each of 24 heads, 11 mm left and right of the middle, on pixels of 2 mm. What is
# not brain needs labels, too: the network has to see skull, scalp and neck in order to leave them
# out. The column `brain` of the label table says what is brain, what is CSF around it, and what
# is neither.

# %%
spacing = 2.0  # mm
shape = (112, 112)


def slices(seed, size):
    """Give two sagittal slices of a head."""
    slab = head_phantom(seed=seed, shape=(12, *size), spacing=spacing)
    return [slab[0], slab[-1]]


maps = [one for number in range(24) for one in slices(number, (132, 132))]
table = phantom_table().select({int(value) for one in maps for value in np.unique(one)})
for answer in ("yes", "csf", "no"):
    names = [name for name, brain in zip(table.names, table.brain, strict=True) if brain == answer]
    print(f"brain = {answer:4}", ", ".join(names))

# %% [markdown]
# ## The model
#
# The network is a U-Net with two linear outputs, which learns distances up to `limit`. The first
# measures the distance to the brain with the CSF in its sulci, which are the gaps that a ball
# with a radius of `closing` does not fit into; the second to its tissue alone.

# %%
recipe = Recipe(
    [
        RandomAffine((-10, 10), rotation=(-15, 15), scaling=(0.9, 1.1), shear=(-0.05, 0.05)),
        RandomWarp(strength=(0, 5), control_points=(3, 8)),
        RandomFieldOfView(probability=0.1),
        RandomIntensity(std=(0, 0.06), groups="sides", background_probability=0.1),
        RandomBiasField(form="exponential", std=(0, 0.3)),
        RandomBlur(),
        RandomNoise(std=(0, 0.06)),
        RandomGamma(gamma=(0.7, 1.4)),
        RandomResolution(factor=(1, 4), probability=0.3),
    ]
)
model = synthtf.tasks.skull_stripping(
    shape,
    table,
    spacing,
    recipe,
    network=UNetConfig(features=12, levels=5, max_features=48, activation="leaky_relu"),
    limit=10,
    closing=5,
)

# %% [markdown]
# What it learns from: synthetic images, and the distance maps that are its targets, blue within
# the brain. Look at it before you train.

# %%
data = synthtf.data.LabelMaps(maps, seed=1, batch_size=4, num_batches=50, table=table)
batches = [data[index][0] for index in range(3)]
images = np.concatenate([model.synthesis(batch)["image"] for batch in batches])
targets = np.concatenate([model(batch)["target"] for batch in batches])

figure, axes = plt.subplots(3, 12, figsize=(14, 3.8))
for column, image, target in zip(axes.T, images, targets, strict=True):
    column[0].imshow(image.T[0], cmap="gray", vmin=0, vmax=1, origin="lower")
    for axis, distance in zip(column[1:], target.T, strict=True):
        axis.imshow(distance, cmap="RdBu_r", vmin=-10, vmax=10, origin="lower")
        axis.contour(distance, levels=[0], colors="black", linewidths=0.6)
    for axis in column:
        axis.set_axis_off()
for axis, title in zip(axes[:, 0], ("image", "with CSF in sulci", "tissue alone"), strict=True):
    axis.set_title(title, fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Training
#
# Voxels near the border count most in the loss. The Dice is that of the two masks, where the
# distances are below 0.

# %%
epochs = 6
rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(data))
model.compile(keras.optimizers.Adam(rate))
history = model.fit(data, epochs=epochs, shuffle=False, verbose=2)

# %% [markdown]
# ## The test
#
# Four heads that were not trained on, with the intensities of T1, T2, FLAIR and CT, which no
# training image was made to resemble. The mask is where the distance is below a border in mm; of
# that, the largest component, without holes.

# %%
network = model.task_model
contrasts = ("T1", "T2", "FLAIR", "CT")
heads = [slices(900 + number, shape)[number % 2] for number in range(4)]
truth = SignedDistance(
    table.brain_labels,
    spacing,
    limit=10,
    closing=5,
    within=(*table.brain_labels, *table.csf_labels),
)(np.stack(heads)[..., None])
truth = np.asarray(truth)[..., 0]


def distance_map(image):
    """Give the distance of each pixel to the brain with the CSF in its sulci, in mm."""
    return network.predict_on_batch(normalize_intensity(image)[None, ..., None])[0, ..., 0]


def brain_mask(distance, border=0.0):
    """Give the pixels within a border, in mm outside of the brain."""
    components, _ = ndimage.label(distance < border)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(components == sizes.argmax())


scores = {}
for contrast in contrasts:
    masks = [
        brain_mask(distance_map(render_phantom(head, contrast, number, spacing)))
        for number, head in enumerate(heads)
    ]
    scores[contrast] = [
        dice(mask.astype(int), (one < 0).astype(int), [1])[1]
        for mask, one in zip(masks, truth, strict=True)
    ]
    print(f"{contrast:6} Dice", *(f"{one:.3f}" for one in scores[contrast]))

# %% [markdown]
# One head in four contrasts: the distance map, masks with three borders, and the stripped image.
# A border above 0 leaves a rim of CSF around the brain; `synthtf strip` takes 1 mm.

# %%
head, borders = heads[0], {-4: "red", 0: "yellow", 4: "deepskyblue"}
figure, axes = plt.subplots(4, 4, figsize=(10, 10.5), facecolor="black")
for column, contrast in zip(axes.T, contrasts, strict=True):
    image = render_phantom(head, contrast, seed=0, spacing=spacing)
    distance = distance_map(image)
    stripped = np.where(brain_mask(distance, border=1), image, 0)
    for axis, picture in zip(column, (image, distance, image, stripped), strict=True):
        axis.imshow(picture.T, cmap="gray", vmin=0, vmax=1, origin="lower")
        axis.set_axis_off()
    column[1].imshow(distance.T, cmap="RdBu_r", vmin=-10, vmax=10, origin="lower")
    for border, colour in borders.items():
        mask = brain_mask(distance, border)
        column[2].contour(mask.T, levels=[0.5], colors=colour, linewidths=1)
    column[0].set_title(f"{contrast}: Dice {scores[contrast][0]:.3f}", color="white")
for axis, title in zip(
    axes[1:, 0], ("distance, -10 to 10 mm", "borders of -4, 0, 4 mm", "stripped"), strict=True
):
    axis.set_title(title, color="white", fontsize=9)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## In 3D
#
# On files, in 3D, and with scans of any orientation and voxel size:
#
#     synthtf train stripping maps/ -o run --labels maps/labels.tsv --spacing 2 --shape 80 96 80
#     synthtf strip scan.nii.gz --model run -o brain.nii.gz -m mask.nii.gz -d distance.nii.gz -b 1
#
# or `synthtf.inference.strip("scan.nii.gz", "run", border=1)`; [05_own_data](05_own_data.ipynb)
# shows such a training for a segmentation.
#
# Next: [04_registration](04_registration.ipynb).
