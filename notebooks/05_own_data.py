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
# # 5. Your own data
#
# You have a folder of label maps, one per subject, and want a network for scans of any contrast.
# You will go all the way in 3D, with files: phantoms stand for your label maps here, and rendered
# phantoms for your scans.
#
# You will learn
#
# - to check a folder of label maps and to write its label table and recipe;
# - to train into a run folder, from Python and on the command line, and to resume;
# - to segment scans, to measure the result, and to use the network without synthtf.
#
# It takes three to four minutes on two processor cores: voxels of 5 mm, four structures, and a
# small network. With scans of real people, think of 1 to 2 mm and hours on a GPU.

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
import json
import shlex
import tempfile
from pathlib import Path

import numpy as np
from IPython.display import Image, display

from synthtf import figures
from synthtf.data import LabelTable, read_volume, write_volume
from synthtf.data.phantoms import head_phantom, render_phantom, write_phantoms
from synthtf.evaluation import evaluate
from synthtf.inference import segment
from synthtf.interop.export import export_run
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask
from synthtf.training import Schedule, TrainingPlan, train_run

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A folder of label maps
#
# NIfTI or MGZ files, of any orientation: `synthtf` brings them to RAS. Put the path of your own
# folder here. All that is not brain should have labels, too, if scans will show it: skull, scalp,
# neck.

# %%
maps = folder / "maps"
spacing, shape = 5.0, (32, 48, 32)  # mm, voxels
# Thin structures of the phantoms are thickened to survive voxels of this size.
write_phantoms(maps, num=24, shape=(40, 56, 40), spacing=spacing, detail=spacing)
print(*sorted(path.name for path in maps.iterdir())[:4], "...", sep="\n")

# %% [markdown]
# ## The label table
#
# A text file of tab-separated columns. `id` and `name` are required; FreeSurfer's look-up table
# will do as well. The others say more:
#
# - `side` and `partner`: what a left-right flip swaps;
# - `output`: the label that it counts as in the segmentation; 0 leaves it out;
# - `tissue`: labels that a recipe may give the same mean intensity;
# - `brain`: what skull-stripping keeps ("csf" for the CSF around it, which it may keep).

# %%
print((maps / "labels.tsv").read_text()[:400], "...")

# %% [markdown]
# Here the network shall tell four structures apart. The column `output` is edited with the `csv`
# module; a text editor or a spreadsheet will do.

# %%
names = {
    2: "white matter",
    3: "grey matter",
    8: "cerebellum and brain stem",
    4: "CSF and ventricles",
}
counts_as = {
    2: (2, 41),
    3: (3, 42, 10, 11, 12, 13, 17, 28, 49, 50, 51, 52, 53, 60),
    8: (7, 8, 46, 47, 16),
    4: (4, 43, 14, 15, 24),
}
output = {label: value for value, labels in counts_as.items() for label in labels}

with (maps / "labels.tsv").open(newline="") as stream:
    rows = list(csv.DictReader(stream, delimiter="\t"))
for row in rows:
    label = int(row["id"])
    row["output"] = output.get(label, 0)
    row["name"] = names.get(label, row["name"])
    if row["tissue"] == "outside":  # skull, scalp, neck: each may have its own intensity
        row["tissue"] = row["name"]
with (folder / "labels.tsv").open("w", newline="") as stream:
    writer = csv.DictWriter(stream, rows[0], delimiter="\t")
    writer.writeheader()
    writer.writerows(rows)

table = LabelTable.read(folder / "labels.tsv")
print("output labels:", {value: table.name(value) for value in table.output_labels})

# %% [markdown]
# ## The recipe
#
# For real heads, begin with the preset "heads". Phantoms are all upright, and minutes are few, so
# poses are milder here. [01_synthesis](01_synthesis.ipynb) explains the ranges; look at `synthtf
# synthesize maps/ -o samples --recipe recipe.json` before you train.

# %%
recipe = [
    {
        "layer": "RandomAffine",
        "translation": [-4, 4],
        "rotation": [-5, 5],
        "scaling": [0.95, 1.05],
        "shear": 0,
    },
    {"layer": "RandomWarp", "strength": [0, 2], "control_points": [3, 6], "integration_steps": 3},
    {"layer": "RandomFlip"},
    {
        "layer": "RandomIntensity",
        "std": [0, 0.05],
        "groups": "tissues",
        "background_probability": 0.05,
    },
    {"layer": "RandomBiasField", "form": "exponential", "std": [0, 0.2]},
    {"layer": "RandomBlur"},
    {"layer": "RandomNoise", "std": [0, 0.04]},
    {"layer": "RandomGamma", "gamma": [0.8, 1.25]},
]
(folder / "recipe.json").write_text(json.dumps(recipe, indent=2))
print(Recipe.load(folder / "recipe.json").describe())  # refuses what is misspelt

# %% [markdown]
# ## Training
#
# A plan says what to train, a schedule for how long. `train_run` writes all into one folder: the
# network and the training's state after every epoch, recipe and label table, a log, and a sheet
# of the first samples with their keys. Say `minutes=120` to end in time, whatever the machine.

# %%
plan = TrainingPlan(
    SegmentationTask(UNetConfig(features=8, levels=5, max_features=64)),
    labels=folder / "labels.tsv",
    recipe=folder / "recipe.json",
    spacing=spacing,
    shape=shape,
    steps_per_epoch=60,
    seed=1,
)
schedule = Schedule(epochs=6, learning_rate=5e-3)
run = train_run(str(maps), folder / "run", plan, schedule, verbose=2)

