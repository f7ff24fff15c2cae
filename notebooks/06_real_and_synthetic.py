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
# # 6. Real and synthetic images
#
# You have a few scans with labels, all of one contrast. Shall a network learn from them, from
# synthetic images of their labels, or from both? You will train all three and see which scans each
# can read. Slices of phantoms, rendered as T1, stand for your scans.
#
# You will learn
#
# - to train on real scans, moved and blurred as synthetic images are;
# - to mix real and synthetic images in one data set;
# - to validate per domain while a network trains.
#
# It takes two to three minutes on two processor cores.

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
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

from synthtf.data import LabelledScan, LabelMaps, Mixed, write_volume
from synthtf.data.phantom_rendering import CONTRASTS
from synthtf.data.phantoms import head_phantom, render_phantom
from synthtf.demo.settings import demo_recipe, demo_table
from synthtf.evaluation import dice
from synthtf.inference import normalize_intensity
from synthtf.networks import UNetConfig
from synthtf.optimizers import ConvMuon
from synthtf.tasks import segmentation

folder = Path(tempfile.mkdtemp())
spacing, shape = 4.0, (48, 48, 40)  # mm, voxels

# %% [markdown]
# ## Scans with labels
#
# A `LabelledScan` is a scan, its label map, and its domain. On the command line, a table says the
# same: a line `image,labels,domain` and then one per scan. Sixteen heads, seven slices of each.

# %%
table = demo_table()
count_as = np.zeros(max(table.ids) + 1, "int32")
count_as[list(table.ids)] = table.outputs


def slices(seeds, contrast):
    """Render heads, and give their slices and label maps."""
    for seed in seeds:
        head = head_phantom(seed, shape, spacing, detail=spacing)
        image = render_phantom(head, contrast, seed, spacing)
        for z in range(14, 28, 2):
            yield f"{contrast}_{seed}_{z}", image[:, :, z], head[:, :, z]


scans = []
affine = np.diag([spacing] * 3 + [1.0])
for name, image, labels in slices(range(16), "T1"):
    files = folder / f"{name}.nii.gz", folder / f"{name}_labels.nii.gz"
    write_volume(files[0], image, affine=affine)
    write_volume(files[1], labels, affine=affine)
    scans.append(LabelledScan(*files, domain="T1"))
print(len(scans), "scans with labels")

# %% [markdown]
# ## Three recipes and three data sets
#
# `with_scans` takes a recipe for synthetic images and gives the one that shows real scans instead:
# the same poses, bias fields, blur and noise. With `synthetic=True` it shows a scan where there is
# one, and a synthetic image of the labels elsewhere.
#
# `Mixed` decides whose turn it is by the number of a sample: here three of ten are real. On the
# command line:
#
#     synthtf train segmentation --real scans.csv -o run-real
#     synthtf train segmentation maps/ --real scans.csv --real-share 0.3 -o run-both

# %%
recipe = demo_recipe()
labels, images = [scan.labels for scan in scans], [scan.image for scan in scans]
options = {"seed": 1, "batch_size": 4, "spacing": spacing}
ways = {
    "real": (recipe.with_scans(), LabelMaps(labels, scans=images, **options)),
    "synthetic": (recipe, LabelMaps(labels, **options)),
    "both": (recipe.with_scans(synthetic=True), Mixed(labels, scans, share=0.3, **options)),
}
print(ways["both"][0].describe())


# %%
def make_model(recipe):
    """Make the same network, with the same first weights, for each recipe."""
    keras.utils.set_random_seed(1)
    network = UNetConfig(8, 4, mixture_channels=2)
    return segmentation(shape[:2], table, spacing, recipe, network=network, loss="dice")


models = {name: make_model(recipe) for name, (recipe, _) in ways.items()}

# %% [markdown]
# What the networks will see, batch by batch:

# %%
figure, axes = plt.subplots(3, 8, figsize=(12, 4.8), facecolor="black")
for line, (name, (_, maps)) in zip(axes, ways.items(), strict=True):
    batches = [models[name].synthesis.predict_on_batch(maps.sample(4 * k)[0]) for k in range(8)]
    for axis, made in zip(line, batches, strict=True):
        axis.imshow(np.asarray(made["image"])[0, ..., 0].T, cmap="gray", origin="lower")
        axis.set_axis_off()
    line[0].set_title(name, color="white")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Validation per domain
