"""Sharpening the posteriors of a scan by its own intensities."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, gaussian_filter1d

_STEPS = 4  # of expectation maximisation
# Share of the log-likelihood that counts: neighbouring voxels, whose noise, bias and partial
# volume are alike, are not independent evidence.
_WEIGHT = 0.5
_FINE_WEIGHT = 0.25  # of what the scan adds to the network's grid: noise is stronger there
_FARTHEST = 3.0  # standard deviations, beyond which an intensity is an outlier of any class
_LEAST_VARIANCE = 0.02  # of intensities whose standard deviation in the foreground is one
_PRIOR_VOXELS = 20.0  # that each class has of the foreground's variance before any is seen
_LIKELY = 0.02  # posterior of the foreground from which on voxels take part
_FEWEST = 1000  # voxels
_BIAS_MM = 20.0  # standard deviation of the window in which the bias field is constant
_BINS = 64
_VOXEL = 2.0  # mm, from which on all voxels are looked at for the model
_BALANCING = 6  # rounds in which volumes become what they were
_SAMPLE = 200_000  # voxels that are looked at for that


@dataclass(frozen=True, eq=False)
class IntensityModel:
    """What intensities the classes have in one scan; `fit` finds it.

    Each group of classes has a Gaussian distribution, on top of a smooth bias field that all
    share; the background, which is anything, has a histogram. Intensities move the borders of a
    structure, not its volume: where the Gaussians of two structures overlap, as those of putamen,
    accumbens and cortex do, the larger prior would else grow at the cost of the other.

    Attributes:
        groups: Group of each class; 0 is the background.
        mean: Mean of each group.
        variance: Variance of each group.
        edges: Of the bins of the background's histogram.
        log_density: Of the background in each bin.
        bias: Bias field, on the grid of the posteriors.
        centre: What is subtracted from intensities,
        spread: and what they are divided by.
    """

    groups: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    edges: np.ndarray
    log_density: np.ndarray
    bias: np.ndarray
    centre: float
    spread: float

    @classmethod
    def fit(
        cls,
        image: np.ndarray,
        posteriors: np.ndarray,
        pairs: Sequence[tuple[int, int]] = (),
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> "IntensityModel | None":
        """Fit by expectation maximisation, with the posteriors of a network as the prior.

        Args:
            image: Scan, `(x, y, z)`.
            posteriors: `(x, y, z, classes)`, the background first.
            pairs: Left and right class of each structure that has both: their intensities are
                alike.
            spacing: mm per voxel.

        Returns:
            The model; None if too little of the scan is foreground.

        Reference:
            Van Leemput et al., Automated model-based tissue classification of MR images of the
            brain, and Automated model-based bias field correction, IEEE TMI 1999.
        """
        groups = _groups(posteriors.shape[-1], pairs)
        shape, steps = image.shape, [max(1, round(_VOXEL / mm)) for mm in spacing]
        every = tuple(slice(None, None, step) for step in steps)
        image, posteriors = image[every], posteriors[every]
        spacing = [step * mm for step, mm in zip(steps, spacing, strict=True)]
        seen = posteriors[..., 0] < 1 - _LIKELY
        if np.count_nonzero(seen) < _FEWEST:
            return None
        prior = posteriors[seen] @ np.eye(groups.max() + 1, dtype=np.float32)[groups]
        values = image[seen].astype(np.float32)
        inside = values[prior[:, 0] < 0.5] if np.any(prior[:, 0] < 0.5) else values
        centre, spread = float(inside.mean()), float(inside.std())
        if not spread > 0:
            return None
        values = (values - centre) / spread
        bias = np.zeros(image.shape, np.float32)
        posterior, model = prior, None
        for step in range(_STEPS):
            if step:
                bias = _bias(values, posterior, model, seen, spacing)
            flat = values - bias[seen]
            model = cls(groups, *_maximize(flat, posterior), bias, centre, spread)
            posterior = model._posterior(flat, prior)
        if image.shape == shape:
            return model
        fine = affine_transform(
            bias, 1 / np.array(steps, float), output_shape=shape, order=1, mode="nearest"
        )
        return replace(model, bias=fine)

    def sharpen(self, image: np.ndarray, posteriors: np.ndarray) -> None:
        """Multiply posteriors by the likelihood, and keep the volumes, in place.

        Args:
            image: As for `fit`.
            posteriors: As for `fit`.
        """
        seen = posteriors[..., 0] < 1 - _LIKELY
        flat = (image[seen] - self.centre) / self.spread - self.bias[seen]
        chosen = posteriors[seen]
        few = chosen[:: -(-len(chosen) // _SAMPLE)].copy()
        for group in np.unique(self.groups):
            likelihood = np.exp(_WEIGHT * self._log_likelihood(flat, group))
            for index in np.flatnonzero(self.groups == group):
                chosen[:, index] *= likelihood
        chosen *= _balance(few, chosen[:: -(-len(chosen) // _SAMPLE)])
        posteriors[seen] = chosen / np.maximum(chosen.sum(axis=-1, keepdims=True), 1e-30)

    def gain(
        self, index: int, fine: np.ndarray, smooth: np.ndarray, bias: np.ndarray
    ) -> np.ndarray:
        """How much more likely a class is by what the scan shows beyond the network's grid.

        Args:
            index: Of the class.
            fine: Intensities of the scan on its own grid.
            smooth: The same after going through the network's grid, to which the posteriors
                belong already.
            bias: Bias field on the grid of the scan.

        Returns:
            Factors for the posteriors of the class, before they are made to sum to one.
        """
        group = self.groups[index]
        beyond, known = (
            self._log_likelihood((values - self.centre) / self.spread - bias, group)
            for values in (fine, smooth)
        )
        return np.exp(_FINE_WEIGHT * (beyond - known))

    def _log_likelihood(self, flat: np.ndarray, group: int) -> np.ndarray:
        if group == 0:
            index = np.searchsorted(self.edges[1:-1], flat)
            return self.log_density[index]
        squares = np.square(flat - self.mean[group]) / self.variance[group]
        return -0.5 * (np.minimum(squares, _FARTHEST**2) + np.log(self.variance[group]))

    def _posterior(self, flat: np.ndarray, prior: np.ndarray) -> np.ndarray:
        result = prior.copy()
        for group in range(prior.shape[1]):
            result[:, group] *= np.exp(_WEIGHT * self._log_likelihood(flat, group))
        return result / np.maximum(result.sum(axis=1, keepdims=True), 1e-30)


def _balance(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Factors of the classes for which their sums are what they were, as far as that is known."""
    factors = np.ones(before.shape[1], np.float32)
    volumes = before.sum(axis=0, dtype=np.float64) + 1
    for _ in range(_BALANCING):
        found = after * factors
        found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-30)
        factors *= volumes / (found.sum(axis=0, dtype=np.float64) + 1)
    return factors


