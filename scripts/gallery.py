"""Draw what each layer does: the gallery of the README.

    python scripts/gallery.py [--labels MAP --table TABLE] [-o models/gallery.png] [--each FOLDER]

Every panel is a slice of one synthetic head, changed by one layer at a strong setting. The map is
a phantom unless one is given.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthtf.startup import load_backend

load_backend()

import matplotlib  # noqa: E402

matplotlib.use("agg")

import matplotlib.colors  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

from synthtf import layers  # noqa: E402
from synthtf.data import LabelTable, conform_labels, read_volume  # noqa: E402
from synthtf.data.geometry import crop_or_pad  # noqa: E402
from synthtf.data.phantoms import head_phantom, phantom_table  # noqa: E402
from synthtf.layers.scene import region_labels  # noqa: E402

SHAPE = (112, 128, 112)
SPACING = 2.0
COLUMNS = 8
AXIAL, SAGITTAL = 2, 0


@dataclass(frozen=True)
class Panel:
    """What one layer makes of the head.

    Attributes:
        title: Of the panel.
        volume: Image or label map, `(*spatial,)`.
        axis: Across which the slice lies.
        is_labels: Whether it is shown in colours.
    """

    title: str
    volume: np.ndarray
    axis: int = AXIAL
    is_labels: bool = False


class Head:
    """A label map and a synthetic image of it, as batches of one."""

    def __init__(self, labels: np.ndarray, table: LabelTable, key: int) -> None:
        self.labels = ops.convert_to_tensor(labels[None, ..., None].astype("int32"))
        self.table = table
        self.key = np.array([[0, key]], "int32")
        present = [v for v in np.unique(labels).tolist() if v in table.ids]
        table = table.select({0, *present})
        pairs = {right: left for left, right in table.pairs}
        self.contrast = layers.RandomIntensity(
            table.ids,
            mean=(0.1, 1),
            groups=[pairs.get(v, v) for v in table.ids],
            background_probability=0,
            name="contrast",
        )
        image = self.contrast(self.labels, key=self.key)
        self.image = layers.RandomBlur(std=0.7, spacing=SPACING)(image, key=self.key)

    def of_image(self, layer: Any, axis: int = AXIAL, title: str = "") -> Panel:
        """Change the image."""
        return _panel(layer, layer(self.image, key=self.key), axis, title)

    def of_both(self, layer: Any, axis: int = AXIAL, title: str = "") -> Panel:
        """Change the image where the label map says."""
        out = layer([self.image, self.labels], key=self.key)
        return _panel(layer, out[0] if isinstance(out, list) else out, axis, title)

    def of_labels(self, layer: Any, axis: int = AXIAL, title: str = "") -> Panel:
        """Change the label map."""
        out = layer(self.labels, key=self.key)
        panel = _panel(layer, out[0] if isinstance(out, list) else out, axis, title)
        return Panel(panel.title, panel.volume, axis, is_labels=True)


def _panel(layer: Any, out: Any, axis: int, title: str) -> Panel:
    return Panel(title or type(layer).__name__, ops.convert_to_numpy(out)[0, ..., 0], axis)


def anatomy(head: Head) -> list[Panel]:
    """Label maps, made and changed."""
    table, mm = head.table, {"spacing": SPACING}
    brain = list(table.brain_labels)
    white = [label for label in (2, 41) if label in table.ids]
    both = [region_labels(table, side) for side in ("left", "right")]
    ventricles = region_labels(table, "lateral ventricle")
    lesions = layers.RandomLesions(white, num_lesions=20, size=(10, 25), **mm)
    split = layers.RandomSubdivision(white, num_parts=3, size=14, offset=max(table.ids) + 1, **mm)
    return [
        Panel("label map", ops.convert_to_numpy(head.labels)[0, ..., 0], is_labels=True),
        head.of_labels(layers.RandomShapes(26, **mm)),
        head.of_labels(layers.RandomSpheres(radius=(8, 16), distance=32, **mm)),
        head.of_labels(layers.RandomVessels(num_trees=8, radius=(3, 6), **mm)),
        head.of_labels(layers.RandomStructures([both[1], region_labels(table, "outside")], 1)),
        head.of_labels(layers.RandomErosion(brain, distance=-2, fill=24, **mm)),
        head.of_labels(layers.RandomAtrophy([ventricles], volume_change=2, **mm)),
        head.of_labels(lesions),
        head.of_labels(split),
    ]


def geometry_and_contrast(head: Head) -> list[Panel]:
    """Where things are, and how bright."""
    table, mm = head.table, {"spacing": SPACING}
    affine = layers.RandomAffine(rotation=(20, 30), **mm)(head.labels, key=head.key)
    warp = layers.RandomWarp(strength=18, **mm)(head.labels, key=head.key)
    field = layers.ComposeTransforms(shape=SHAPE)([affine, warp])
    moved = layers.Resample()(head.image, field)
    panels = [
        Panel("synthetic image", ops.convert_to_numpy(head.image)[0, ..., 0]),
        Panel("RandomAffine, RandomWarp", ops.convert_to_numpy(moved)[0, ..., 0]),
        head.of_image(layers.RandomFieldOfView(proportion=0.25)),
    ]
    tissues = layers.RandomTissueMaps(table.ids, table.groups)(head.labels, key=head.key)
    tissues = layers.RandomTransmitField(brightening=0.2, **mm)(tissues, key=head.key)
    for sequence in ("mprage", "spin echo", "flair"):
        model = layers.SignalModel(sequence)
        panels.append(
            _panel(model, model(tissues, key=head.key), AXIAL, f"SignalModel, {sequence}")
        )
    return [
        *panels,
        head.of_both(layers.RandomTexture(table.ids, std=0.08, **mm)),
        head.of_image(layers.RandomGamma(gamma=2)),
        head.of_image(layers.RandomRemapping(increasing=0, strength=1)),
    ]


def acquisition(head: Head) -> list[Panel]:
    """What a scanner does."""
    mm = {"spacing": SPACING}
    fat = region_labels(head.table, "outside")
    return [
        head.of_image(layers.RandomBiasField(drop=0.7)),
        head.of_image(layers.RandomCoils(num_coils=6, width=0.4)),
        head.of_image(layers.RandomDistortion(shift=10, **mm), SAGITTAL),
        head.of_both(layers.RandomChemicalShift(fat, shift=6, **mm), SAGITTAL),
        head.of_image(layers.RandomBlur(std=2, **mm)),
        head.of_image(layers.RandomNoise(std=0.1, distribution="rician")),
        head.of_image(
            layers.RandomNoise(std=0.1, gain=(4, 4), correlation=2, **mm), title="g-factor"
        ),
        head.of_image(layers.RandomMotion(translation=(-6, 6), rotation=(-6, 6), **mm)),
        head.of_image(layers.RandomGhosting(num_ghosts=3, intensity=0.7)),
        head.of_image(layers.RandomUndersampling(acceleration=3, centre=0.1)),
        head.of_image(layers.RandomPartialFourier(fraction=0.6)),
        head.of_image(layers.RandomTruncation(proportion=0.4)),
        head.of_image(layers.RandomSpikes(num_spikes=2, intensity=0.5)),
        head.of_image(layers.RandomZipper(intensity=2, width=3, **mm)),
        head.of_image(layers.RandomResolution(factor=6, **mm)),
        head.of_image(layers.RandomSlices(thickness=8, gap=2, **mm), SAGITTAL),
        head.of_image(layers.RandomSliceMotion(translation=5, rotation=8, **mm), SAGITTAL),
        head.of_image(layers.RandomSliceIntensity(proportion=0.3, thickness=4, **mm), SAGITTAL),
        head.of_image(layers.RandomClearedSlices(proportion=0.15), SAGITTAL),
        head.of_image(layers.RandomCupping(drop=0.6)),
        head.of_image(layers.RandomStreaks(intensity=0.6, extent=60, **mm)),
    ]


def preprocessing(head: Head) -> list[Panel]:
    """What is done to a scan before a network sees it."""
    brain, mm = list(head.table.brain_labels), {"spacing": SPACING}
    return [
        head.of_image(layers.RandomWindow(level=0.6, width=0.4)),
        head.of_image(layers.RandomInversion(probability=1)),
        head.of_image(layers.RandomClip(low=0.1, high=0.3)),
        head.of_image(layers.RandomQuantization(bits=2)),
        head.of_both(layers.RandomDeface(brain, roughness=5, **mm), SAGITTAL),
        head.of_both(layers.RandomMask(brain, border=3, roughness=1, **mm)),
        head.of_image(layers.RandomPadding(proportion=0.15, value=0.5)),
    ]


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Write all panels, in rows."""
    rows = -(-len(panels) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2 * COLUMNS, 2.25 * rows))
    for axis in axes.flat:
        axis.axis("off")
    for axis, panel in zip(axes.flat, panels, strict=False):
        picture, options = shown(panel)
        axis.imshow(picture, origin="lower", **options)
        axis.set_title(panel.title, fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_each(panels: Sequence[Panel], folder: Path) -> None:
    """Write the first panel of each layer into a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for panel in reversed(panels):
        picture, options = shown(panel)
        for name in panel.title.split(", "):
            if hasattr(layers, name):
                options.pop("interpolation", None)
                plt.imsave(folder / f"{name}.png", picture, origin="lower", **options)


def shown(panel: Panel) -> tuple[np.ndarray, dict[str, Any]]:
    """Give the slice of a panel, and how Matplotlib shows it."""
    where = panel.volume.shape[panel.axis] // 2 + (4 if panel.axis == SAGITTAL else 0)
    picture = panel.volume.take(where, panel.axis).T
    if panel.title == "RandomVessels":  # a slice shows dots
        picture = panel.volume.max(panel.axis).T
    if panel.is_labels:
        return colours(picture), {"interpolation": "nearest"}
    limits = {"vmin": min(0, picture.min()), "vmax": np.quantile(picture, 0.998)}
    return picture, {"cmap": "gray", **limits}


def colours(labels: np.ndarray) -> np.ndarray:
    """One colour per label, those of neighbouring values far apart; the background black."""
    values = np.arange(int(labels.max()) + 1)
    hsv = np.stack([values * 0.618 % 1, 0.45 + 0.5 * (values % 3 / 2), values * 0 + 0.95], -1)
    palette = matplotlib.colors.hsv_to_rgb(hsv)
    palette[0] = 0
    return palette[labels]


def load_head(path: str | None, table: str | None) -> tuple[np.ndarray, LabelTable]:
    """A label map of `SHAPE`, and its table."""
    if path is None:
        return head_phantom(0, SHAPE, SPACING), phantom_table()
    volume = conform_labels(read_volume(path, labels=True), SPACING)
    known = LabelTable.read(table) if table else LabelTable.from_labels(np.unique(volume.data))
    middle = np.argwhere(np.isin(volume.data, known.brain_labels)).mean(0)
    return crop_or_pad(volume, SHAPE, middle).data, known


def main(argv: Sequence[str] | None = None) -> int:
    """Make all panels and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", metavar="MAP", help="label map (default: a phantom)")
    parser.add_argument("--table", metavar="TABLE", help="label table of the map")
    parser.add_argument("--key", type=int, default=8, metavar="N", help="number of the sample")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("models/gallery.png"), metavar="PNG"
    )
    parser.add_argument(
        "--each", type=Path, metavar="FOLDER", help="one picture a layer, instead of all in one"
    )
    args = parser.parse_args(argv)
    head = Head(*load_head(args.labels, args.table), args.key)
    parts: list[Callable[[Head], list[Panel]]]
    parts = [anatomy, geometry_and_contrast, acquisition, preprocessing]
    panels = [panel for part in parts for panel in part(head)]
    if args.each:
        draw_each(panels, args.each)
    else:
        draw(panels, args.output)
    print(args.each or args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
