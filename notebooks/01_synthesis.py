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
# # 1. Synthesising images from label maps
#
# A network that has seen every contrast does not depend on any. synthtf makes such training
# images from label maps: random shape, contrast and artefacts, a new image at each training step
# (Hoffmann, *Domain-randomized deep learning for neuroimage analysis*, 2025).
#
# You will learn
#
# - which steps turn a label map into an image, and to run each of them by itself;
# - what the noise fields behind warps and bias fields look like;
# - to write a recipe, the ranges of all steps, and to look at what it makes;
# - what a key is, and why the same key gives the same image.
#
# It takes about a minute on a CPU and needs no data: the label maps are phantoms, heads made of
# formulas.

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
    checkout = ".." if os.path.isfile("../setup.cfg") else "synthtf"  # else PyPI
    source = f"{checkout}[notebooks]"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)
    print("Installed. Now choose Runtime > Restart session, and run from the top.")

# %%
import synthtf  # before Keras: it switches on TensorFlow's fast convolutions

print("synthtf", synthtf.__version__)

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

from synthtf import layers
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.figures import contact_sheet, label_colormap
from synthtf.synthesis import Recipe

folder = Path(tempfile.mkdtemp())


def show(pictures, columns=6, size=2.1):
    """Draw titled slices: grey values from 0, black, to 1, white; or colours."""
    rows = -(-len(pictures) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(size * columns, 1.25 * size * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        picture = np.squeeze(np.asarray(picture))
        axis.imshow(picture.swapaxes(0, 1), cmap="gray", vmin=0, vmax=1, origin="lower")
        axis.set_title(title, fontsize=9)
    figure.tight_layout()
    plt.show()


def paint(labels):
    """Give each label its colour, and the background black."""
    labels = np.squeeze(np.asarray(labels))
    colours = np.zeros((labels.max() + 1, 3))
    for value, colour in label_colormap(labels).items():
        colours[value] = colour[:3]
    return colours[labels]


# %% [markdown]
# ## A label map
#
# An axial slice of 192 x 224 pixels of 1 mm; in 3D, all of the following is the same but for a
# third axis. Tensors are `(batch, *spatial, channels)`; label maps are integers, here
# FreeSurfer's. The label table knows their names, which are left and right, and which belong to
# the brain.

# %%
spacing = 1.0  # mm
table = phantom_table()
labels = head_phantom(seed=3, shape=(192, 224), spacing=spacing)[None, ..., None]

for value in np.unique(labels)[:6]:
    print(f"{value:4d}  {table.name(value)}")
show({"label map": paint(labels)}, columns=1, size=3.2)

# %% [markdown]
# ## Step by step
#
# Each step is a Keras layer. A layer is called with a *key*, a row of two integers per sample,
# and draws from it alone. Units are mm, degrees, and proportions.
#
# **Shape.** An affine matrix and a displacement field are drawn and composed, and the label map
# is resampled once, from the nearest voxel.

# %%
key = np.array([[0, 9]], "int32")  # (run seed, sample number)

affine = layers.RandomAffine(
    translation=(-10, 10), rotation=(-20, 20), spacing=spacing, name="affine"
)(labels, key=key)
warp = layers.RandomWarp(strength=(12, 12), control_points=(4, 8), spacing=spacing, name="warp")(
    labels, key=key
)
resample, compose = layers.Resample(), layers.ComposeTransforms()
moved = resample(labels, compose([affine, warp]))

show(
    {
        "label map": paint(labels),
        "affine": paint(resample(labels, affine)),
        "warp": paint(resample(labels, warp)),
        "both": paint(moved),
    },
    columns=4,
)

# %% [markdown]
# **Contrast and artefacts.** Every label gets a random mean intensity; what follows is what
# scanners and processing do: bias field, blur, noise, gamma (contrast of dark against bright),
# lower resolution, skull-stripping. Ranges are wide on purpose: images need not look real, the
# real ones need to lie among them.

# %%
steps = {
    "intensities": layers.RandomIntensity(table.ids, background_probability=0, name="intensity"),
    "bias field": layers.RandomBiasField(drop=(0.4, 0.4), name="bias"),
    "blur": layers.RandomBlur(std=(1, 1), spacing=spacing, name="blur"),
    "noise": layers.RandomNoise(std=(0.05, 0.05), name="noise"),
    "gamma": layers.RandomGamma(gamma=(0.6, 0.6), name="gamma"),
    "resolution": layers.RandomResolution(factor=(3, 3), spacing=spacing, name="resolution"),
}
image, pictures = moved, {}
for title, layer in steps.items():
    image = pictures[title] = layer(image, key=key)
strip = layers.RandomMask(table.brain_labels, optional=table.csf_labels, name="strip")
pictures["skull-strip"] = strip([image, moved], key=key)
show({"moved labels": paint(moved), **pictures}, columns=4)

# %% [markdown]
# A layer draws first, then applies. Draws can be looked at, changed and applied again.

# %%
intensity = steps["intensities"]
draws = intensity.sample(key, moved.shape)
print({name: tuple(value.shape) for name, value in draws.items()})

inverted = {**draws, "mean": 1 - draws["mean"]}
show(
    {
        "as drawn": intensity.apply(moved, draws),
        "1 - mean": intensity.apply(moved, inverted),
    },
    columns=2,
)

# %% [markdown]
# ## Noise fields
#
# Warps and bias fields are smooth random fields. Control points say how fine they are: so many
# random values or gradients per axis. Gaussian noise is smoothed with a kernel of half the
# distance between that many points; fractal noise adds finer octaves to Perlin noise.


# %%
def noise_field(kind, points, shape=(192, 192)):
    """Draw a field in [0, 1] with so many control points per axis."""
    here, number = synthtf.random.fold_in(key, kind), np.full((1, 2), points, "int32")
    normal = synthtf.random.normal
    if kind == "value":
        values = synthtf.random.uniform(here, (points, points, 1))
        return synthtf.ops.value_noise(values, number, shape)
    if kind == "Gaussian":
        std = np.full((1, 2), shape[0] / (2 * (points - 1)), "float32")
        return synthtf.ops.gaussian_noise(normal(here, (*shape, 1)), std)
    if kind == "Perlin":
        return synthtf.ops.perlin_noise(normal(here, (points, points, 1, 2)), number, shape)
    octaves = [(points - 1) * 2**k + 1 for k in range(4)]
    gradients = [normal(synthtf.random.fold_in(here, f"{n}"), (n, n, 1, 2)) for n in octaves]
    numbers = [np.full((1, 2), n, "int32") for n in octaves]
    return synthtf.ops.fractal_noise(gradients, numbers, shape)


show(
    {
        f"{kind}, {points} points": noise_field(kind, points)
        for points in (4, 8, 16)
        for kind in ("value", "Gaussian", "Perlin", "fractal")
    },
    columns=4,
    size=1.8,
)

# %% [markdown]
# A vector field of such noise is taken as a velocity and integrated over unit time. The warp then
# hardly folds, however strong it is: its Jacobian determinant, the local change of area, stays
# above 0. Without the integration it folds (red).

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 7.4))
for row, diffeomorphic in zip(axes, (True, False), strict=True):
    for axis, strength in zip(row, (5, 15, 30), strict=True):
        warp = layers.RandomWarp(
            strength=strength,
            control_points=(6, 6),
            diffeomorphic=diffeomorphic,
            spacing=spacing,
            name="w",
        )
        field = warp(labels, key=key)
        x, y = np.moveaxis(np.asarray(field)[0], -1, 0) + np.indices(field.shape[1:3])
        jacobian = np.asarray(synthtf.ops.jacobian_determinant(field))[0].T
        axis.imshow(paint(resample(labels, field)).swapaxes(0, 1), origin="lower", alpha=0.6)
        axis.contour(x.T, levels=np.arange(0, 192, 8), colors="black", linewidths=0.5)
        axis.contour(y.T, levels=np.arange(0, 224, 8), colors="black", linewidths=0.5)
        axis.contourf(jacobian, levels=[-np.inf, 0], colors="red")
        kind = "integrated" if diffeomorphic else "not integrated"
        axis.set_title(f"{strength} mm, {kind}: {(jacobian <= 0).mean():.1%} folds", fontsize=9)
        axis.set_axis_off()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## A recipe
