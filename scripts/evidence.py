"""Measure what the method rests on: small trainings on slices of phantoms, with several seeds.

    python scripts/evidence.py STUDY [STUDY ...] -o DIR [--seeds 3] [--steps 400]

STUDY is one of

    randomisation  renderings of one contrast, as they are, augmented, remapped or mixed with
                   synthetic images, against synthetic images alone; tested on other contrasts
    ablation       the recipe without one of its steps, tested on heads that are turned, unevenly
                   lit, noisy, blurred or dark
    maps           1, 5 and 18 heads to make label maps from
    optimizers     Muon and Adam, step by step
    shapes         registration learned from 1, 5 and 18 heads, and from random shapes

A training takes about a minute of one core. Each is a file of DIR/trainings, which studies share:
what is there is not trained again, so that the same command goes on where it stopped. DIR gets
STUDY.csv with every number, and STUDY.png. Seconds are those of the processor, without tests.
"""

import argparse
import functools
import random
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

from synthtf.data import LabelledScan, LabelMaps, Mixed
from synthtf.data.phantom_rendering import CONTRASTS, render_phantom
from synthtf.data.phantoms import head_phantom
from synthtf.data.tables import read_table, write_table
from synthtf.data.volume_writer import write_volume
from synthtf.demo.held_out import count_as_outputs
from synthtf.demo.settings import demo_recipe, demo_table
from synthtf.evaluation import dice
from synthtf.evaluation.averages import mean
from synthtf.figures.drawing import new_figure, save
from synthtf.inference import normalize_intensity
from synthtf.layers import ShowScan
from synthtf.networks import UNetConfig
from synthtf.networks.sizes import RegistrationConfig
from synthtf.optimizers import ConvMuon
from synthtf.synthesis import Recipe
from synthtf.tasks import registration, segmentation

SPACING, SHAPE = 4.0, (48, 48, 40)  # mm; slices are axial
SLICES = range(14, 28, 2)
FIRST_TESTED = 900  # seed of the first head that no network learns from
LEAST = 5  # voxels of a structure in a slice, for its Dice to count
TABLE = demo_table()
RECIPE = (
    demo_recipe()
    .change("affine", rotation=(-15, 15), scaling=(0.9, 1.1))
    .change("bias", std=(0, 0.4))
    .change("noise", std=(0, 0.08))
    .change("gamma", gamma=(0.7, 1.4))
)
HARDER = ("turned", "unevenly lit", "noisy", "blurred", "dark")
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


FULL = Training()
AUGMENTED = Training(real=1, recipe=RECIPE.with_scans())
REGISTERED = Training(registers=True, recipe=Recipe.preset("synthmorph-brains"))
STUDIES = {
    "randomisation": {
        "T1": replace(AUGMENTED, recipe=Recipe([ShowScan()])),
        "T1 augmented": AUGMENTED,
        "T1 remapped": replace(AUGMENTED, recipe=RECIPE.with_scans(remapping=0.8)),
        "T1 and synthetic": Training(real=0.3, recipe=RECIPE.with_scans(synthetic=True)),
        "synthetic": FULL,
    },
    "ablation": {"synthetic": FULL}
    | {
        f"no {name}": replace(FULL, recipe=RECIPE.without(name))
        for name in RECIPE.names
        if name != "intensity"
    },
    "maps": {"synthetic": FULL}
    | {f"heads {heads}": replace(FULL, heads=heads) for heads in (5, 1)},
    "optimizers": {
        "synthetic": FULL,
        "Adam": replace(FULL, optimizer=keras.optimizers.Adam),
        "Adam, rate 0.001": replace(FULL, optimizer=keras.optimizers.Adam, learning_rate=1e-3),
    },
    "shapes": {"registration 18": REGISTERED}
    | {f"registration {heads}": replace(REGISTERED, heads=heads) for heads in (5, 1)}
    | {
        "registration shapes": replace(
            REGISTERED, shapes=1, recipe=Recipe.preset("synthmorph-shapes")
        )
    },
}


@functools.lru_cache(maxsize=200)
def phantom(seed):
    """Make a head for voxels of 4 mm."""
    return head_phantom(seed, SHAPE, SPACING, detail=SPACING)


