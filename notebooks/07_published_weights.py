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
# # 7. Published weights
#
# SynthSeg, SynthStrip, SynthSR and SynthMorph were written for a TensorFlow that Keras 3 no longer
# runs on. Their weights are still good: synthtf opens them as Keras 3 models and does what the
# authors' programs did, to the same numbers.
#
# You will learn
#
# - where weights are looked for, and what happens without them;
# - to run `synthtf-synthseg` with the flags of `mri_synthseg`;
# - to open a file of weights as a Keras model, and what is said of a file that does not fit;
# - to run an old script with the names of VoxelMorph.
#
# It takes two minutes on two processor cores. No published weights are needed: where there are
# none, the network that comes with synthtf stands in, and the output says so.

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
import csv
import tempfile
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np

from synthtf import compat
from synthtf.cli.published.synthseg import main as synthseg
from synthtf.data import read_volume
from synthtf.data.phantoms import head_phantom, render_phantom
from synthtf.data.volume_writer import write_volume
from synthtf.interop import load_synthseg

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A scan
#
# A phantom in T2 contrast, with voxels of 2 mm. Put the path of a scan of yours here instead.

# %%
head = head_phantom(seed=1, shape=(80, 96, 80), spacing=2.0)
image = render_phantom(head, "T2", seed=1, spacing=2.0)
scan = folder / "scan.nii.gz"
write_volume(scan, image, affine=np.diag([2.0, 2.0, 2.0, 1.0]))

# %% [markdown]
# ## As in the shell
#
#     alias mri_synthseg=synthtf-synthseg
#     mri_synthseg --i scan.nii.gz --o labels.nii.gz --vol volumes.csv --keepgeom
#
# Weights are looked for in `--model`, then `$SYNTHTF_MODELS`, then `$FREESURFER_HOME/models`. The
# first line says which network did it. `--keepgeom` keeps the scan's own grid.

# %%
labels, volumes = folder / "labels.nii.gz", folder / "volumes.csv"
status = synthseg(
    ["--i", str(scan), "--o", str(labels), "--vol", str(volumes), "--keepgeom", "--threads", "2"]
)
print("exit status", status)
with open(volumes, newline="") as file:
    for name, value in list(zip(*csv.reader(file), strict=True))[1:8]:
        print(f"{name:32} {float(value) / 1000:8.1f} mL")

# %% [markdown]
# ## A file of weights
#
# `synthtf.interop` opens the files by themselves. The size of a network follows from its file. Here
# a small network with random weights is written as SynthSeg's code would write it, in legacy
# Keras' HDF5; set `published` to a file of yours, such as `synthseg_2.0.h5`.

# %%
published = folder / "small_synthseg.h5"
rng = np.random.default_rng(0)


def add(file, layer, **tensors):
    """Add the tensors of a layer, as legacy Keras does."""
    group = file.create_group(layer)
    for name, values in tensors.items():
        group.create_dataset(f"{layer}/{name}:0", data=values.astype("float32"))


def convolution(file, layer, inputs, outputs, size=3):
    """Add a convolution with random weights."""
    kernel = rng.normal(scale=0.1, size=(size, size, size, inputs, outputs))
    add(file, layer, kernel=kernel, bias=np.zeros(outputs))


def normalization(file, layer, features):
    """Add a batch normalisation that does nothing."""
    one, zero = np.ones(features), np.zeros(features)
    add(file, layer, gamma=one, beta=zero, moving_mean=zero, moving_variance=one)


with h5py.File(published, "w") as file:
    convolution(file, "unet_conv_downarm_0_0", 1, 4)
    convolution(file, "unet_conv_downarm_0_1", 4, 4)
    normalization(file, "unet_bn_down_0", 4)
    convolution(file, "unet_conv_downarm_1_0", 4, 8)
    convolution(file, "unet_conv_downarm_1_1", 8, 8)
    normalization(file, "unet_bn_down_1", 8)
    convolution(file, "unet_conv_uparm_2_0", 8 + 4, 4)
    convolution(file, "unet_conv_uparm_2_1", 4, 4)
    normalization(file, "unet_bn_up_0", 4)
    convolution(file, "unet_likelihood", 4, 33, size=1)

network = load_synthseg(published)
print(f"{network.count_params():,} weights, {network.output.shape[-1]} labels")
posteriors = network.predict(image[None, :32, :32, :32, None], verbose=0)
print("posteriors", posteriors.shape, "sum to", posteriors.sum(-1).mean().round(3))

# %% [markdown]
# A file that does not fit is refused, with the first tensor at fault, before anything is built:

# %%
with h5py.File(published, "a") as file:
    del file["unet_bn_up_0"]
try:
    load_synthseg(published)
except ValueError as error:
    print(str(error).replace(str(folder), "."))

# %% [markdown]
# ## An old script
#
# `synthtf.compat` has the names of VoxelMorph, neurite and SynthSeg, with their arguments, so that
# scripts run on Keras 3 with one line changed. Here a warp is integrated, composed with an affine
# transform, and applied to scan and labels with one interpolation each.

# %%
velocity = 6 * np.stack([np.sin(np.arange(96) / 96 * np.pi)] * 80)[..., None, None]
velocity = np.broadcast_to(velocity, (80, 96, 80, 3)).astype("float32")[None]
warp = compat.VecInt(int_steps=7)(velocity)
turn = compat.ParamsToAffineMatrix(ndims=3, shift_scale=True)(
    np.array([[0, 0, 0, 0, 0, 15]], "float32")
)
transform = compat.ComposeTransform()([turn, warp])
moved = compat.SpatialTransformer(fill_value=0)([image[None, ..., None], transform])
segmented = read_volume(labels, labels=True).data
moved_labels = compat.SpatialTransformer(interp_method="nearest", fill_value=0)(
    [segmented[None, ..., None], transform]
)

# %%
ids = np.unique(segmented)


def coloured(values):
    """Number labels from 0, and leave out the background."""
    return np.ma.masked_equal(np.searchsorted(ids, np.asarray(values).astype("int32")), 0)


figure, axes = plt.subplots(1, 4, figsize=(13, 4), facecolor="black")
pairs = [(image, segmented), (np.asarray(moved)[0, ..., 0], np.asarray(moved_labels)[0, ..., 0])]
for pair, (picture, values) in zip((axes[:2], axes[2:]), pairs, strict=True):
    for axis in pair:
        axis.imshow(picture[:, :, 40].T, cmap="gray", origin="lower")
        axis.set_axis_off()
    pair[1].imshow(
        coloured(values[:, :, 40]).T,
        cmap="nipy_spectral",
        origin="lower",
        vmin=-4,
        vmax=len(ids),
        alpha=0.7,
    )
for axis, title in zip(axes, ("scan", "labels", "moved", "labels moved"), strict=True):
    axis.set_title(title, color="white")
figure.tight_layout()
plt.show()

# %% [markdown]
# What is matched, how closely, and which quirks are kept is in the documentation under *Published
# tools*; the table of names is under *Coming from other packages*.
