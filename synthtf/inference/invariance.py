"""How much the features of a network depend on contrast, layer by layer."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf import figures
from synthtf.batch import Outcome
from synthtf.data.grid import check_same_grid
from synthtf.data.label_maps import LabelMaps
from synthtf.data.paths import output_in, stem
from synthtf.data.tables import format_table, refuse_other_file, write_table
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.conform import ConformedGrid, pad_to_multiple
from synthtf.inference.foreground import foreground_box
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.scan_intensities import fit_intensities
from synthtf.runs.run import Run, as_run
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    import keras

TABLE, FIGURE = "invariance.csv", "invariance.png"
_COLUMNS = ("layer", "scan", "other", "channels", "ncc", "difference")
_BYTES = 2**30  # of the features of all scans that are held at once
_LEAST = 1e-6  # standard deviation of a channel, relative to that of the layer, which shows nothing
_DRAWN = 8  # layers of a figure


@dataclass(frozen=True)
class Invariance:
    """What `compare_features` returns.

    Attributes:
        rows: for each layer and pair of images "layer", "scan", "other", "channels", and the means
            over channels of "ncc", the normalised cross-correlation, and "difference", the mean
            absolute difference in standard deviations of the channel.
        slices: name of a layer to a slice of one of its channels per image, `(images, x, y)`.
    """

    rows: tuple[dict[str, Any], ...]
    slices: dict[str, np.ndarray]

    @property
    def layers(self) -> dict[str, dict[str, float]]:
        """Mean "ncc" and "difference" over the pairs, by layer from the input to the output."""
        found: dict[str, list[dict]] = {}
        for row in self.rows:
            found.setdefault(row["layer"], []).append(row)
        return {
            layer: {n: float(np.mean([row[n] for row in rows])) for n in ("ncc", "difference")}
            for layer, rows in found.items()
        }


def compare_features(
    network: "keras.Model", images: np.ndarray, names: Sequence[str] | None = None
) -> Invariance:
    """Compare the features that a network makes of images of one anatomy.

    A network that does not depend on contrast has correlations near 1 and differences near 0. The
    first row is about the images themselves. A channel that is constant in both images, to which
    it says nothing, does not count.

    Args:
        network: of one image.
        images: `(images, *spatial)`, at least two, on one grid that the network takes.
        names: of the images. None: their numbers.

    Returns:
        The comparison of each layer with weights that look at neighbours, and of the output.

    Raises:
        ValueError: if there are fewer than two images, or the network takes other ones.

    Example:
    >>> from synthtf.networks import UNetConfig, unet
    >>> images = np.random.default_rng(0).uniform(size=(2, 8, 8)).astype("float32")
    >>> found = compare_features(unet(2, 2, UNetConfig(4, 2)), images[[0, 0]])
    >>> [round(layer["ncc"], 3) for layer in found.layers.values()][-1]
    1.0
    """
    if len(images) < 2:
        raise ValueError(f"`images` must be at least two. Received: {len(images)}")
    if len(network.inputs) != 1 or network.inputs[0].shape[-1] != 1:
        raise ValueError(
            f"`network` must take one image of one channel. Received: network={network.name!r}"
        )
    names = [str(number) for number in range(len(images))] if names is None else list(names)
    rows, slices = [], {}
    for layer, features in _features(network, np.asarray(images, "float32")):
        standardized, channel = _standardized(features)
        for i, j in itertools.combinations(range(len(images)), 2):
            ncc, difference = _compare(standardized[i], standardized[j])
            values = (layer, names[i], names[j], features.shape[-1], ncc, difference)
            rows.append(dict(zip(_COLUMNS, values, strict=True)))
        shown = features[..., channel]
        slices[layer] = shown[..., shown.shape[-1] // 2] if shown.ndim == 4 else shown
    return Invariance(tuple(rows), slices)


def co_registered(
    scans: "Sequence[Volume | str | os.PathLike]", model: Any, ct: Sequence[int] = ()
) -> np.ndarray:
    """Bring scans of one head in one space to what a network takes, all to the same grid.

    Args:
        scans: at least one volume or file, all on one grid.
        model: a training run, its folder or name, or a model that `fit` trained.
        ct: numbers of the scans that are in Hounsfield units.

    Returns:
        `(scans, *spatial)`, float32 in [0, 1], of at most the shape of the training.

    Raises:
        ValueError: if the scans are on different grids, or as `segment`.
    """
    run = as_run(model)
    volumes = [scan if isinstance(scan, Volume) else read_volume(scan) for scan in scans]
    for volume in volumes:
        check_same_grid(volume, volumes[0])
    affine, conformed = volumes[0].affine, []
    for number, volume in enumerate(volumes):
        data = volume.data.reshape((*volume.shape, 1)[:3])
        data = fit_intensities(data, volume.name, number in ct)
        conformed.append(ConformedGrid.of(data.shape, affine, run.spacing).conform(data))
    boxes = [foreground_box(image, run.spacing) for image in conformed]
    box = []
    for axis, size in enumerate(run.shape):
        start, stop = min(b[axis].start for b in boxes), max(b[axis].stop for b in boxes)
        cut = max(0, stop - start - size)
        box.append(slice(start + cut // 2, stop - (cut - cut // 2)))
    images = [normalize_intensity(x[tuple(box)], ct=n in ct) for n, x in enumerate(conformed)]
    return np.stack([pad_to_multiple(image, run.multiple)[0] for image in images])


def rendered(label_map: Any, model: Any, num: int = 4, seed: int = 0) -> np.ndarray:
    """Synthesise images of one label map, unmoved, in several contrasts of a run's recipe.

    Args:
        label_map: file or array.
        model: a training run, its folder or name, or a model that `fit` trained.
        num: number of images.
        seed: of the contrasts.

    Returns:
        `(num, *spatial)`, float32 in [0, 1].
    """
    run = as_run(model)
    moves = [step.name for step in run.recipe if step.gives == ("transform",)]
    scans = [step.name for step in run.recipe if "scan" in step.takes]
    recipe = run.recipe.without(*moves, *scans)
    centre = run.table.brain_labels or None
    maps = LabelMaps([label_map], seed, num, shape=run.shape, spacing=run.spacing, centre_on=centre)
    synthesis = recipe.build(run.shape, run.table, run.spacing)
    return np.concatenate(
        [np.asarray(synthesis.predict_on_batch(maps.sample(n)[0])["image"]) for n in range(num)]
    )[..., 0]


def measure_invariance(
    model: str | os.PathLike,
    scans: Sequence[str | os.PathLike],
    folder: str | os.PathLike,
    *,
    labels: str | os.PathLike | None = None,
    num: int = 4,
    ct: Sequence[str | os.PathLike] = (),
) -> Outcome:
    """Write how much the features of a network depend on the contrast of scans.

    Args:
        model: a training run, its folder or its name.
        scans: files of scans of one head in one space; none where a label map is given.
        folder: made if it does not exist; gets `invariance.csv` and `invariance.png`.
        labels: label map to synthesise images from instead.
        num: number of these images.
        ct: those of the scans that are in Hounsfield units.

    Returns:
        As text a table of the layers.

    Raises:
        ValueError: if there are neither two scans nor a label map, or the scans do not fit.
    """
    with usage_errors():
        if (labels is None) != (len(scans) > 1) or (labels is not None and scans):
            raise ValueError(
                "expected two or more SCANS, or --from-labels with a label map. "
                f"Received: {len(scans)} scans, --from-labels {labels}"
            )
        foreign = {str(scan) for scan in ct} - {str(scan) for scan in scans}
        if foreign:
            raise ValueError(f"--ct: {sorted(foreign)[0]} is none of SCANS")
        run: Run = as_run(model)
        table = output_in(folder, TABLE)
        refuse_other_file(table, _COLUMNS)
    if labels is None:
        hounsfield = [n for n, scan in enumerate(scans) if str(scan) in map(str, ct)]
        images, names = co_registered(scans, run, hounsfield), _distinct(scans)
    else:
        images, names = rendered(labels, run, num), [f"contrast {n}" for n in range(num)]
    found = compare_features(run.task_model, images, names)
    write_table(table, _COLUMNS, found.rows)
    layers = list(found.slices)
    drawn = sorted({round(n) for n in np.linspace(0, len(layers) - 1, _DRAWN)})
    figures.features(
        {layers[n]: found.slices[layers[n]] for n in drawn},
        names,
        {name: layer["ncc"] for name, layer in found.layers.items()},
        Path(folder) / FIGURE,
    )
    rows = [{"layer": name, **values} for name, values in found.layers.items()]
    text = format_table({"layer": "", "ncc": ".3f", "difference": ".3f"}, rows)
    return Outcome(len(names), text=f"{text}\nlook at {Path(folder) / FIGURE}")


def _distinct(scans: Sequence[str | os.PathLike]) -> list[str]:
    """Call scans by their names, or by their paths where names repeat."""
    names = [stem(scan) for scan in scans]
    return names if len(set(names)) == len(names) else [str(scan) for scan in scans]


def _features(network: "keras.Model", images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Give the images, then the features of all of them layer by layer, a few layers at a time."""
    import keras

    yield "image", images[..., None]
    ndim = images.ndim + 1
    layers = [x for x in network.layers if type(x).__name__.startswith("Conv")]
    outputs = {
        x.name: x.output for x in layers if len(x.output.shape) == ndim and x.output is not None
    }
    outputs["output"] = network.outputs[0]
    sizes = {name: images.size * x.shape[-1] * 4 for name, x in outputs.items()}
    while outputs:
        group, held = [], 0
        for name in outputs:
            if group and held + sizes[name] > _BYTES:
                break
            group.append(name)
            held += sizes[name]
        part = keras.Model(network.inputs, [outputs.pop(name) for name in group])
        each = [part.predict_on_batch(image[None, ..., None]) for image in images]
        for number, name in enumerate(group):
            found = [x if len(group) == 1 and not isinstance(x, list) else x[number] for x in each]
            yield name, np.concatenate([np.asarray(x, "float32") for x in found])


def _standardized(features: np.ndarray) -> tuple[np.ndarray, int]:
    """Divide each channel by its standard deviation over all images; name the liveliest one.

    Channels that show nothing become 0.
    """
    axes = tuple(range(features.ndim - 1))
    std = features.std(axis=axes)
    known = std > _LEAST * max(float(std.max()), 1e-12)
    return np.where(known, features / np.where(known, std, 1), 0), int(std.argmax())


def _compare(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Correlate channels, and give their mean absolute difference; see `Invariance`."""
    a, b = (x.reshape(-1, x.shape[-1]) for x in (a, b))
    x, y = a - a.mean(0), b - b.mean(0)
    norms = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    shown = (np.abs(a).max(0) > 0) | (np.abs(b).max(0) > 0)
    # A channel that is constant in one image alone tells the contrast: 0.
    ncc = np.where(norms > 0, (x * y).sum(0) / np.where(norms > 0, norms, 1), 0)
    if not shown.any():
        return 1.0, 0.0
    return float(ncc[shown].mean()), float(np.abs(a - b).mean(0)[shown].mean())
