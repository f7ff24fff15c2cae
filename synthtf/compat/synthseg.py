"""SynthSeg's generator, by the name and arguments of its TensorFlow code."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import nibabel as nib
import numpy as np

from synthtf.compat.neurite import OutputLabels
from synthtf.compat.transforms import check_one_of
from synthtf.data import LabelMaps
from synthtf.data.geometry import reorient
from synthtf.data.volumes import Volume, read_geometry
from synthtf.layers import RandomFlip
from synthtf.synthesis import Recipe

_BRIGHTEST = 255  # SynthSeg draws intensities in [0, 255]
_STRENGTH = 15 / 4  # mm of the recipe's warp per unit of SynthSeg's deviation; see its card

Numbers = Sequence[int] | np.ndarray | str | os.PathLike


class BrainGenerator:
    """SynthSeg's generator of images and labels, made of the recipe "synthseg".

    The recipe is `synthtf.Recipe.preset("synthseg")`, whose card tells where its numbers are from;
    each argument changes the step that it is about. Arguments of SynthSeg that are not here have no
    counterpart: `subjects_prob`, `patch_dir`, `use_specific_stats_for_channel`,
    `mix_prior_and_random`, `data_res`, `thickness`, `downsample`, `return_gradients`.

    Args:
        labels_dir: folder of label maps, or one file.
        generation_labels: labels that occur, or an .npy file of them: those without a side, then
            the left ones, then the right ones. None: those of the maps.
        n_neutral_labels: number of labels without a side. None: all.
        output_labels: one output label per generation label, or an .npy file. None: the same.
        batchsize: number of samples of a batch.
        n_channels: number of channels of the image.
        target_res: voxel size, mm. None: that of the first map.
        output_shape: spatial shape of the outputs. None: that of the maps.
        prior_distributions: "uniform".
        generation_classes: one number per generation label; labels of one class share their
            intensity. None: each has its own.
        prior_means: `[low, high]` of the means, in [0, 255], or `(2, classes)`. None: `[25, 225]`.
        prior_stds: the same of the standard deviations. None: `[5, 25]`.
        flipping: flip left and right.
        scaling_bounds: largest difference of the scaling from 1. False: none.
        rotation_bounds: largest rotation, degrees. False: none.
        shearing_bounds: largest shear. False: none.
        translation_bounds: largest translation, mm. False: none.
        nonlin_std: largest strength of the warp. 0: none.
        nonlin_shape_factor: control points of the warp per voxel.
        randomise_res: simulate low resolution.
        max_res_iso: largest voxel size that is simulated, mm. None: no such images.
        max_res_aniso: largest thickness of slices, mm. None: no such images.
        bias_field_std: largest standard deviation of the logarithm of the bias field. 0: none.
        bias_shape_factor: control points of the bias field per voxel.
        seed: seed of the run; the same seed gives the same samples.

    Attributes:
        labels_to_image_model: model from label maps and keys to images and labels.
        model_inputs_generator: endless generator of its inputs.

    Raises:
        FileNotFoundError: if there are no label maps.
        ValueError: if an argument is out of range, or has no counterpart.

    Reference: `SynthSeg.brain_generator.BrainGenerator`; Billot et al., SynthSeg, Medical Image
        Analysis 2023.
    """

    def __init__(
        self,
        labels_dir: str | os.PathLike,
        generation_labels: Numbers | None = None,
        n_neutral_labels: int | None = None,
        output_labels: Numbers | None = None,
        batchsize: int = 1,
        n_channels: int = 1,
        target_res: float | None = None,
        output_shape: int | Sequence[int] | None = None,
        prior_distributions: str = "uniform",
        generation_classes: Numbers | None = None,
        prior_means: Any = None,
        prior_stds: Any = None,
        flipping: bool = True,
        scaling_bounds: float = 0.15,
        rotation_bounds: float = 15,
        shearing_bounds: float = 0.012,
        translation_bounds: float = False,
        nonlin_std: float = 3.0,
        nonlin_shape_factor: float = 0.04,
        randomise_res: bool = True,
        max_res_iso: float | None = 4.0,
        max_res_aniso: float | None = 8.0,
        bias_field_std: float = 0.5,
        bias_shape_factor: float = 0.025,
        seed: int = 0,
    ) -> None:
        check_one_of("prior_distributions", prior_distributions, "uniform")
        maps = LabelMaps(labels_dir, seed, batchsize, spacing=target_res)
        labels = _numbers(generation_labels, maps.labels)
        outputs = _numbers(output_labels, labels)
        if len(outputs) != len(labels):
            raise ValueError(
                f"`output_labels` must have one value for each of {len(labels)} labels. "
                f"Received: {len(outputs)}"
            )
        shape = maps.shape if output_shape is None else output_shape
        shape = (shape,) * len(maps.shape) if isinstance(shape, int) else tuple(map(int, shape))
        order = np.argsort(labels)
        classes = np.asarray(_numbers(generation_classes, range(len(labels))))[order]

        recipe = Recipe.preset("synthseg").change(
            "affine",
            translation=_around(0, translation_bounds),
            rotation=_around(0, rotation_bounds),
            scaling=_around(1, scaling_bounds),
            shear=_around(0, shearing_bounds),
        )
        recipe = recipe.change(
            "warp",
            strength=(0, _STRENGTH * nonlin_std),
            control_points=_points(shape, nonlin_shape_factor),
        )
        recipe = recipe.change(
            "intensity",
            labels=sorted(labels),
            groups=classes.tolist(),
            channels=n_channels,
            **_priors("mean", "priors", prior_means, (25, 225), classes),
            **_priors("std", "std_priors", prior_stds, (5, 25), classes),
        )
        recipe = recipe.change(
            "bias",
            std=(0, bias_field_std),
            control_points=_points(shape, bias_shape_factor),
        )
        if max_res_iso and randomise_res:
            recipe = recipe.change("resolution", factor=(1, max_res_iso))
        if max_res_aniso and randomise_res:
            recipe = recipe.change("thick_slices", factor=(1, max_res_aniso))
        unwanted = {
            "warp": not nonlin_std,
            "bias": not bias_field_std,
            "flip": not flipping,
            "resolution": not (max_res_iso and randomise_res),
            "thick_slices": not (max_res_aniso and randomise_res),
        }
        recipe = recipe.without(
            *(name for name, unwanted_step in unwanted.items() if unwanted_step)
        )
        if flipping:
            pairs = _pairs(labels, n_neutral_labels)
            recipe = Recipe(
                [RandomFlip(pairs=pairs) if step.name == "flip" else step for step in recipe]
            )

        synthesis = recipe.build(shape, sorted(labels), maps.spacing)
        mapping = dict(zip(map(int, labels), map(int, outputs), strict=True))
        sample = synthesis.output
        self.labels_to_image_model = keras.Model(
            synthesis.input,
            [sample["image"], OutputLabels(mapping, one_hot=False)(sample["labels"])],
            name="labels_to_image_model",
        )
        self.model_inputs_generator = _endless(maps)
        self._affine = read_geometry(next(path for path in maps.paths))[1]

    def generate_brain(self) -> tuple[np.ndarray, np.ndarray]:
        """Make a batch of images and labels, in the orientation of the first label map.

        Returns:
            The image, float32 in [0, 1], and the labels, int32, both `(batch, *shape, channels)`
            without the axes of one.
        """
        image, labels = self.labels_to_image_model.predict(
            next(self.model_inputs_generator), verbose=0
        )
        return _as_maps(image, self._affine), _as_maps(labels, self._affine)


def _numbers(values: Numbers | None, default: Any) -> list[int]:
    """Read a list of whole numbers, maybe from an .npy file."""
    if values is None:
        values = default
    if isinstance(values, str | os.PathLike):
        values = np.load(values, allow_pickle=False)
    return [int(value) for value in np.asarray(list(values)).ravel()]


def _around(middle: float, bound: float) -> tuple[float, float]:
    return middle - bound, middle + bound


def _points(shape: Sequence[int], factor: float) -> int:
    return max(2, round(max(shape) * factor))


def _priors(
    name: str, each: str, given: Any, default: tuple[float, float], classes: np.ndarray
) -> dict[str, Any]:
    """Give the range of all labels, or one of each."""
    if isinstance(given, str | os.PathLike):
        given = np.load(given, allow_pickle=False)
    bounds = np.asarray(default if given is None else given, "float64") / _BRIGHTEST
    if bounds.shape == (2,):
        return {name: tuple(bounds.tolist())}
    if bounds.shape != (2, classes.max() + 1):
        raise ValueError(
            f"`prior_{name}s` must be [low, high], or have the shape (2, {classes.max() + 1}). "
            f"Received: shape {bounds.shape}"
        )
    return {each: [tuple(bounds[:, number].tolist()) for number in classes]}


def _pairs(labels: Sequence[int], neutral: int | None) -> list[tuple[int, int]]:
    """Pair left with right labels, which come in this order behind those without a side."""
    sided = labels[len(labels) if neutral is None else neutral :]
    half, odd = divmod(len(sided), 2)
    if odd:
        raise ValueError(
            "`generation_labels` must have as many left as right labels behind the first "
            f"`n_neutral_labels`. Received: {len(sided)} labels with a side"
        )
    return list(zip(sided[:half], sided[half:], strict=True))


def _endless(maps: LabelMaps) -> Any:
    while True:
        for index in range(len(maps)):
            yield maps[index][0]
        maps.on_epoch_end()


def _as_maps(batch: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Turn volumes in RAS to the orientation of an affine, and drop axes of one."""
    axcodes = "".join(nib.aff2axcodes(affine))
    ndim = batch.ndim - 2
    turned = [reorient(Volume(x, np.eye(4), ndim=ndim), axcodes).data for x in batch]
    return np.squeeze(np.stack(turned))