#
# Four heads that no network learns from, in T1 and in contrasts that no scan to learn from has
# from. After each epoch, the Dice is measured for each of these domains. The mean would hide what
# matters: a network is as good as its worst domain. In 3D, `ScanValidation` does this with files,
# and `synthtf train --validate scans.csv` keeps the weights whose worst domain was the best.

# %%
held_out = {contrast: list(slices(range(900, 904), contrast)) for contrast in CONTRASTS}


def as_input(image):
    """Give an image as networks take it."""
    return normalize_intensity(image[..., None])[..., 0][None, ..., None]


given = {c: np.concatenate([as_input(image) for _, image, _ in held_out[c]]) for c in CONTRASTS}
truth = {c: np.stack([count_as[labels] for _, _, labels in held_out[c]]) for c in CONTRASTS}


def find(model, contrast):
    """Segment the held-out slices of a contrast."""
    values = np.array(model.output_labels, "int32")
    return values[np.asarray(model.task_model.predict_on_batch(given[contrast])).argmax(-1)]


def measure(model):
    """Give the mean Dice over the structures, for each domain."""
    values = model.output_labels[1:]
    return {c: np.nanmean(list(dice(find(model, c), truth[c], values).values())) for c in CONTRASTS}


# %%
epochs, steps = 8, 50
curves = {name: [] for name in ways}
for name, (_, maps) in ways.items():
    model = models[name]
    model.compile(ConvMuon(keras.optimizers.schedules.CosineDecay(5e-3, epochs * steps, 0.01)))
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs, n=name, m=model: curves[n].append(measure(m))
    )
    model.fit(maps, epochs=epochs, steps_per_epoch=steps, callbacks=[watch], verbose=0)
    print(f"{name:10}", {c: round(float(score), 2) for c, score in curves[name][-1].items()})

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True)
for axis, (name, scores) in zip(axes, curves.items(), strict=True):
    for contrast in CONTRASTS:
        axis.plot(range(1, epochs + 1), [row[contrast] for row in scores], label=contrast)
    axis.set_title(f"learnt from {name} images" if name != "both" else "learnt from both")
    axis.set_xlabel("epoch")
    axis.set_ylim(0, 1)
    axis.grid(alpha=0.3)
axes[0].set_ylabel("Dice on held-out heads")
axes[-1].legend(loc="lower right")
figure.tight_layout()
plt.show()

# %% [markdown]
# Real scans teach their own contrast quickly, and little about others: T2 fails, whatever the
# augmentation. Synthetic images teach all contrasts alike, and take longer. With three real images
# in ten, the network learns a little more of what is in both, and its worst domain stays good.
#
# ## The same slice, three networks

# %%
figure, axes = plt.subplots(len(CONTRASTS), 4, figsize=(9, 11), facecolor="black")
place = {value: number for number, value in enumerate(models["both"].output_labels)}
colour = np.vectorize(place.get)
for line, contrast in zip(axes, CONTRASTS, strict=True):
    picture = given[contrast][3, ..., 0]
    found = [None, *(find(model, contrast)[3] for model in models.values())]
    for axis, labels in zip(line, found, strict=True):
        axis.imshow(picture.T, cmap="gray", origin="lower")
        if labels is not None:
            shown = np.ma.masked_equal(colour(labels), 0)
            axis.imshow(shown.T, cmap="tab20", origin="lower", vmin=0, vmax=20, alpha=0.7)
        axis.set_axis_off()
    line[0].set_title(contrast, color="white")
for axis, name in zip(axes[0, 1:], models, strict=True):
    axis.set_title(name, color="white")
figure.tight_layout()
plt.show()

# %% [markdown]
# `synthtf train ... --real-remapping 0.5` maps the intensities of half of the real scans by random
# curves, which is in between. `synthtf.training.LearnRanges` moves the ranges of a recipe towards
# what serves a few labelled scans. [05_own_data](05_own_data.ipynb) trains with files, in 3D.