def write_slices(heads, folder):
    """Write slices of heads, as T1 images and as labels, unless they are there."""
    found = []
    for seed in heads:
        files = [
            [folder / f"{name}_{seed}_{z}.nii.gz" for name in ("T1", "labels")] for z in SLICES
        ]
        if not all(path.exists() for pair in files for path in pair):
            head = phantom(seed)
            volumes = (render_phantom(head, "T1", seed, SPACING), head.astype("int32"))
            for z, pair in zip(SLICES, files, strict=True):
                for path, volume in zip(pair, volumes, strict=True):
                    write_volume(path, volume[:, :, z], affine=np.diag([SPACING] * 3 + [1.0]))
        found += [LabelledScan(*pair, domain="T1") for pair in files]
    return found


def make_maps(training, seed, steps, folder):
    """Give the data that a training learns from."""
    scans = write_slices(range(1000 * seed, 1000 * seed + training.heads), folder)
    labels = [scan.labels for scan in scans]
    options = {"seed": seed, "batch_size": 4, "num_batches": steps, "spacing": SPACING}
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
            SHAPE[:2],
            TABLE,
            SPACING,
            training.recipe,
            network=RegistrationConfig((features, *3 * wide), (*4 * wide, features)),
            shapes=training.shapes,
            regularization=0.1,
        )
    network = UNetConfig(features, 4, mixture_channels=2)
    return segmentation(SHAPE[:2], TABLE, SPACING, training.recipe, network=network, loss="dice")


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
    """Average the Dice over the structures of slices."""
    scores = []
    for one, wanted in zip(found, truth, strict=True):
        known = [v for v in values if (wanted == v).sum() >= LEAST]
        scores += dice(one, wanted, known).values()
    return mean(scores)


def as_batch(image):
    """Give slices as a batch of images, each in [0, 1]."""
    planes = [normalize_intensity(image[:, :, z : z + 1])[:, :, 0] for z in SLICES]
    return np.stack(planes)[..., None].astype("float32")


def as_slices(labels):
    """Give the output labels of slices."""
    return np.moveaxis(count_as_outputs(labels, TABLE)[:, :, list(SLICES)], -1, 0).astype("int32")


@functools.lru_cache(maxsize=1000)
def tested(seed, contrast, condition=""):
    """Give slices of a head that is tested on, and their labels."""
    head = phantom(seed)
    image = render_phantom(head, contrast, seed, SPACING)
    if condition:
        image, head = harder(image, head, condition, seed)
    return as_batch(image), as_slices(head)


def segmented(model, seeds, contrast, condition):
    """Give what a segmentation finds in heads, and what is there."""
    found, truths = [], []
    values = np.array(model.output_labels, "int32")
    for seed in seeds:
        images, truth = tested(seed, contrast, condition)
        found.append(values[model.task_model.predict_on_batch(images).argmax(-1)])
        truths.append(truth)
    return np.concatenate(found), np.concatenate(truths)


def registered(model, seeds, contrast, moved=True):
    """Give the labels of T1 images that were moved onto images of the next head, and its labels."""
    found, truths = [], []
    for seed, other in zip(seeds, [*seeds[1:], seeds[0]], strict=True):
        (moving, labels), (fixed, truth) = tested(seed, "T1"), tested(other, contrast)
        if moved:
            batch = {"moving": moving, "fixed": fixed}
            shift = np.asarray(model.task_model.predict_on_batch(batch)["displacement"])
            grid = np.indices(labels.shape[1:])
            labels = np.stack(
                [
                    ndimage.map_coordinates(one, grid + np.moveaxis(by, -1, 0), order=0)
                    for one, by in zip(labels, shift, strict=True)
                ]
            )
        found.append(labels)
        truths.append(truth)
    return np.concatenate(found), np.concatenate(truths)


