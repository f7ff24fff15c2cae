"""Robust intensity normalisation of a scan."""

import warnings

import numpy as np

from synthtf.inference.intensity_range import IntensityRange

HOUNSFIELD_WINDOW = (0.0, 80.0)
"""Window of CT in which brain tissue differs, in Hounsfield units."""


def normalize_intensity(
    image: np.ndarray, *, percentiles: tuple[float, float] = (0.5, 99.5), ct: bool = False
) -> np.ndarray:
    """Clip an image between two percentiles and map them to 0 and 1.

    Percentiles are those of what was measured: padding becomes background first, see
    `IntensityRange`. Where the percentiles coincide, as for a small object in a large background,
    the minimum and maximum take their place; a constant image becomes zero,
    with a warning.

    Args:
        image: Any shape, finite, of any range; negative values are fine.
        percentiles: `(low, high)`, in [0, 100].
        ct: Whether the image is in Hounsfield units, which are clipped to 0-80
            first.

    Returns:
        The same shape, float32 in [0, 1].

    Raises:
        ValueError: If the percentiles are reversed or out of bounds, or the
            image is empty or not finite.

    Example:
        >>> normalize_intensity(np.array([-10.0, 0.0, 10.0]), percentiles=(0, 100)).tolist()
        [0.0, 0.5, 1.0]

    Reference:
        Percentiles and window of SynthSeg (Billot et al., 2023).
    """
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ValueError(
            f"Expected percentiles (low, high) with 0 <= low < high <= 100. Received: {percentiles}"
        )
    image = np.asarray(image, np.float32)
    if image.size == 0 or not np.all(np.isfinite(image)):
        raise ValueError(
            f"Expected finite intensities. Received {image.size} voxels; "
            f"{np.count_nonzero(~np.isfinite(image))} are NaN or infinite: replace them first"
        )
    image = clip_to_window(image) if ct else IntensityRange.of(image).apply(image)
    bottom, top = (float(value) for value in np.percentile(image, percentiles))
    if bottom == top:
        bottom, top = float(image.min()), float(image.max())
    if bottom == top:
        warnings.warn(
            f"the image is constant (every voxel is {bottom:g}): normalised to zero", stacklevel=2
        )
        return np.zeros_like(image)
    image = np.clip(image, bottom, top)
    image -= bottom
    image /= np.float32(top - bottom)
    return np.minimum(image, 1, out=image)


def clip_to_window(image: np.ndarray) -> np.ndarray:
    """Clip Hounsfield units to the window in which brain tissue differs.

    Args:
        image: Any shape.

    Example:
        >>> clip_to_window(np.array([-1000.0, 40.0, 1000.0])).tolist()
        [0.0, 40.0, 80.0]
    """
    return np.clip(image, *HOUNSFIELD_WINDOW)
