# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Segmentation of contrasts that were never seen
#
# You will train a network on synthetic images of label maps, and segment T1, T2, FLAIR and CT
# with it: contrasts that none of its training images was made to resemble, in heads that it does
# not know.
#
# You will learn
#
# - to say which labels the network shall tell apart;
# - to train: label maps go in, and images and targets are made on the way, inside the model;
# - to take the task network out, to measure it, and to export it as a SavedModel.
#
# It takes two to four minutes on two processor cores. To be that quick it works in 2D, on axial
# slices of phantoms; with a third number in `shape`, the same lines train in 3D.

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
import tempfile
from dataclasses import replace
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from IPython.display import Image, display

from synthtf import figures
from synthtf.data.phantoms import head_phantom, phantom_table, render_phantom
from synthtf.evaluation import dice
from synthtf.inference import normalize_intensity
from synthtf.layers import (
    RandomAffine,
    RandomBiasField,
    RandomBlur,
    RandomGamma,
    RandomIntensity,
    RandomNoise,
    RandomWarp,
)
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe

folder = Path(tempfile.mkdtemp())
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Label maps
#
# 60 heads, on pixels of 2.5 mm. They are larger than the images, so that rotations and
# translations draw in anatomy and not emptiness.

# %%
spacing = 2.5  # mm
shape = (80, 96)
maps = [head_phantom(seed=number, shape=(100, 120), spacing=spacing) for number in range(60)]
table = phantom_table().select({int(value) for one in maps for value in np.unique(one)})
print(len(maps), "label maps of", len(table.ids), "labels")

# %% [markdown]
# ## What to segment
#
# The synthesis gives all labels intensities, skull and scalp included. In the *output*, labels
# can count as one structure: here both sides of each. And labels of one tissue share a mean
# intensity, as they do in most scans. With a table on disk (`LabelTable.read`), these are its
# columns `output` and `tissue`.

# %%
structures = {
    2: ("white matter", (2, 41)),
    3: ("cortex", (3, 42)),
    4: ("ventricles", (4, 43, 14)),
    10: ("deep grey matter", (10, 11, 12, 13, 49, 50, 51, 52)),
    24: ("CSF around the brain", (24,)),
}
output = {label: value for value, (_, labels) in structures.items() for label in labels}
name = {value: name for value, (name, _) in structures.items()}
tissue = {label: name[value] for label, value in output.items()} | {4: "CSF", 43: "CSF", 14: "CSF"}

table = replace(
    table,
    outputs=tuple(output.get(label, 0) for label in table.ids),
    names=tuple(name.get(label, old) for label, old in zip(table.ids, table.names, strict=True)),
    groups=tuple(tissue.get(label, old) for label, old in zip(table.ids, table.names, strict=True)),
)
print({value: table.name(value) for value in table.output_labels})

# %% [markdown]
# ## A recipe
#
# The intensities take any value; the poses are milder than real scans need, since phantoms are
# all upright and minutes are few. [01_synthesis](01_synthesis.ipynb) explains the ranges.

# %%
recipe = Recipe(
    [
        RandomAffine(translation=(-4, 4), rotation=(-5, 5), scaling=(0.95, 1.05), shear=0),
        RandomWarp(strength=(0, 2), control_points=(3, 6)),
        RandomIntensity(std=(0, 0.05), groups="tissues", background_probability=0.05),
        RandomBiasField(form="exponential", std=(0, 0.2)),
        RandomBlur(),
        RandomNoise(std=(0, 0.05)),
        RandomGamma(gamma=(0.8, 1.25)),
    ]
)

# %% [markdown]
# ## The model
#
# `tasks.segmentation` joins the synthesis and a U-Net to one Keras model. The network's last
# layer holds a Gaussian mixture (`mixture_channels`): it finds the mean and variance of each
# structure in the image at hand, which makes it learn much faster. `UNetConfig()` is the size of
# SynthSeg.

# %%
model = synthtf.tasks.segmentation(
    shape,
    table,
    spacing,
    recipe,
    network=UNetConfig(features=12, levels=5, mixture_channels=2),
    loss="dice",
)
model.summary()

# %% [markdown]
# What it learns from: look at it before you train. Colours are the targets.

# %%
data = synthtf.data.LabelMaps(maps, seed=1, batch_size=4, num_batches=50, table=table)
values = np.array(model.output_labels)
palette = np.array([(0, 0, 0), *plt.get_cmap("Set2").colors[: len(values) - 1]])


def draw(axis, image, labels=None):
    """Draw an image, and over it in colours the labels."""
    axis.imshow(image.T, cmap="gray", vmin=0, vmax=1, origin="lower")
    if labels is not None:
        colours = palette[np.searchsorted(values, labels.T)]
        axis.imshow(colours, origin="lower", alpha=0.85 * (labels.T > 0))
    axis.set_axis_off()


