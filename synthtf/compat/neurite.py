"""neurite's model of image synthesis, by the name and arguments of its TensorFlow code."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from synthtf.compat.transforms import check_one_of
from synthtf.layers import (
    KeepImage,
    RandomAffine,
    RandomBiasField,
    RandomBlur,
    RandomFieldOfView,
    RandomFlip,
    RandomGamma,
    RandomIntensity,
    RandomNoise,
    RandomSlices,
    RandomWarp,
)
from synthtf.ops.labels import map_labels
from synthtf.random import draw_keys
from synthtf.synthesis import Recipe

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf.compat")
class FreshKeys(keras.layers.Layer):
    """Give each sample of a batch a key of its own, new at every call.

    Args:
        seed: seed of the generator of keys. None: another at every start.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, ...)`.
    Output shape: `(batch, 2)`, int32.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "int32")
        super().__init__(autocast=False, **kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor) -> Tensor:
        """Draw keys."""
        return draw_keys(ops.shape(inputs)[0], self.seed_generator)

    def compute_output_spec(self, inputs: Any) -> Any:
        """One key a sample."""
        return keras.KerasTensor((inputs.shape[0], 2), "int32")

    def get_config(self) -> dict[str, Any]:
        """Give the seed."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="synthtf.compat")
class OutputLabels(keras.layers.Layer):
    """Map labels to output labels, one channel each if `one_hot`; others are left out.

    Args:
        labels: input label to output label.
        one_hot: give channels, in ascending order of the output labels, else label values, 0 for
            what is left out.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, num)`, float32, or the same as the input.
    """

    def __init__(self, labels: Mapping[int, int], one_hot: bool, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)
        self.labels = {int(key): int(value) for key, value in labels.items()}
        self.one_hot = one_hot

    def call(self, inputs: Tensor) -> Tensor:
        """Look up."""
        outputs = sorted(set(self.labels.values()))
        if not self.one_hot:
            return map_labels(inputs, self.labels)
        place = {label: outputs.index(output) + 1 for label, output in self.labels.items()}
        channels = ops.arange(1, len(outputs) + 1, dtype="int32")
        return ops.cast(ops.equal(map_labels(inputs, place), channels), "float32")

    def compute_output_spec(self, inputs: Any) -> Any:
        """Channels are floats, label values are not."""
        if not self.one_hot:
            return keras.KerasTensor(inputs.shape, "int32")
        num = len(set(self.labels.values()))
        return keras.KerasTensor((*inputs.shape[:-1], num), "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "labels": self.labels, "one_hot": self.one_hot}


def labels_to_image(
    labels_in: Sequence[int] | Mapping[int, Any],
    labels_out: Sequence[int] | Mapping[int, int] | None = None,
    in_shape: Sequence[int] | None = None,
    out_shape: Sequence[int] | None = None,
    input_model: keras.Model | None = None,
    num_chan: int = 1,
    aff_shift: float = 0,
    aff_rotate: float = 0,
    aff_scale: float = 0,
    aff_shear: float = 0,
    axes_flip: bool = False,
    warp_min: float = 0.01,
    warp_max: float = 2,
    warp_blur_min: float | Sequence[float] = (8, 8),
    warp_blur_max: float | Sequence[float] = (32, 32),
    crop_min: float = 0,
    crop_max: float = 0.2,
    crop_prob: float = 0,
    crop_axes: Sequence[int] | None = None,
    mean_min: Sequence[float] | None = None,
    mean_max: Sequence[float] | None = None,
    noise_min: float = 0.1,
    noise_max: float = 0.2,
    zero_background: float = 0,
    blur_min: float = 0,
    blur_max: float = 1,
    bias_min: float = 0.01,
    bias_max: float = 0.1,
    bias_blur_min: float = 32,
    bias_blur_max: float = 64,
    slice_stride_min: float = 1,
    slice_stride_max: float = 8,
    slice_prob: float = 0,
    slice_axes: Sequence[int] | None = None,
    normalize: bool = True,
    gamma: float = 0.5,
    one_hot: bool = True,
    half_res: bool = False,
    seeds: Mapping[str, int] | None = None,
    return_im: bool = True,
    return_map: bool = True,
    return_mean: bool = False,
    id: int | str = 0,
) -> keras.Model:
    """Build neurite's model that makes images of label maps, of synthtf's layers.

    The steps and their ranges are neurite's. Two of its noise fields differ in their statistics:
    the warp's longest vector is `warp_min` to `warp_max` at half the resolution, drawn on a lattice
    of points as far apart as the blur is wide; and so is the logarithm of the bias field, whose
    standard deviation at these points is `bias_min` to `bias_max`. A background that is set to zero
    is so before noise, not behind it. What else neurite takes (`aff_normal_*`, `axes_swap`,
    `bias_func`, `return_vel` and its kin) is not there: write a `synthtf.Recipe`.

    Args:
        labels_in: labels that occur; a dictionary also says which share an intensity.
        labels_out: labels to return. A dictionary says as which. None: all.
        in_shape: spatial shape of the label maps.
        out_shape: spatial shape of the outputs. None: `in_shape`.
        input_model: model whose output is the label map.
        num_chan: number of channels of the image.
        aff_shift: largest translation, in voxels.
        aff_rotate: largest rotation, in degrees.
        aff_scale: largest difference of the scaling from 1.
        aff_shear: largest shear.
        axes_flip: flip axes at random; not for labels of sides.
        warp_min: smallest strength of the warp, in voxels at half the resolution.
        warp_max: largest. 0: no warp.
        warp_blur_min: smallest blur of the warp, full width at half maximum in voxels.
        warp_blur_max: largest.
        crop_min: smallest share of the field of view that is lost.
        crop_max: largest.
        crop_prob: chance to crop.
        crop_axes: axes that may be cropped. None: all.
        mean_min: smallest intensity of each label, in ascending order. None: 0.
        mean_max: largest. None: 1.
        noise_min: smallest standard deviation of the noise.
        noise_max: largest.
        zero_background: chance that the background is 0.
        blur_min: smallest standard deviation of the blur, in voxels.
        blur_max: largest.
        bias_min: smallest standard deviation of the logarithm of the bias field.
        bias_max: largest. 0: no bias field.
        bias_blur_min: smallest blur of the bias field, full width at half maximum in voxels.
        bias_blur_max: largest.
        slice_stride_min: smallest thickness of slices, in voxels.
        slice_stride_max: largest.
        slice_prob: chance of thick slices.
        slice_axes: axes across which slices may lie. None: all.
        normalize: True, the image is mapped to [0, 1].
        gamma: largest difference of the exponent from 1. 0: none.
        one_hot: return one channel per output label, else label values.
        half_res: False; build the model for half the shape instead.
        seeds: nothing; keys replay samples, see `synthtf.Recipe`.
        return_im: return the image.
        return_map: return the labels.
        return_mean: return the image without corruption.
        id: part of the names of the layers.

    Returns:
        Model from label maps, integer `(batch, *in_shape, 1)`, to the list of the image,
        `(batch, *out_shape, num_chan)`, and the labels. It draws anew at every call.

    Raises:
        ValueError: if an argument is out of range, or has no counterpart.

    Example:
    >>> import numpy as np
    >>> model = labels_to_image_new([0, 2, 41], in_shape=(32, 32))
    >>> image, labels = model(np.zeros((1, 32, 32, 1), "int32"))
    >>> tuple(image.shape), tuple(labels.shape)
    ((1, 32, 32, 1), (1, 32, 32, 3))

    Reference: `neurite.models.labels_to_image`, once `labels_to_image_new`; Hoffmann et al.,
        SynthMorph, IEEE TMI 2022.
    """
    check_one_of("half_res", half_res, False)
    check_one_of("normalize", normalize, True)
    if seeds:
        raise ValueError(
            "`seeds` of single steps have no counterpart: samples of `synthtf.Recipe` are replayed "
            f"by their keys. Received: seeds={seeds!r}"
        )
    if input_model is None:
        labels = keras.layers.Input((*in_shape, 1), dtype="int32", name=f"input_{id}")
        inputs = labels
    else:
        labels, inputs = input_model.output, input_model.input
    ndim = len(labels.shape) - 2
    shape = tuple(out_shape or labels.shape[1:-1])
    groups = dict(labels_in) if isinstance(labels_in, Mapping) else {i: i for i in labels_in}

    steps = [
        RandomAffine(
            translation=(-aff_shift, aff_shift),
            rotation=(-aff_rotate, aff_rotate),
            scaling=(1 - aff_scale, 1 + aff_scale),
            shear=(-aff_shear, aff_shear),
        )
    ]
    if axes_flip:
        steps += [RandomFlip(axis=axis, pairs=(), name=f"flip_{axis}") for axis in range(ndim)]
    if warp_max:
        points = _lattice(shape, warp_blur_min, warp_blur_max)
        steps.append(
            RandomWarp(
                strength=(2 * warp_min, 2 * warp_max), control_points=points, noise="gaussian"
            )
        )
    if crop_prob:
        steps.append(
            RandomFieldOfView(
                (crop_min, crop_max), axes=crop_axes, labels=True, probability=crop_prob
            )
        )
    steps.append(_intensity(groups, mean_min, mean_max, 1 - zero_background, num_chan))
    if return_mean:
        steps.append(KeepImage(name="mean"))
    if bias_max:
        points = _lattice(shape, bias_blur_min, bias_blur_max)
        steps.append(
            RandomBiasField(form="exponential", std=(bias_min, bias_max), control_points=points)
        )
    steps += [RandomNoise(std=(noise_min, noise_max)), RandomBlur(std=(blur_min, blur_max))]
    if slice_prob:
        steps.append(
            RandomSlices(
                (slice_stride_min, slice_stride_max), 0, axes=slice_axes, probability=slice_prob
            )
        )
    if gamma:
        steps.append(RandomGamma((1 - gamma, 1 + gamma)))

    synthesis = Recipe(steps).build(shape, sorted(groups))
    sample = synthesis(
        {"labels": ops.cast(labels, "int32"), "key": FreshKeys(name=f"keys_{id}")(labels)}
    )
    outputs = [sample["image"]] if return_im else []
    if return_map:
        given = groups if labels_out is None else labels_out
        mapping = dict(given) if isinstance(labels_out, Mapping) else {i: i for i in given}
        outputs.append(OutputLabels(mapping, one_hot, name=f"labels_{id}")(sample["labels"]))
    if return_mean:
        outputs.append(sample["mean"])
    return keras.Model(inputs, outputs, name=f"synth_{id}")


labels_to_image_new = labels_to_image


def _intensity(
    groups: Mapping[int, Any],
    low: Sequence[float] | None,
    high: Sequence[float] | None,
    background: float,
    channels: int,
) -> RandomIntensity:
    """Draw a mean for each group of labels, within the bounds of the group."""
    kinds = sorted(set(groups.values()), key=str if _mixed(groups) else None)
    labels = sorted(groups)
    numbers = [kinds.index(groups[label]) for label in labels]
    priors = None
    if low is not None or high is not None:
        low, high = low or [0.0] * len(kinds), high or [1.0] * len(kinds)
        if not len(low) == len(high) == len(kinds):
            raise ValueError(
                f"`mean_min` and `mean_max` must have one value for each of {len(kinds)} labels. "
                f"Received: {len(low)} and {len(high)}"
            )
        priors = [(low[number], high[number]) for number in numbers]
    return RandomIntensity(
        labels=labels,
        groups=numbers,
        priors=priors,
        background_probability=background,
        channels=channels,
    )


def _mixed(groups: Mapping[int, Any]) -> bool:
    return not all(isinstance(kind, int | float) for kind in groups.values())


def _lattice(shape: Sequence[int], low: Any, high: Any) -> tuple[int, int]:
    """Give the numbers of points that lie as far apart as the widths of a blur."""
    size = max(shape)
    widths = [float(ops.convert_to_numpy(ops.mean(ops.cast(w, "float32")))) for w in (high, low)]
    return tuple(min(128, max(2, round(size / width) + 1)) for width in widths)
