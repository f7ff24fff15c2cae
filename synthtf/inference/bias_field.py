"""The bias field of a scan, found by its histogram alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthtf.inference.intensity_range import IntensityRange

_VOXEL = 6.0  # mm: the field is smooth, so that it is found on voxels of this size
_FOREGROUND = 0.1  # of the robust range, above which a voxel is tissue
_FEWEST = 200  # voxels of that size
_INTERVALS = (1, 2, 4, 8)  # of the splines along each axis, one after the other
_ROUNDS = 30  # of each
_SETTLED = 3e-4  # change of the field, in logarithms, that ends the rounds
_BINS = 200
_WIDTH = 0.15  # full width at half maximum of what the field blurs the histogram with
_NOISE = 0.01  # of Wiener's filter
_MOST = 1.5  # of the logarithm of the field, which no coil exceeds within a head


@dataclass(frozen=True, eq=False)
class BiasField:
    """The bias field of an image; `find` finds it.

    Attributes:
        lattices: control points of cubic splines, which add up to the logarithm of the field.
        middle: mean of that logarithm in tissue.
        low: lowest intensity, if it is negative, which is subtracted first.
    """

    lattices: Sequence[np.ndarray]
    middle: float
    low: float

    @classmethod
    def find(cls, image: np.ndarray, spacing: Sequence[float]) -> "BiasField":
        """Find the field of an image.

        It is what makes the histogram of the logarithms of the tissue sharp, and smooth. Neither
        the contrast nor the anatomy matters.

        Args:
            image: `(x, y, z)`, finite, of any range.
            spacing: mm per voxel.

        Returns:
            The field; one everywhere where there is too little to judge by.

        Reference:
            Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 2010; Sled et al., IEEE
            TMI 1998, for the histogram; Lee et al., Scattered data interpolation with multilevel
            B-splines, IEEE TVCG 1997.
        """
        found = IntensityRange.of(image)
        size = [
            max(1, min(round(_VOXEL / mm), n)) for mm, n in zip(spacing, image.shape, strict=True)
        ]
        low = min(0.0, found.low)
        # Samples, not means, which would blur the histogram.
        every = tuple(slice(n // 2, None, n) for n in size)
        coarse = found.apply(np.ascontiguousarray(image[every], np.float32)) - low
        bottom, top = np.percentile(coarse, (1, 99))
        tissue = coarse > bottom + _FOREGROUND * (top - bottom)
        if np.count_nonzero(tissue) < _FEWEST or not bottom < top:
            return cls((), 0.0, low)
        values = np.log(coarse, where=tissue, out=np.zeros_like(coarse))
        centres = [
            (np.arange(m) * n + n // 2) / max(k - 1, 1)
            for m, n, k in zip(coarse.shape, size, image.shape, strict=True)
        ]
        lattices = _fit(values, tissue, centres)
        inside = sum(_evaluate(lattice, centres) for lattice in lattices)[tissue]
        return cls(lattices, float(inside.mean()), low)

    def factors(self, shape: Sequence[int], box: Sequence[slice]) -> np.ndarray:
        """Give factors of the intensities, after `low` is subtracted.

        Args:
            shape: of the image.
            box: part of it.

        Returns:
            Array of the size of the box, float32.
        """
        places = [np.arange(n)[part] / max(n - 1, 1) for n, part in zip(shape, box, strict=True)]
        field = np.full([len(place) for place in places], -self.middle, np.float32)
        for lattice in self.lattices:
            field += _evaluate(lattice, places)
        np.clip(field, -_MOST, _MOST, out=field)
        return np.exp(-field)


def _fit(values: np.ndarray, tissue: np.ndarray, places: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Control points of each level."""
    field = np.zeros_like(values)
    lattices = []
    for intervals in _INTERVALS:
        bases = [_basis(place, intervals) for place in places]
        squares = [np.square(basis).sum(axis=1) for basis in bases]
        norm = np.einsum("x,y,z->xyz", *squares).astype(np.float32)
        weight = _spread(tissue.astype(np.float32), [np.square(b) for b in bases])
        lattice = np.zeros(weight.shape, np.float32)
        for _ in range(_ROUNDS):
            flat = values - field
            rest = np.where(tissue, flat - _sharpened(flat, tissue), 0) / norm
            step = _spread(rest, [b**3 for b in bases]) / np.maximum(weight, 1e-6)
            change = _gather(step, bases)
            change -= change[tissue].mean()
            lattice += step
            field += change
            if change[tissue].std() < _SETTLED:
                break
        lattices.append(lattice)
    return lattices


def _sharpened(flat: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """What each value is expected to be without a field, by deconvolution of the histogram."""
    chosen = flat[tissue]
    low, high = chosen.min(), chosen.max()
    width = max((high - low) / (_BINS - 1), 1e-6)
    position = (chosen - low) / width
    first = np.minimum(position.astype(int), _BINS - 2)
    share = position - first
    counts = np.bincount(first, 1 - share, _BINS) + np.bincount(first + 1, share, _BINS)
    padded = 2 * _BINS
    offset = np.fft.fftfreq(padded, 1 / padded) * width
    blur = np.exp(-4 * np.log(2) * (offset / _WIDTH) ** 2)
    blur = np.fft.fft(blur / blur.sum())
    sharp = np.fft.ifft(np.fft.fft(counts, padded) * blur.conj() / (np.abs(blur) ** 2 + _NOISE))
    sharp = np.maximum(sharp.real, 0)
    bins = low + width * np.where(
        np.arange(padded) < 1.5 * _BINS, np.arange(padded), np.arange(padded) - padded
    )
    below = np.fft.ifft(np.fft.fft(sharp) * blur).real
    above = np.fft.ifft(np.fft.fft(sharp * bins) * blur).real
    expected = np.where(below > 1e-6 * below.max(), above / np.maximum(below, 1e-30), bins)
    result = np.zeros_like(flat)
    result[tissue] = np.interp(chosen, bins[:_BINS], expected[:_BINS])
    return result


def _basis(place: np.ndarray, intervals: int) -> np.ndarray:
    """Cubic B-splines at places in [0, 1], `(places, intervals + 3)`."""
    position = place * intervals
    first = np.minimum(position.astype(int), intervals - 1)
    t = position - first
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    basis = np.zeros((len(place), intervals + 3), np.float32)
    for offset, weight in enumerate(weights):
        basis[np.arange(len(place)), first + offset] = weight
    return basis


def _spread(values: np.ndarray, bases: Sequence[np.ndarray]) -> np.ndarray:
    """From places to control points."""
    for basis in bases:
        values = np.tensordot(values, basis, axes=(0, 0))
    return values


def _gather(lattice: np.ndarray, bases: Sequence[np.ndarray]) -> np.ndarray:
    """From control points to places."""
    for basis in bases:
        lattice = np.tensordot(lattice, basis, axes=(0, 1))
    return lattice


def _evaluate(lattice: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    intervals = [n - 3 for n in lattice.shape]
    bases = [_basis(place, n) for place, n in zip(places, intervals, strict=True)]
    return _gather(lattice, bases)
