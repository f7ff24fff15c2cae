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
# # 8. Not only brains
#
# Nothing in synthetic training knows brains. A recipe may begin with objects that are made from
# nothing: balls for cells, trees for vessels, a tube for the spinal cord. No label map is needed.
#
# You will learn
#
# - to look at the recipes for nuclei, vessels, the spinal cord, and fetal brains;
# - to train a network that tells cells apart, without any picture of cells;
# - to find objects in a picture, and to count how many are right.
#
# It takes three minutes on two processor cores.

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
    source += "[instances]"  # with stardist
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)
    print("Installed. Now choose Runtime > Restart session, and run from the top.")

# %%
import synthtf  # before Keras: it switches on TensorFlow's fast convolutions

print("synthtf", synthtf.__version__)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

from synthtf.data import LabelMaps, LabelTable, Volume
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.evaluation import match_objects
from synthtf.inference import find_instances
from synthtf.networks import UNetConfig
from synthtf.optimizers import ConvMuon
from synthtf.synthesis import Recipe
from synthtf.tasks import instance_segmentation

# %% [markdown]
# ## Recipes that need no label maps
#
# `Recipe.preset` opens a recipe that comes with synthtf. Its first step draws the label map; what
# is given as labels is only the grid. On the command line: `synthtf synthesize --recipe vessels
# --shape 96 96 96 --spacing 1 -o samples`.


# %%
def synthesise(name, shape, spacing, table, labels=None, number=6):
    """Give images and label maps of a recipe."""
    model = Recipe.preset(name).build(shape, table, spacing)
    grid = np.ones(shape, "int32") if labels is None else labels
    made = []
    for key in range(number):
        batch = {"labels": grid[None, ..., None], "key": np.array([[3, key]], "int32")}
        sample = model.predict_on_batch(batch)
        made.append([np.asarray(sample[k])[0, ..., 0] for k in ("image", "labels")])
    return made


def show(made, title, through=False):
    """Draw the middle slice of each image, and below its labels, or those of the whole volume."""
    figure, axes = plt.subplots(2, len(made), figsize=(12, 4.2), facecolor="black")
    for column, pair in zip(axes.T, made, strict=True):
        image, labels = (x if x.ndim == 2 else x[:, :, x.shape[2] // 2] for x in pair)
        labels = pair[1].max(-1) if through else labels
        column[0].imshow(image.T, cmap="gray", origin="lower")
        shown = np.ma.masked_equal(labels, 0)
        column[1].imshow(np.ma.where(shown.mask, shown, shown % 19 + 1).T, "tab20", origin="lower")
        column[1].set_facecolor("black")
        for axis in column:
            axis.set_axis_off()
    figure.suptitle(title, color="white")
    figure.tight_layout()
    plt.show()


show(synthesise("nuclei", (96, 96), 1.0, [0, 1]), "nuclei: each is an object of its own")

# %% [markdown]
# Vessels branch, and get thinner as they do. Dark or bright, in any tissue; the labels are shown
# through the whole volume:

# %%
show(synthesise("vessels", (64, 64, 64), 1.0, [0, 1], number=4), "vessels", through=True)

# %% [markdown]
# The spinal cord with its grey matter, in vertebrae and soft tissue. The table says which labels
# a network shall find; here all are shown.

# %%
names = ("white matter", "grey matter", "CSF", "dura", "vertebrae", "discs", "arches")
cord = LabelTable.from_labels(range(len(names) + 4))
show(synthesise("spine", (64, 64, 32), 1.0, cord, number=4), "spine")

# %% [markdown]
# The recipe `fetal` needs label maps, of a fetal atlas. Here it moves, cuts and slices a phantom of
# a grown head: what it does to a scan is the same.

# %%
head = head_phantom(0, (48, 56, 48), 4.0, detail=4.0)
show(synthesise("fetal", head.shape, 4.0, phantom_table(), head, number=4), "fetal")

# %% [markdown]
# ## A network that tells cells apart
#
# The network looks at a picture and says at each pixel how likely it is inside of an object, and
# how far the border is in 32 directions (StarDist's way). It learns from synthetic images
# alone, here for two minutes; a network to use wants an hour.

# %%
shape, steps = (96, 96), 300
keras.utils.set_random_seed(0)
model = instance_segmentation(
    shape, [0, 1], recipe="nuclei", network=UNetConfig(12, 3), rays=32, limit=25.0
)
model.compile(ConvMuon(keras.optimizers.schedules.CosineDecay(5e-3, steps, 0.01)))
maps = LabelMaps([np.ones(shape, "int32")], seed=1, batch_size=2)
history = model.fit(maps, epochs=6, steps_per_epoch=steps // 6, verbose=2)

# %% [markdown]
# ## Objects in a picture
#
# Pictures of cells that the recipe did not make: ellipses on uneven ground, with noise. Put a
# picture of yours here: `Volume(picture, np.eye(4))` takes any 2D array.


# %%
def picture_of_cells(seed, size=128, number=24):
    """Draw ellipses, none over another, with a number each."""
    rng = np.random.default_rng(seed)
    x, y = np.mgrid[:size, :size]
    cells = np.zeros((size, size), "int32")
    for _ in range(4 * number):
        centre, radii = rng.uniform(8, size - 8, 2), rng.uniform(5, 9, 2)
        turn = rng.uniform(0, np.pi)
        along = np.cos(turn) * (x - centre[0]) + np.sin(turn) * (y - centre[1])
        across = np.cos(turn) * (y - centre[1]) - np.sin(turn) * (x - centre[0])
        cell = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 < 1
        if cells.max() < number and not cells[cell].any():
            cells[cell] = cells.max() + 1
    ground = 0.2 + 0.1 * np.sin(x / 40 + seed) * np.cos(y / 30)
    bright = np.concatenate([[0], rng.uniform(0.3, 0.6, cells.max())])
    return (ground + bright[cells] + rng.normal(0, 0.03, cells.shape)).astype("float32"), cells


figure, axes = plt.subplots(1, 3, figsize=(12, 4.4))
for seed, axis in enumerate(axes):
    picture, cells = picture_of_cells(seed)
    found = find_instances(Volume(picture, np.eye(4)), model)
    match = match_objects(found.data, cells)
    axis.imshow(picture.T, cmap="gray", origin="lower")
    for labels, colour in ((cells, "tab:red"), (found.data, "lime")):
        for value in np.unique(labels)[1:]:
            axis.contour((labels == value).T, [0.5], colors=colour, linewidths=1)
    axis.set_title(
        f"{match.matched} of {match.reference_objects}, AP {match.average_precision:.2f}"
    )
    axis.set_axis_off()
figure.suptitle("drawn cells (red), found (green)")
figure.tight_layout()
plt.show()

# %% [markdown]
# The average precision counts the objects that are right (they share at least half of what both
# cover), among all that are right, false or missed. On the command line:
#
#     synthtf train instances -o run --recipe nuclei --shape 96 96 --spacing 1 --limit 25
#     synthtf instances picture.nii.gz -o objects.nii.gz --model run
#     synthtf evaluate objects.nii.gz truth.nii.gz --instances
#
# The documentation has a page for each of these tasks, and the recipes' cards say where their
# ranges come from.
