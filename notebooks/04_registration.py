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
# # 4. Registration
#
# You will train networks that align images of different contrast, as SynthMorph does: one finds an
# affine transform, one a deformation. Both learn from pairs of synthetic images alone; the overlap
# of the labels that they bring together is what drives them. Then you will use those that come
# with synthtf, in 3D.
#
# You will learn
#
# - what the pairs are: two heads, one head twice, or random shapes that show no anatomy;
# - to train an affine network, and how to train a deformable one that builds on its features;
# - to register two heads in 3D with trained networks;
# - to measure a registration, to look at it, and to write transforms for FreeSurfer, ITK and
#   ANTs.
#
# It takes three to four minutes on two processor cores. To be that quick it trains in 2D, on axial
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
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

from synthtf import figures, layers, ops
from synthtf.data import Affine, Volume, read_volume, write_volume
from synthtf.data.phantoms import head_phantom, phantom_table, render_phantom
from synthtf.data.shipped_models import find_model
from synthtf.evaluation import dice
from synthtf.inference import apply_transform, normalize_intensity, register
from synthtf.inference.registration.picture import draw_registration
from synthtf.interop import read_transform, write_transform
from synthtf.layers import (
    RandomAffine,
    RandomBiasField,
    RandomBlur,
    RandomGamma,
    RandomIntensity,
    RandomNoise,
    RandomWarp,
)
from synthtf.metrics import target_registration_error
from synthtf.networks import DetectorConfig, RegistrationConfig, UNetConfig
from synthtf.synthesis import Recipe, labels_to_pairs

folder = Path(tempfile.mkdtemp())
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Label maps and recipes
#
# 60 heads, on pixels of 2.5 mm. Each image of a pair gets its own pose, warp and contrast, so two
# recipes: one with large rotations and shifts for the affine network, one with warps for the
# deformable one, which comes after it.

# %%
spacing, shape = 2.5, (80, 96)  # mm, voxels
maps = [head_phantom(seed=number, shape=(104, 120), spacing=spacing) for number in range(60)]
table = phantom_table().select({int(value) for one in maps for value in np.unique(one)})
contrast = [
    RandomIntensity(std=(0, 0.05), groups="sides", background_probability=0.05),
    RandomBiasField(form="exponential", std=(0, 0.2)),
    RandomBlur(),
    RandomNoise(std=(0, 0.05)),
    RandomGamma(gamma=(0.8, 1.25)),
]
turned = Recipe(
    [
        RandomAffine(translation=(-15, 15), rotation=(-20, 20), shear=(-0.05, 0.05)),
        RandomWarp(strength=(0, 3), control_points=(3, 6)),
        *contrast,
    ]
)
warped = Recipe(
    [
        RandomAffine(translation=(-2, 2), rotation=(-3, 3), scaling=(0.97, 1.03), shear=0),
        RandomWarp(strength=(0, 8), control_points=(3, 6)),
        *contrast,
    ]
)

# %% [markdown]
# ## Pairs
#
# Two label maps, or one that is deformed twice (`same_anatomy=True`, as of longitudinal scans),
# become two images of different contrast. With `shapes=1`, both are made of the same random
# shapes, and no anatomical data are needed at all: a network that has learned to align any shapes
# aligns brains, too (SynthMorph, 2022). That takes hours, not minutes, so below, anatomy it is.

# %%
kinds = {
    "two heads": {},
    "one head twice": {"same_anatomy": True},
    "random shapes": {"same_anatomy": True, "shapes": 1.0},
}
pairs = synthtf.data.LabelMaps(maps, seed=3, batch_size=8, table=table)[0][0]
figure, axes = plt.subplots(3, 8, figsize=(13, 6.2))
for row, (kind, options) in zip(axes, kinds.items(), strict=True):
    samples = labels_to_pairs(shape, table, warped, spacing, **options)(pairs)
    both = np.stack([samples["moving"], samples["fixed"]], axis=1).reshape(8, *shape)
    for number, (axis, image) in enumerate(zip(row, both, strict=True)):
        axis.imshow(image.T, cmap="gray", vmin=0, vmax=1, origin="lower")
        axis.set_title(f"{kind}, {('moving', 'fixed')[number % 2]}", fontsize=7)
        axis.set_axis_off()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## An affine network
#
# A U-Net turns each image, by itself, into feature maps; the transform that takes their centres
# of mass in one image to those in the other follows in closed form. With `landmarks`, each of the
# first maps is taught to show one structure, which is much faster than learning from the overlap
# alone.

