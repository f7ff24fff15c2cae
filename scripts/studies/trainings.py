"""Train a small network on synthetic images of phantoms, step by step, and test it on the way."""

import functools
import random
import shutil
import statistics
import time
from dataclasses import dataclass, replace

import keras
import numpy as np
from studies.heads import HARDER, SLICED, TABLE, Grid, test, write_images

from synthtf.data import LabelMaps, Mixed
from synthtf.data.tables import read_table, write_table
from synthtf.demo.settings import demo_recipe
from synthtf.networks import UNetConfig
from synthtf.networks.sizes import RegistrationConfig
from synthtf.optimizers import ConvMuon
from synthtf.synthesis import Recipe
from synthtf.tasks import registration, segmentation
from synthtf.training.checkpoint import Checkpoint, variables_of

FIRST_TESTED = 900  # seed of the first head that no network learns from
RECIPE = (
    demo_recipe()
    .change("affine", rotation=(-15, 15), scaling=(0.9, 1.1))
    .change("bias", std=(0, 0.4))
    .change("noise", std=(0, 0.08))
    .change("gamma", gamma=(0.7, 1.4))
)
COLUMNS = ("training", "seed", "step", "seconds", "contrast", "condition", "dice")


@dataclass(frozen=True)
class Training:
    """What is learned from, and how. `real` is the share of renderings of T1 among the images."""

    heads: int = 18
    recipe: Recipe = RECIPE
    real: float = 0
    optimizer: type = ConvMuon
    learning_rate: float = 5e-3
    registers: bool = False
    shapes: float = 0
    grid: Grid = SLICED
    batch_size: int = 4


FULL = Training()


def make_maps(training, seed, args, epoch=0):
    """Give the data that a training learns from, after some epochs; an epoch ends with a test."""
    heads = range(1000 * seed, 1000 * seed + training.heads)
    scans = write_images(heads, training.grid, args.output / "images")
    labels = [scan.labels for scan in scans]
    options = {
        "seed": seed,
        "batch_size": training.batch_size,
        "num_batches": args.every,
        "spacing": training.grid.spacing,
        "initial_epoch": epoch,
    }
    if training.real == 1:
        return LabelMaps(labels, scans=[scan.image for scan in scans], **options)
    if training.real:
        return Mixed(labels, scans, share=training.real, **options)
    return LabelMaps(labels, **options)


@functools.lru_cache(maxsize=1)
def make_model(training, features, steps):
    """Give the compiled model of a training; those that differ in their data alone share it."""
    model = new_model(training, features)
    rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, steps, 0.01)
    model.compile(training.optimizer(rate))
    model.optimizer.build(model.trainable_variables)
    return model


def new_model(training, features):
    """Give a new model."""
    if training.registers:
        wide = (2 * features,)
        return registration(
            training.grid.image_shape,
            TABLE,
            training.grid.spacing,
            training.recipe,
            network=RegistrationConfig((features, *3 * wide), (*4 * wide, features)),
            shapes=training.shapes,
            regularization=0.1,
        )
    network = UNetConfig(features, 4, mixture_channels=2)
    about = (training.grid.image_shape, TABLE, training.grid.spacing, training.recipe)
    return segmentation(*about, network=network, loss="dice")


class Curve(keras.callbacks.Callback):
    """Test after each epoch, and keep what is needed to go on from there.

    The time of a step is the median over the steps, so that what else the machine does while some
    of them run changes it little.
    """

    def __init__(self, folder, measure):
        super().__init__()
        self.folder, self.measure = folder, measure
        self.durations, self.scores = [], []

    def resume(self, model):
        """Put a model where a checkpoint left it; returns the epochs that are done."""
        found = Checkpoint.read(self.folder)
        if found is None:
            return 0
        found.restore(model)
        self.durations, self.scores = found.facts["durations"], list(found.rows)
        return found.epochs

    @property
    def about(self):
        """The steps that were done, and the time that they take."""
        steps = len(self.durations)
        return {"step": steps, "seconds": round(steps * statistics.median(self.durations), 2)}

    def on_train_batch_begin(self, batch, logs=None):
        """Take the time."""
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Take the time."""
        self.durations.append(round(time.perf_counter() - self.begun, 4))

    def on_epoch_end(self, epoch, logs=None):
        """Test, and write the checkpoint."""
        self.scores += [self.about | row for row in self.measure()]
        values = tuple(keras.ops.convert_to_numpy(v) for v in variables_of(self.model))
        facts = {"epochs_done": epoch + 1, "durations": self.durations}
        Checkpoint(facts, tuple(self.scores), values=values).write(self.folder)


def first_weights(network, seed):
    """Draw the weights that a network begins with."""
    random.seed(seed)  # Keras' initializers draw their seeds here; TensorFlow's would recompile
    return keras.models.clone_model(network).get_weights()


def train(training, seeds, args, folders):
    """Train one model with each seed, as compiling takes long; yields the rows of each."""
    heads = tuple(range(FIRST_TESTED, FIRST_TESTED + args.tested))
    model = make_model(replace(training, heads=0), args.features, args.steps)
    model.fit(make_maps(training, 0, args), steps_per_epoch=1, verbose=0)  # which compiles it
    for seed, folder in zip(seeds, folders, strict=True):
        model.task_model.set_weights(first_weights(model.task_model, seed))
        for variable in model.optimizer.variables:
            if variable.path.split("/")[-1] != "learning_rate":
                variable.assign(np.zeros(variable.shape))
        before = test(model, training, heads, moved=False) if training.registers else []
        curve = Curve(folder, lambda: test(model, training, heads))
        done = curve.resume(model)
        maps = make_maps(training, seed, args, done)
        epochs = args.steps // args.every
        model.fit(maps, initial_epoch=done, epochs=epochs, verbose=0, callbacks=[curve])
        changed = []
        if not (training.registers or training.grid.whole):
            changed = [curve.about | row for row in test(model, training, heads, HARDER)]
        yield [{"step": 0, "seconds": 0} | row for row in before] + curve.scores + changed


def rows_of(name, training, args):
    """Give the rows of all seeds of a training; what has no file is trained first."""
    folder, stem = args.output / "trainings", name.replace(", ", "_").replace(" ", "_")
    files = [folder / f"{stem}-{seed}.csv" for seed in range(args.seeds)]
    missing = [seed for seed, path in enumerate(files) if not (args.report or path.exists())]
    states = [files[seed].with_suffix("") for seed in missing]
    start = time.perf_counter()
    measured = train(training, missing, args, states) if missing else ()
    for seed, rows, state in zip(missing, measured, states, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        write_table(files[seed], COLUMNS, [{"training": name, "seed": seed} | r for r in rows])
        shutil.rmtree(state)
        print(f"{name}, seed {seed}: after {time.perf_counter() - start:.0f} s", flush=True)
    tables = [read_table(path) for path in files if path.exists()]
    return [
        dict(zip(columns, cells, strict=True)) for columns, lines in tables for _, cells in lines
    ]