#
# A recipe is the list of these layers, in the order in which they act. `build` chains them into
# one Keras model, from label maps and keys to images and target labels, and tells the layers what
# the labels are and how large a voxel is. Look at 20 to 30 images before you train on them. Twelve
# heads and twelve keys:

# %%
maps = [head_phantom(seed=number, shape=(192, 224), spacing=spacing) for number in range(12)]
batch = {
    "labels": np.stack(maps)[..., None],
    "key": np.array([[0, number] for number in range(12)], "int32"),
}


def sheet(recipe, name):
    """Draw a sample of each head by a recipe."""
    synthesis = recipe.build((192, 224), table, spacing)
    images = np.asarray(synthesis(batch)["image"])
    titles = [f"key {seed}, {number}" for seed, number in batch["key"]]
    display(Image(contact_sheet(images, folder / f"{name}.png", titles, columns=6)))


tutorial = Recipe(
    [
        layers.RandomAffine(),
        layers.RandomWarp(),
        layers.RandomFieldOfView(),
        layers.RandomIntensity(),
        layers.RandomBiasField(),
        layers.RandomBlur(),
        layers.RandomNoise(),
        layers.RandomGamma(),
        layers.RandomResolution(),
    ]
)
sheet(tutorial, "tutorial")

# %% [markdown]
# Both bounds of each range at the maximum show the strongest effect. Can you still recognise the
# anatomy? If not, lower the ranges: neither could the network.

# %%
sheet(tutorial.extremes(), "extremes")