# %%
detector = DetectorConfig(num_features=20, backbone=UNetConfig(8, 4, max_features=32))
affine = synthtf.tasks.registration(
    shape, table, spacing, turned, kind="affine", network=detector, landmarks=1.0
)
pairs = synthtf.data.LabelMaps(maps, seed=1, batch_size=4, num_batches=60, table=table)


def train(model, epochs, rate):
    """Fit with a learning rate that falls along a half cosine."""
    rate = keras.optimizers.schedules.CosineDecay(rate, epochs * len(pairs))
    model.compile(keras.optimizers.Adam(rate))
    model.fit(pairs, epochs=epochs, shuffle=False, verbose=2)


train(affine, epochs=10, rate=3e-3)

# %% [markdown]
# The test: a head that was not trained on, as T1, is displaced by a known transform and
# registered to itself as T2, FLAIR and CT. The error is the mean distance, over the brain,
# between where points should go and where they go. The network is asked twice, the second time
# with what it found undone.


# %%
def as_input(image):
    """Give a batch of one."""
    return normalize_intensity(image)[None, ..., None]


def register_affine(moving, fixed):
    """Give the matrix from fixed to moving voxels, about the centre."""
    found = np.eye(3, dtype="float32")[None]
    for _ in range(2):
        halfway = layers.Resample()(as_input(moving), found)
        batch = {"moving": np.asarray(halfway), "fixed": as_input(fixed)}
        found = found @ affine.task_model.predict_on_batch(batch)["affine"]
    return found


draw = layers.RandomAffine((-15, 15), (-20, 20), (0.92, 1.08), 0, spacing=spacing, name="test")
resample = layers.Resample(shape=shape)
before, after = [], []
for number in range(6):
    large = head_phantom(900 + number, (104, 120), spacing)[None, ..., None]
    still = head_phantom(900 + number, shape, spacing)
    key = np.array([[9, number]], "int32")
    displacement = draw(still[None, ..., None], key=key)
    moving = render_phantom(resample(large, displacement)[0, ..., 0], "T1", 0, spacing)
    fixed = render_phantom(still, ("T2", "FLAIR", "CT")[number % 3], 1, spacing)
    matrix = register_affine(moving, fixed)
    truth = np.asarray(ops.invert_affine(displacement))
    brain = np.argwhere(np.isin(still, table.brain_labels))[None].astype("float32")
    for errors, one in ((before, np.eye(3, dtype="float32")[None]), (after, matrix)):
        errors.append(float(target_registration_error(one, truth, brain, spacing, shape)[0]))
print("error before, mm:", np.round(before, 1), f"median {np.median(before):.1f}")
print("error after, mm: ", np.round(after, 1), f"median {np.median(after):.1f}")

# %%
field = np.asarray(ops.dense_displacement(matrix, shape))[0]
coordinates = (np.moveaxis(np.indices(shape), 0, -1) + field) * spacing
moved = np.asarray(layers.Resample()(moving[None, ..., None], matrix))[0, ..., 0]
title = f"T1 to CT: {before[-1]:.0f} mm before, {after[-1]:.0f} mm after"
path = figures.registration(
    fixed, moving, moved, folder / "affine.png", coordinates, title, spacing
)
display(Image(path))

# %% [markdown]
# ## Transform files
#
# In memory and in files, a transform maps points of the *fixed* to points of the *moving* scan in
# RAS mm; files of other packages differ in direction and axes, which `write_transform` takes care
# of. The ending says which format: `.lta` FreeSurfer, `.txt` ITK, `.mat` FSL or ANTs, `.nii.gz` a
# displacement field. Our matrix counts voxels from the centre of the images, which is at 0 mm
# here.

# %%
to_mm = np.diag([spacing, spacing, 1, 1])
to_mm[:2, 3] = [-spacing * (n - 1) / 2 for n in shape]
in_mm = np.eye(4)
in_mm[:2, :2] = matrix[0, :2, :2]
in_mm[:2, 3] = matrix[0, :2, 2] * spacing

transform = Affine(in_mm)
scans = {"moving": Volume(moving, to_mm), "fixed": Volume(fixed, to_mm)}
for name in ("transform.lta", "transform.txt"):
    write_transform(folder / name, transform, **scans)
    again = read_transform(folder / name)
    print(f"{name}: differs by {np.abs(again.matrix - in_mm).max():.0e} after reading it again")
print("\n" + (folder / "transform.txt").read_text())

# %% [markdown]
# `apply_transform` moves an image with one resampling; on the command line, `synthtf apply`.

# %%
for name, scan in scans.items():
    write_volume(folder / f"{name}.nii.gz", scan.data, affine=scan.affine)