for path in sorted(run.folder.iterdir()):
    print(path.name)
display(Image(run.folder / "samples.png"))

# %% [markdown]
# ## The same on the command line, and resuming
#
# Everything in the plan has an option of `synthtf train`. With `--resume`, a training that was
# interrupted goes on from its last epoch, bit for bit; with more epochs, one that is over goes
# on, too. Settings other than those of the run are refused.


# %%
def synthtf_command(*words):
    """Run a command as in a terminal, and show its last line."""
    print("$ synthtf", shlex.join(map(str, words)))
    command = [sys.executable, "-m", "synthtf.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    print(done.stdout.splitlines()[-1])


options = {
    "--labels": folder / "labels.tsv",
    "--recipe": folder / "recipe.json",
    "--spacing": 5,
    "--features": 8,
    "--levels": 5,
    "--max-features": 64,
    "--steps-per-epoch": 60,
    "--learning-rate": 5e-3,
    "--seed": 1,
    "--epochs": 10,
}
words = [word for option in options.items() for word in option]
synthtf_command(
    *("train", "segmentation", maps, "-o", run.folder, "--shape", *shape, *words, "--resume")
)

run = Run.load(run.folder)
print({name: run.metadata[name] for name in ("epochs_done", "steps_done", "minutes_done")})
display(Image(run.folder / "learning_curve.png"))

# %% [markdown]
# ## Segmenting scans
#
# `segment` takes a file of any orientation, voxel size and contrast, and gives the labels on the
# scan's own grid. On the command line:
#
#     synthtf segment scans/ -o segmentations/ --model run --vol volumes.csv
#
# Two heads that were not trained on, with voxels of 2.5 mm and the intensities of T1, T2, FLAIR
# and CT, which no training image was made to resemble. `evaluate` compares two label maps; on the
# command line, `synthtf evaluate segmentations/ references/ --csv dice.csv`.

# %%
voxel, contrasts = 2.5, ("T1", "T2", "FLAIR", "CT")
size = tuple(int(n * spacing / voxel) for n in shape)
affine = np.diag([voxel] * 3 + [1.0])
lookup = np.zeros(max(table.ids) + 1, "int32")
lookup[list(table.ids)] = table.outputs

scores, pictures = [], []
for number in range(2):
    head = head_phantom(900 + number, size, voxel, detail=spacing)
    write_volume(folder / f"reference{number}.nii.gz", lookup[head], affine=affine)
    reference = read_volume(folder / f"reference{number}.nii.gz", labels=True)
    for contrast in contrasts:
        path = folder / f"head{number}_{contrast}.nii.gz"
        write_volume(path, render_phantom(head, contrast, number, voxel), affine=affine)
        found = segment(path, run)
        for row in evaluate(found.labels, reference, table):
            scores.append((row["name"], contrast, row["dice"]))
        if number == 0:
            pictures.append((contrast, read_volume(path).data, found.labels.data))
            volumes = {table.name(v): f"{mm3 / 1000:.0f} ml" for v, mm3 in found.volumes.items()}
            print(f"{contrast:6}", volumes)

means = {c: np.mean([one for _, where, one in scores if where == c]) for c in contrasts}
print("mean Dice:", {contrast: f"{one:.2f}" for contrast, one in means.items()})
display(Image(figures.dice_table(scores, folder / "dice.png")))

# %% [markdown]
# ## Without synthtf
#
# `export` writes a SavedModel (or ONNX, or LiteRT), `network.json`, which says what the network
# expects and returns, and the label table. Another process loads it with TensorFlow alone. On the
# command line: `synthtf export run -o exported`.

# %%
exported = export_run(run, folder / "exported").parent
print((exported / "network.json").read_text())

script = """
import json, sys
import nibabel, numpy as np, tensorflow as tf

folder, scan = sys.argv[1:]
facts = json.load(open(folder + "/network.json"))
image = np.asarray(nibabel.load(scan).dataobj, "float32")[::2, ::2, ::2]  # to voxels of 5 mm
low, high = np.percentile(image, [0.5, 99.5])
image = np.clip((image - low) / (high - low), 0, 1)
network = tf.saved_model.load(folder + "/saved_model")
posteriors = network.serve(image[None, ..., None]).numpy()[0]
labels = np.array(facts["output_labels"])[posteriors.argmax(axis=-1)]
print("posteriors", posteriors.shape, "labels", np.unique(labels).tolist())
print("synthtf was imported:", "synthtf" in sys.modules)
"""
words = [sys.executable, "-c", script, str(exported), str(folder / "head0_T1.nii.gz")]
print(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

# %% [markdown]
# ## What the network found
#
# One head that it never saw, in four contrasts that it never saw; below each, the labels.

# %%
images = [image for _, image, _ in pictures]
blank = [np.zeros(size, int)] * len(images)
titles = [f"{contrast}: Dice {means[contrast]:.2f}" for contrast in contrasts]
sheet = figures.contact_sheet(
    [*images, *images],
    folder / "found.png",
    [*titles, *contrasts],
    [*blank, *(labels for _, _, labels in pictures)],
    columns=4,
)
display(Image(sheet))

# %% [markdown]
# Back to the [synthesis](01_synthesis.ipynb), or to [registration](04_registration.ipynb): both
# begin from the same folder of label maps.