# %% [markdown]
# On disk, a recipe is the same list as JSON. `synthtf train --recipe my.json` and `synthtf
# synthesize --recipe my.json` read it. What is done in one pass over the volume is on one line of
# the description.

# %%
mine = Recipe.from_json(
    """
    [
      {"layer": "RandomAffine", "translation": [-10, 10], "rotation": [-15, 15]},
      {"layer": "RandomWarp", "strength": [0, 10], "control_points": [3, 10]},
      {"layer": "RandomFieldOfView"},
      {"layer": "RandomIntensity", "std": [0, 0.06], "groups": "tissues"},
      {"layer": "RandomBiasField", "drop": [0, 0.3], "probability": 0.9},
      {"layer": "RandomBlur", "std": [0, 1]},
      {"layer": "RandomNoise", "std": [0, 0.05], "distribution": "rician"},
      {"layer": "RandomGamma"},
      {"layer": "RandomResolution", "factor": [1, 3], "probability": 0.3},
      {"layer": "RandomMask", "probability": 0.3}
    ]
    """
)
print(mine.describe())
mine.save(folder / "my.json")
sheet(mine, "mine")

# %% [markdown]
# What is misspelt or out of range is refused, by name.

# %%
for entry in ({"layer": "RandomBlurr"}, {"layer": "RandomBlur", "std": [2, 1]}):
    try:
        Recipe([*mine, entry])
    except ValueError as error:
        print(error)

# %% [markdown]
# ## Keys
#
# Every draw is a function of the key, the name of the layer and the name of the draw. So the same
# key gives the same image, in any batch and at any place in it, and a bad sample can be made
# again from two integers. And a step can be changed while all others stay as they were:

# %%
head = maps[3][None, ..., None]


def synthesise(recipe, number):
    """Make one image of one head."""
    synthesis = recipe.build((192, 224), table, spacing)
    sample = synthesis({"labels": head, "key": np.array([[0, number]], "int32")})
    return np.asarray(sample["image"])


first, again, other = synthesise(mine, 10), synthesise(mine, 10), synthesise(mine, 4)
print("same key, same bits:", np.array_equal(first, again))
print("other key, other image:", not np.array_equal(first, other))

noisy = mine.change("noise", std=0.15)
still = mine.without("affine")
show(
    {
        "key 0, 10": first,
        "key 0, 10 again": again,
        "key 0, 4": other,
        "key 0, 10, more noise": synthesise(noisy, 10),
        "key 0, 10, no affine": synthesise(still, 10),
    },
    columns=5,
)

# %% [markdown]
# ## Try it
#
# Move the sliders: each sets a range to the one value, for a fixed key, so that you see what one
# range does. Without widgets (`pip install ipywidgets`), call `explore` with other numbers.


# %%
def explore(number=4, rotation=10, warp=12, bias=0.4, blur=0.8, noise=0.04, gamma=0.8, voxel=1.5):
    """Draw one head: degrees, mm, share, mm, share, exponent, mm."""
    recipe = Recipe(
        [
            layers.RandomAffine(rotation=rotation, translation=0, scaling=1, shear=0),
            layers.RandomWarp(strength=warp, control_points=(4, 8)),
            layers.RandomIntensity(background_probability=0),
            layers.RandomBiasField(drop=bias),
            layers.RandomBlur(std=blur),
            layers.RandomNoise(std=noise),
            layers.RandomGamma(gamma=gamma),
            layers.RandomResolution(factor=voxel, mode="isotropic"),
        ]
    )
    model = recipe.build((192, 224), table, spacing)
    sample = model({"labels": head, "key": np.array([[0, number]], "int32")})
    show({"labels": paint(sample["labels"]), "image": sample["image"]}, columns=2, size=3.6)


explore()

# %%
try:
    from ipywidgets import FloatSlider, IntSlider, interact
except ImportError:
    print("No ipywidgets: no sliders.")
else:

    def slider(low, high, value, step, unit):
        """A slider that answers when it is let go."""
        return FloatSlider(
            value, min=low, max=high, step=step, description=unit, continuous_update=False
        )

    interact(
        explore,
        number=IntSlider(4, min=0, max=99, description="key 0, ...", continuous_update=False),
        rotation=slider(-45, 45, 10, 5, "rotation, °"),
        warp=slider(0, 40, 12, 2, "warp, mm"),
        bias=slider(0, 1, 0.4, 0.1, "bias drop"),
        blur=slider(0, 4, 0.8, 0.2, "blur, mm"),
        noise=slider(0, 0.3, 0.04, 0.02, "noise SD"),
        gamma=slider(0.3, 2, 0.8, 0.1, "gamma"),
        voxel=slider(1, 8, 1.5, 0.5, "voxel, mm"),
    )

# %% [markdown]
# Next: [02_segmentation](02_segmentation.ipynb) trains a network on such images and tests it on
# contrasts that it has never seen.