def test(model, registers, seeds, conditions=("",), moved=True):
    """Measure the mean Dice for each contrast and condition."""
    values = [v for v in sorted(set(TABLE.outputs)) if v]
    scores = []
    for condition in conditions:
        for contrast in CONTRASTS:
            if registers:
                pair = registered(model, seeds, contrast, moved)
            else:
                pair = segmented(model, seeds, contrast, condition)
            about = {"contrast": contrast, "condition": condition or "as it is"}
            scores.append(about | {"dice": round(mean_dice(*pair, values), 4)})
    return scores


class Curve(keras.callbacks.Callback):
    """Test after some steps, outside of the time that counts."""

    def __init__(self, every, measure):
        super().__init__()
        self.every, self.measure = every, measure
        self.seconds, self.scores = 0.0, []

    def on_train_batch_begin(self, batch, logs=None):
        """Take the time."""
        self.begun = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        """Test."""
        self.seconds += time.process_time() - self.begun
        if (batch + 1) % self.every == 0:
            about = {"step": batch + 1, "seconds": round(self.seconds, 2)}
            self.scores += [about | row for row in self.measure()]


def first_weights(network, seed):
    """Draw the weights that a network begins with."""
    random.seed(seed)  # Keras' initializers draw their seeds here; TensorFlow's would recompile
    return keras.models.clone_model(network).get_weights()


def train(training, seeds, args):
    """Train one model with each seed, as compiling takes long; yields the rows of each."""
    heads = tuple(range(FIRST_TESTED, FIRST_TESTED + args.tested))
    model = make_model(replace(training, heads=0), args.features, args.steps)
    model.fit(make_maps(training, 0, 1, args.output / "slices"), verbose=0)  # which compiles it
    for seed in seeds:
        model.task_model.set_weights(first_weights(model.task_model, seed))
        for variable in model.optimizer.variables:
            if variable.path.split("/")[-1] != "learning_rate":
                variable.assign(np.zeros(variable.shape))
        maps = make_maps(training, seed, args.steps, args.output / "slices")
        curve = Curve(args.every, lambda: test(model, training.registers, heads))
        model.fit(maps, verbose=0, callbacks=[curve])
        if training.registers:
            before = test(model, True, heads, moved=False)
            yield [{"step": 0, "seconds": 0} | row for row in before] + curve.scores
        else:
            about = {"step": args.steps, "seconds": round(curve.seconds, 2)}
            changed = test(model, False, heads, HARDER)
            yield curve.scores + [about | row for row in changed]


def rows_of(name, training, args):
    """Give the rows of all seeds of a training; what has no file is trained first."""
    folder, stem = args.output / "trainings", name.replace(", ", "_").replace(" ", "_")
    files = [folder / f"{stem}-{seed}.csv" for seed in range(args.seeds)]
    missing = [seed for seed, path in enumerate(files) if not (args.report or path.exists())]
    start = time.perf_counter()
    for seed, measured in zip(
        missing, train(training, missing, args) if missing else (), strict=True
    ):
        folder.mkdir(parents=True, exist_ok=True)
        write_table(files[seed], COLUMNS, [{"training": name, "seed": seed} | r for r in measured])
        print(f"{name}, seed {seed}: after {time.perf_counter() - start:.0f} s", flush=True)
    tables = [read_table(path) for path in files if path.exists()]
    return [
        dict(zip(columns, cells, strict=True)) for columns, lines in tables for _, cells in lines
    ]


def final(rows, study):
    """Give the last Dice of each training and column: a list with one number per seed.

    The columns are the contrasts or, of an ablation, the conditions, averaged over the contrasts.
    """
    axis = "condition" if study == "ablation" else "contrast"
    last = max(int(row["step"]) for row in rows)
    found = {}
    for row in rows:
        if int(row["step"]) == last and (axis == "condition" or row["condition"] == "as it is"):
            cell = found.setdefault(row["training"], {}).setdefault(row[axis], {})
            cell.setdefault(row["seed"], []).append(float(row["dice"]))
    return {
        name: {column: [mean(scores) for scores in cell.values()] for column, cell in line.items()}
        for name, line in found.items()
    }


def spread(values):
    """Mean over seeds, and standard deviation where there are several, as text."""
    several = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{several}"