again = apply_transform(scans["moving"], read_transform(folder / "transform.lta"))

words = ["apply", "transform.lta", "moving.nii.gz", "moved.nii.gz", "--like", "fixed.nii.gz"]
print("$ synthtf", *words)
command = [sys.executable, "-m", "synthtf.cli.main", *words]
subprocess.run(command, cwd=folder, check=True)
same = np.array_equal(read_volume(folder / "moved.nii.gz").data, again.data)
print("the command and apply_transform agree:", same)

# %% [markdown]
# ## A deformable network
#
# It predicts a velocity field at half the resolution, which is integrated, so that the
# deformation hardly folds and has an inverse. Its U-Net compares the features that the detector of
# the affine network, as it is, finds in each image. `aligned=True` makes pairs as it will meet
# them, brought together by an affine transform. `regularization` weighs how smooth the velocity
# shall be against the overlap.
#
# To be of use, it needs hours. Two epochs show how it is done.

# %%
unet = RegistrationConfig(encoder=(16, 32, 32), decoder=(32, 32, 32, 32, 16), detector=detector)
deformable = synthtf.tasks.registration(
    shape,
    table,
    spacing,
    warped,
    network=unet,
    detector=affine,
    aligned=True,
    regularization=0.3,
)
train(deformable, epochs=2, rate=2e-3)

# %% [markdown]
# ## Two heads in 3D, by trained networks
#
# Two networks come with synthtf: `affine-2mm` and `deformable-2mm`. `register` runs one or both,
# and refines what they find until the brains look alike. Here, the T1 of one head is brought onto
# the T2 of another. The Dice of structures, moved by nearest neighbour, says how much better they
# overlap.

# %%
spacing, shape = 2.0, (88, 104, 88)
to_mm = np.diag([spacing, spacing, spacing, 1])
to_mm[:3, 3] = [-spacing * (n - 1) / 2 for n in shape]
tilted = np.array([[0.97, -0.19, 0.11, 8], [0.21, 0.96, -0.19, -6], [-0.07, 0.21, 0.98, 10]])
tilted = np.vstack([tilted, [0, 0, 0, 1]]) @ to_mm
maps = [head_phantom(900 + number, shape, spacing) for number in range(2)]
labels = {"moving": Volume(maps[0], tilted), "fixed": Volume(maps[1], to_mm)}
scans = {
    "moving": Volume(render_phantom(maps[0], "T1", 0, spacing), tilted),
    "fixed": Volume(render_phantom(maps[1], "T2", 1, spacing), to_mm),
}
networks = {name: find_model(name) for name in ("affine-2mm", "deformable-2mm")}
found = {
    "before": Affine(np.eye(4)),
    "affine": register(scans["moving"], scans["fixed"], networks["affine-2mm"]).forward,
    "deformable": register(
        scans["moving"],
        scans["fixed"],
        networks["deformable-2mm"],
        affine=networks["affine-2mm"],
    ).forward,
}
structures = [int(n) for n in np.unique(maps[1]) if n in table.brain_labels]
scores = {}
for name, transform in found.items():
    there = apply_transform(
        labels["moving"], transform, like=labels["fixed"], interpolation="nearest"
    )
    scores[name] = np.nanmean(list(dice(there.data, maps[1], structures).values()))
    print(f"Dice, {name}: {scores[name]:.2f}")

# %% [markdown]
# A deformation is written as a field in mm.

# %%
write_transform(folder / "warp.nii.gz", found["deformable"], **scans)
path = folder / "deformable.png"
title = "T1 of one head to T2 of another: Dice {before:.2f}, then {deformable:.2f}"
draw_registration(
    path, scans["moving"], scans["fixed"], found["deformable"], title.format(**scores)
)
display(Image(path))

# %% [markdown]
# ## On files
#
# With scans of any orientation and voxel size:
#
#     synthtf register moving.nii.gz fixed.nii.gz -o moved.nii.gz -t warp.nii.gz --figure warp.png
#
# and with networks of your own:
#
#     synthtf train registration maps/ -o affine --labels labels.tsv --kind affine --landmarks 0.5
#     synthtf train registration maps/ -o warp --labels labels.tsv --detector affine --aligned
#     synthtf register moving.nii.gz fixed.nii.gz --model warp --affine affine -t warp.nii.gz
#
# With random shapes, `synthtf train registration maps/ -o shapes --shapes 1 --same-anatomy
# --no-detector --recipe synthmorph-shapes`; the label maps do not matter then.
#
# Next: [05_own_data](05_own_data.ipynb) begins from your own folder of label maps.
