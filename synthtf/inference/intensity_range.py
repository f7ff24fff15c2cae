"""Which intensities of a scan were measured, and which mean that nothing was."""

from dataclasses import dataclass

import numpy as np

_TAILS = 2  # ranges of the rest in which a bright voxel is rather tissue than padding
_LEAST = 1e-3  # share of voxels that padding has; fewer are outliers
_REST = 0.02  # of all voxels, that are left at least
_APART = 0.5  # distance from the rest, in ranges of the rest; the air of MR and CT is closer
_SPREAD = 0.1  # range of the padding at most, in ranges of the rest
_LOOSE = 0.05, 0.01  # shares of the padding and of the rest that may lie between them
_VALUES = 32  # of an image at least, and of padding at most; fewer are those of a label map
_TAIL = 0.005  # at each end of the rest, does not count for its range
_ROUNDS = 4  # padding of several values
_SAMPLES = 500_000


@dataclass(frozen=True)
class IntensityRange:
    """Intensities that a scan was measured with, without padding and outliers.

    Padding is what somebody wrote where nothing was measured: -32768 or 65535 outside of a field
    of view, -3024 outside of the circle of a CT, small negative numbers that wrapped around to
    large ones, slices that are saturated. No list of such values is used. Padding is a group of
    voxels at either end of the sorted intensities that is not small, of one value or of few that
    are close, and apart from the rest by more than half of the range of the rest. Voxels between
    both, as resampling makes them, are few. The rest must be an image, of 32 values or more, and
    goes through the same test.

    Padding counts as background, whether its value is low or high: it becomes the lowest intensity
    of the rest. Single voxels that are far from all others are brought as near as the range of the
    rest is wide. All else stays as it is.

    Attributes:
        low: lowest intensity of the rest, robustly.
        floor: what is below is padding.
        ceiling: what is above is padding.
        bottom: lowest intensity that an outlier keeps.
        top: highest intensity that an outlier keeps.
        padding: of each group of padding, low and high value, robustly, and share of voxels.

    Example:
        >>> image = np.arange(1000.0)
        >>> image[::10] = -32768
        >>> IntensityRange.of(image).apply(image)[:3].tolist()
        [5.0, 1.0, 2.0]
    """

    low: float
    floor: float
    ceiling: float
    bottom: float
    top: float
    padding: tuple[tuple[float, float, float], ...] = ()

    @classmethod
    def of(cls, image: np.ndarray) -> "IntensityRange":
        """Find the range of an image.

        Args:
            image: any shape, finite.
        """
        flat = image.reshape(-1)
        # An odd step does not fall into step with the rows.
        values = np.sort(flat[:: flat.size // _SAMPLES | 1]).astype(np.float64)
        total, floor, ceiling, padding = values.size, -np.inf, np.inf, []
        for _ in range(_ROUNDS):
            size, cut = _padding(-values[::-1])
            if size:
                floor, group, values = -cut, values[:size], values[size:]
            else:
                size, cut = _padding(values)
                if not size:
                    break
                ceiling, group, values = cut, values[-size:], values[:-size]
            padding.append((*_ends(group, 0.1), group.size / total))
        low, high = _ends(values, _TAIL)
        # An object so small that the rest is constant is what the image shows.
        reach = high - low or np.inf
        bottom, top = _ends(values, _LEAST)
        return cls(low, floor, ceiling, bottom - reach, top + reach, tuple(padding))

    @np.errstate(over="ignore")
    def apply(self, image: np.ndarray) -> np.ndarray:
        """Make padding the lowest intensity, and bring outliers near.

        Args:
            image: any shape, finite.

        Returns:
            The same shape and type; the image itself where there is nothing to do.
        """
        lowest, highest = image.min(), image.max()
        if lowest >= max(self.floor, self.bottom) and highest <= min(self.ceiling, self.top):
            return image
        result = np.clip(image, self.bottom, self.top).astype(image.dtype, copy=False)
        result[(image < self.floor) | (image > self.ceiling)] = self.low
        return result


def _ends(values: np.ndarray, share: float) -> tuple[float, float]:
    """Values at both ends but for a share of each; of sorted values."""
    cut = int(share * values.size)
    return float(values[cut]), float(values[-1 - cut])


def _padding(values: np.ndarray) -> tuple[int, float]:
    """Size of the padding at the upper end of sorted values, and what lies between it and the rest.

    Size 0 means that there is none.
    """
    total = values.size
    sizes = np.arange(max(1, int(_LEAST * total)), int((1 - _REST) * total))
    if not sizes.size:
        return 0, 0.0
    of_padding, of_rest = _LOOSE
    rest = total - sizes
    rest = rest - np.minimum(of_padding * sizes, of_rest * rest).astype(int)
    low, high = (values[(share * (rest - 1)).astype(int)] for share in (_TAIL, 1 - _TAIL))
    reach = high - low
    first, nearest = values[total - sizes], values[rest - 1]
    # The middle of the padding: its ends may be what resampling made.
    inner = (values[total - 1 - (share * sizes).astype(int)] for share in (0.1, 0.9))
    spread = next(inner) - next(inner)
    found = (first - nearest > _APART * reach) & (spread <= _SPREAD * reach)
    if not found.any():
        return 0, 0.0
    index = np.argmax(np.where(found, first - nearest, 0))
    inner = slice(total - int(0.9 * sizes[index]) - 1, total - int(0.1 * sizes[index]))
    if _num_values(values[: rest[index]]) < _VALUES or _num_values(values[inner]) > _VALUES:
        return 0, 0.0
    cut = min(high[index] + _TAILS * reach[index], (first[index] + nearest[index]) / 2)
    return int(np.count_nonzero(values > cut)), float(cut)


def _num_values(values: np.ndarray) -> int:
    return 1 + np.count_nonzero(np.diff(values))