figure, axes = plt.subplots(2, 8, figsize=(13, 4.2), facecolor="black")
for column, number in zip(axes.T, range(8), strict=True):
    batch = data.sample(number)[0]
    sample = {name: np.asarray(x)[0, ..., 0] for name, x in model.synthesis(batch).items()}
    draw(column[0], sample["image"])
    draw(column[1], sample["image"], sample["labels"])
    column[0].set_title(f"key {batch['key'][0]}", color="white", fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Training
#
# Label maps go in; there are no images and no targets on disk. No image occurs twice. The loss is
# one minus the soft Dice; the Dice shown is that of training images, harder than real ones: in
# some, two structures have next to the same intensity. `ConvMuon` learns from fewer images than
# Adam.

# %%
epochs = 8
rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * len(data))
model.compile(synthtf.optimizers.ConvMuon(rate))
history = model.fit(data, epochs=epochs, shuffle=False, verbose=2)

# %% [markdown]
# ## The test
#
# `model.task_model` is the U-Net alone: from an image in [0, 1] to posteriors. The test images
# show five heads that were not trained on, rendered with the intensities that tissues are known
# to have in MRI and CT; that code shares nothing with the synthesis.

# %%
network = model.task_model
contrasts = ("T1", "T2", "FLAIR", "CT")
heads = [head_phantom(seed=900 + number, shape=shape, spacing=spacing) for number in range(5)]
lookup = np.zeros(max(table.ids) + 1, "int32")
lookup[list(table.ids)] = table.outputs


def segment(image):
    """Give the most probable label of each pixel."""
    posteriors = network.predict_on_batch(normalize_intensity(image)[None, ..., None])[0]
    return values[posteriors.argmax(axis=-1)]


rows = []
for number, head in enumerate(heads):
    for contrast in contrasts:
        found = segment(render_phantom(head, contrast, seed=number, spacing=spacing))
        overlap = dice(found, lookup[head], model.output_labels[1:])
        rows += [(table.name(value), contrast, one) for value, one in overlap.items()]

print("Dice", *contrasts, sep="\t")
for value in model.output_labels[1:]:
    means = [
        np.mean([one for what, where, one in rows if (what, where) == (table.name(value), c)])
        for c in contrasts
    ]
    print(f"{table.name(value):22}", *(f"{mean:.2f}" for mean in means), sep="\t")
means = {c: np.mean([one for _, where, one in rows if where == c]) for c in contrasts}
print(f"{'mean':22}", *(f"{mean:.2f}" for mean in means.values()), sep="\t")

# %%
display(Image(figures.dice_table(rows, folder / "dice.png")))

# %% [markdown]
# ## Export
#
# A SavedModel holds the network without Keras and synthtf. Spatial sizes stay free: any multiple
# of 16, two to the power of the number of poolings. Only Keras on TensorFlow, the default, writes
# it.

# %%
network.export(folder / "segmenter", format="tf_saved_model", verbose=False)
reloaded = tf.saved_model.load(folder / "segmenter")

image = render_phantom(heads[1], "T2", seed=1, spacing=spacing)
batch = normalize_intensity(image)[None, ..., None]
posteriors = reloaded.serve(batch).numpy()
difference = np.abs(posteriors - network.predict_on_batch(batch)).max()
print(f"{folder / 'segmenter'}: posteriors differ by {difference:.1e} from those of the model")

# %% [markdown]
# One head in four contrasts, segmented by the reloaded network: the anatomy is the same.

# %%
figure, axes = plt.subplots(2, 5, figsize=(13, 6.2), facecolor="black")
for column, contrast in zip(axes.T, contrasts, strict=False):
    image = render_phantom(heads[0], contrast, seed=0, spacing=spacing)
    posteriors = reloaded.serve(normalize_intensity(image)[None, ..., None]).numpy()[0]
    draw(column[0], image)
    draw(column[1], image, values[posteriors.argmax(axis=-1)])
    column[0].set_title(f"{contrast}: Dice {means[contrast]:.2f}", color="white")
draw(axes[1, -1], image, lookup[heads[0]])
axes[1, -1].set_title("truth", color="white")
axes[0, -1].set_axis_off()
for number, value in enumerate(values[1:], start=1):
    axes[0, -1].text(0, 1 - number / 7, table.name(value), color=palette[number], fontsize=13)
figure.tight_layout()
plt.show()

# %% [markdown]
# Next: [03_skull_stripping](03_skull_stripping.ipynb); or [05_own_data](05_own_data.ipynb), which
# does this in 3D from a folder of files, as `synthtf train` and `synthtf segment` do.
