"""Does randomisation pay? One network, trained on real T1 scans or on synthetic images.

    python scripts/compare_real.py -o compare --steps 450

Slices of phantoms stand for scans, so that it takes a minute for each way of training: T1 alone is
there to learn from, and T1, T2, FLAIR and CT of other heads are what is tested on. All networks
see the same number of images, moved, biased, blurred and made noisy by the same steps.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from synthtf import figures
from synthtf.data import LabelledScan, LabelMaps, Mixed
from synthtf.data.phantom_rendering import CONTRASTS, render_phantom
from synthtf.data.tables import format_table, write_table
from synthtf.data.volume_writer import write_volume
from synthtf.demo.held_out import count_as_outputs
from synthtf.demo.settings import DemoSettings, demo_recipe, demo_table
from synthtf.evaluation import dice
from synthtf.evaluation.averages import mean
from synthtf.inference import normalize_intensity
from synthtf.networks import UNetConfig
from synthtf.optimizers import ConvMuon
from synthtf.tasks import segmentation

KINDS = ("synthetic", "real", "remapped", "mixed")
SLICES = range(14, 28, 2)
LEAST = 5  # voxels of a structure in a slice, for its Dice to count
SETTINGS = DemoSettings()


def slices(seeds, contrast, folder):
    """Write slices of phantoms and their labels; returns the scans with their labels."""
    found = []
    affine = np.diag([SETTINGS.spacing] * 3 + [1.0])
    for seed in seeds:
        head = SETTINGS.head(seed)
        image = render_phantom(head, contrast, seed, SETTINGS.spacing)
        for z in SLICES:
            paths = [folder / f"{name}_{contrast}_{seed}_{z}.nii.gz" for name in ("scan", "labels")]
            for path, volume in zip(paths, (image, head.astype("int32")), strict=True):
                write_volume(path, volume[:, :, z], affine=affine)
            found.append(LabelledScan(*paths, domain=contrast))
    return found


def train(kind, scans, steps, size):
    """Train the network in one of the ways."""
    recipe, labels = demo_recipe(), [scan.labels for scan in scans]
    options = {"batch_size": 4, "num_batches": steps, "spacing": SETTINGS.spacing}
    if kind == "mixed":
        recipe = recipe.with_scans(synthetic=True)
        maps = Mixed(labels, scans, share=0.3, **options)
    elif kind != "synthetic":
        recipe = recipe.with_scans(remapping=0.8 * (kind == "remapped"))
        maps = LabelMaps(labels, scans=[scan.image for scan in scans], **options)
    else:
        maps = LabelMaps(labels, **options)
    keras.utils.set_random_seed(0)
    shape, network = SETTINGS.shape[:2], UNetConfig(size, 4, mixture_channels=2)
    model = segmentation(
        shape, demo_table(), SETTINGS.spacing, recipe, network=network, loss="dice"
    )
    rate = keras.optimizers.schedules.CosineDecay(SETTINGS.learning_rate, steps, 0.01)
    model.compile(ConvMuon(rate))
    model.fit(maps, verbose=0)
    return model


def test(model, heads):
    """Measure the mean Dice over the structures of the slices of heads, by contrast."""
    found = {contrast: [] for contrast in CONTRASTS}
    for seed in heads:
        head = SETTINGS.head(seed)
        truth = count_as_outputs(head, demo_table())
        for contrast, scores in found.items():
            image = render_phantom(head, contrast, seed, SETTINGS.spacing)
            for z in SLICES:
                given = normalize_intensity(image[:, :, z : z + 1])[None, :, :, 0, None]
                channel = model.task_model.predict_on_batch(given)[0].argmax(-1)
                labels = np.array(model.output_labels, "int32")[channel]
                wanted = truth[:, :, z].astype("int32")
                known = [v for v in model.output_labels[1:] if (wanted == v).sum() >= LEAST]
                scores += dice(labels, wanted, known).values()
    return {contrast: mean(scores) for contrast, scores in found.items()}


def main(arguments=None):
    """Train, test, and write the table and its figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--steps", type=int, default=450, help="of each training")
    parser.add_argument("--heads", type=int, default=16, help="to learn from")
    parser.add_argument("--tested", type=int, default=6, help="other heads, to test on")
    parser.add_argument("--features", type=int, default=8, help="of the first level")
    parser.add_argument("--only", choices=KINDS, nargs="+", default=KINDS, help="ways of training")
    args = parser.parse_args(arguments)
    scans = slices(range(args.heads), "T1", args.output / "slices")
    rows = []
    for kind in args.only:
        model = train(kind, scans, args.steps, args.features)
        first = SETTINGS.first_held_out
        rows.append({"trained on": kind, **test(model, range(first, first + args.tested))})
    columns = ["trained on", *CONTRASTS]
    write_table(args.output / "dice.csv", columns, rows)
    bars = [(row["trained on"], contrast, row[contrast]) for row in rows for contrast in CONTRASTS]
    figures.dice_table(bars, args.output / "dice.png")
    print(format_table({"trained on": ""} | dict.fromkeys(CONTRASTS, ".2f"), rows))
    return rows


if __name__ == "__main__":
    main()