def markdown(found):
    """Lay the last Dice out as a table."""
    columns = list(next(iter(found.values())))
    lines = ["| trained on | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, line in found.items():
        lines.append(f"| {name} | " + " | ".join(spread(line[c]) for c in columns) + " |")
    return "\n".join(lines)


def draw_means(found, path):
    """Draw a bar for each training and column, and a dot for each seed."""
    columns = list(next(iter(found.values())))
    figure = new_figure(1.5 + 0.27 * len(columns) * (len(found) + 1), 3.6, "white")
    axes = figure.add_subplot()
    width = 0.85 / len(found)
    for number, (name, line) in enumerate(found.items()):
        places = np.arange(len(columns)) - 0.425 + (number + 0.5) * width
        axes.bar(places, [mean(line[c]) for c in columns], width, label=name, alpha=0.75)
        for place, column in zip(places, columns, strict=True):
            axes.plot([place] * len(line[column]), line[column], "k.", markersize=3)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Dice")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(ncols=3, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save(figure, path)


def draw_differences(found, path):
    """Draw what is lost without each step, seed by seed against all steps."""
    (_, whole), *others = found.items()
    if not others:
        return
    columns = list(whole)
    loss = np.array(
        [
            [np.mean(np.subtract(line[c], whole[c][: len(line[c])])) for c in columns]
            for _, line in others
        ]
    )
    figure = new_figure(1.6 + 0.95 * len(columns), 0.8 + 0.38 * len(others), "white")
    axes = figure.add_subplot()
    bound = max(0.05, np.abs(loss).max())
    image = axes.imshow(loss, cmap="RdBu", vmin=-bound, vmax=bound, aspect="auto")
    for (row, column), value in np.ndenumerate(loss):
        shade = "white" if abs(value) > 0.6 * bound else "black"
        axes.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(others)), [name for name, _ in others], fontsize=8)
    figure.colorbar(image, label="change of Dice")
    save(figure, path)


def draw_curves(rows, path):
    """Draw the mean Dice over the contrasts against the steps, a line for each seed."""
    figure = new_figure(6, 3.6, "white")
    axes = figure.add_subplot()
    names = list(dict.fromkeys(row["training"] for row in rows))
    for number, name in enumerate(names):
        mine = [r for r in rows if r["training"] == name and r["condition"] == "as it is"]
        for place, seed in enumerate(dict.fromkeys(row["seed"] for row in mine)):
            points = {}
            for row in mine:
                if row["seed"] == seed:
                    points.setdefault(int(row["step"]), []).append(float(row["dice"]))
            label = {"label": name if name != "synthetic" else "Muon"} if not place else {}
            scores = [mean(values) for values in points.values()]
            axes.plot(list(points), scores, f"C{number}", alpha=0.7, **label)
    axes.set_xlabel("steps")
    axes.set_ylabel("Dice")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


def report(study, rows, folder):
    """Write the table and the figure of a study; print the table."""
    write_table(folder / f"{study}.csv", COLUMNS, rows)
    found = final(rows, study)
    picture = folder / f"{study}.png"
    if study == "optimizers":
        draw_curves(rows, picture)
    elif study == "ablation":
        draw_differences(found, picture)
    else:
        draw_means(found, picture)
    if study == "shapes":
        first = [row for row in rows if row["step"] == "0"][: len(CONTRASTS)]
        found["before"] = {row["contrast"]: [float(row["dice"])] for row in first}
    print(f"\n{study}\n\n{markdown(found)}", flush=True)


def main(arguments=None):
    """Train what is not there yet; write table and figure of a study after each training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "studies", nargs="+", choices=STUDIES, metavar="STUDY", help=", ".join(STUDIES)
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    parser.add_argument("--every", type=int, default=50, help="steps between tests")
    parser.add_argument("--tested", type=int, default=6, help="heads to test on")
    parser.add_argument("--features", type=int, default=8, help="of the first level")
    parser.add_argument("--report", action="store_true", help="train nothing, show what is there")
    args = parser.parse_args(arguments)
    for study in args.studies:
        rows = []
        for name, training in STUDIES[study].items():
            rows += rows_of(name, training, args)
            if not args.report:
                report(study, rows, args.output)
        if args.report and rows:
            report(study, rows, args.output)


if __name__ == "__main__":
    main()