def _groups(num_classes: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    partner = {right: left for left, right in pairs}
    owner = [partner.get(index, index) for index in range(num_classes)]
    return np.unique(owner, return_inverse=True)[1]


def _maximize(flat: np.ndarray, posterior: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and variance of each group, and the histogram of the background."""
    weight = posterior.sum(axis=0, dtype=np.float64)
    mean = (flat @ posterior) / np.maximum(weight, 1e-6)
    square = np.square(flat) @ posterior
    scatter = np.maximum(square - weight * mean**2, 0) + _PRIOR_VOXELS
    variance = scatter / (weight + _PRIOR_VOXELS) + _LEAST_VARIANCE
    density, edges = np.histogram(flat, _BINS, weights=posterior[:, 0])
    density = gaussian_filter1d(density.astype(float), 1.5)
    density = density / max(density.sum() * (edges[1] - edges[0]), 1e-30)
    # The constant that the Gaussians leave out.
    log_density = np.log(np.maximum(density, 1e-3) * np.sqrt(2 * np.pi))
    return (
        mean.astype(np.float32),
        variance.astype(np.float32),
        edges.astype(np.float32),
        log_density.astype(np.float32),
    )


def _bias(
    values: np.ndarray,
    posterior: np.ndarray,
    model: IntensityModel,
    seen: np.ndarray,
    spacing: Sequence[float],
) -> np.ndarray:
    """Smooth field of what the means of the groups do not explain."""
    precision = posterior / model.variance
    precision[:, 0] = 0
    total = precision.sum(axis=1)
    sides = [_BIAS_MM / mm for mm in spacing]
    smoothed = []
    for part in (total * values - precision @ model.mean, total):
        field = np.zeros(seen.shape, np.float32)
        field[seen] = part
        smoothed.append(gaussian_filter(field, sides, mode="constant", truncate=2.5))
    return smoothed[0] / (smoothed[1] + 1e-3)
