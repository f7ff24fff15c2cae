"""Images of the phantoms as scanners would show them, for evaluation only.

The intensities are typical of T1, T2, FLAIR and PD MRI and of CT. They share no code and no
parameter with the synthesis models, so that a network trained on synthetic images is tested
on contrasts that it has never seen.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Labels of each tissue; a tissue has one mean intensity.
_TISSUES = {
    "air": (0,),
    "csf": (24,),
    "ventricle": (4, 43, 14, 15),
    "white": (2, 41),
    "grey": (3, 42, 17, 53),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "thalamus": (10, 49),
    "stem": (16, 28, 60, 126),
    "cerebellar grey": (8, 47),
    "cerebellar white": (7, 46),
    "bone": (165,),
    "muscle": (123,),
    "fat": (258,),
    "eye": (259,),
}

# Mean of each tissue, from black 0 to white 1. CT has the brain window, 0 to 80 Hounsfield
# units: fat and air are black, bone is white.
CONTRASTS = ("T1", "T2", "FLAIR", "PD", "CT")
_MEANS = {
    # tissue: T1, T2, FLAIR, PD, CT
    "air": (0.01, 0.01, 0.01, 0.01, 0.00),
    "csf": (0.14, 0.90, 0.13, 0.88, 0.12),
    "ventricle": (0.12, 0.95, 0.09, 0.92, 0.08),
    "white": (0.74, 0.37, 0.47, 0.62, 0.34),
    "grey": (0.49, 0.54, 0.62, 0.75, 0.46),
    "caudate": (0.52, 0.50, 0.59, 0.74, 0.47),
    "putamen": (0.55, 0.46, 0.57, 0.72, 0.47),
    "pallidum": (0.66, 0.31, 0.48, 0.64, 0.49),
    "thalamus": (0.60, 0.46, 0.55, 0.69, 0.45),
    "stem": (0.68, 0.41, 0.53, 0.65, 0.38),
    "cerebellar grey": (0.46, 0.55, 0.61, 0.76, 0.45),
    "cerebellar white": (0.71, 0.38, 0.49, 0.63, 0.36),
    "bone": (0.10, 0.05, 0.06, 0.08, 1.00),
    "marrow": (0.55, 0.40, 0.42, 0.50, 1.00),
    "muscle": (0.38, 0.20, 0.30, 0.55, 0.66),
    "fat": (0.82, 0.62, 0.72, 0.80, 0.08),
    "eye": (0.16, 0.97, 0.12, 0.93, 0.12),
}

# Standard deviation of the texture of visibly uneven tissues; 0.015 in the others.
_TEXTURE = {"air": 0.0, "bone": 0.03, "marrow": 0.10, "muscle": 0.07, "fat": 0.08}


def render_phantom(
    labels: np.ndarray, contrast: str, seed: int = 0, spacing: float | Sequence[float] = 2.0
) -> np.ndarray:
    """Render a phantom as a scan of a given contrast.

    Tissue means, texture, partial volume, a smooth bias field (MRI) and noise: Rician in
    MRI, Gaussian in CT.

    Args:
        labels: label map from `head_phantom`, shape (*spatial).
        contrast: "T1", "T2", "FLAIR", "PD" or "CT".
        seed: seed of all random numbers; another seed is another scan of the same head.
        spacing: mm per voxel, a scalar or one per axis.

    Returns:
        Image, float32 in [0, 1], shape (*spatial).

    Raises:
        ValueError: if the contrast is unknown, or a label is not one of the phantoms'.

    Example:
        >>> from synthtf.data.phantoms import head_phantom
        >>> labels = head_phantom(0, shape=(96, 112), spacing=2.0)
        >>> image = render_phantom(labels, "T1", seed=0, spacing=2.0)
        >>> bool(image[labels == 2].mean() > image[labels == 3].mean())  # white above grey
        True
    """
    if contrast not in CONTRASTS:
        raise ValueError(
            f"`contrast` must be one of {', '.join(CONTRASTS)}. Received: contrast={contrast!r}"
        )
    labels = np.asarray(labels)
    spacing = np.broadcast_to(np.asarray(spacing, float), (labels.ndim,))
    rng = np.random.default_rng([seed, zlib.crc32(contrast.encode())])
    image = _paint_tissues(labels, contrast, spacing, rng)
    image = ndimage.gaussian_filter(image, 0.45 * max(1.0, 1.2 / spacing.min()))
    if contrast == "CT":
        image += 0.02 * rng.standard_normal(image.shape, np.float32)
    else:
        image *= np.exp(0.12 * _smooth_field(image.shape, rng))
        real = image + 0.02 * rng.standard_normal(image.shape, np.float32)
        image = np.hypot(real, 0.02 * rng.standard_normal(image.shape, np.float32))
    return np.clip(image, 0, 1).astype(np.float32)


def _paint_tissues(
    labels: np.ndarray, contrast: str, spacing: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    column = CONTRASTS.index(contrast)
    size = max(max(ids) for ids in _TISSUES.values()) + 1
    mean = np.full(size, np.nan, np.float32)
    texture = np.full(size, 0.015, np.float32)
    for tissue, ids in _TISSUES.items():
        # Scanners and subjects differ a little.
        mean[list(ids)] = _MEANS[tissue][column] * rng.uniform(0.97, 1.03)
        texture[list(ids)] = _TEXTURE.get(tissue, 0.015)
    unknown = [int(v) for v in np.unique(labels) if not 0 <= v < size or np.isnan(mean[v])]
    if unknown:
        raise ValueError(
            f"`labels` must be those of head_phantom (see PHANTOM_TABLE). Received: {unknown}"
        )
    image, amount = mean[labels], texture[labels]
    skull = (labels == 165).astype(np.float32)
    # The middle of thick bone is marrow, which is bright in MRI.
    marrow = ndimage.gaussian_filter(skull, 1.4 / spacing) > 0.8
    image[marrow] = _MEANS["marrow"][column]
    amount[marrow] = _TEXTURE["marrow"]
    grain = ndimage.gaussian_filter(rng.standard_normal(labels.shape, np.float32), 1.2 / spacing)
    return image + amount * grain / grain.std()


def _smooth_field(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth field of zero mean and unit standard deviation, from four points per axis."""
    coarse = rng.standard_normal((4,) * len(shape), np.float32)
    grid = [np.linspace(0.5, 2.5, n, dtype=np.float32) for n in shape]
    field = coarse
    for axis, positions in enumerate(grid):
        # Interpolate along one axis after the other, with cosine weights.
        low = np.minimum(positions.astype(int), 2)
        weight = (1 - np.cos(np.pi * (positions - low))) / 2
        weight = weight.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        field = np.take(field, low, axis) * (1 - weight) + np.take(field, low + 1, axis) * weight
    return (field - field.mean()) / max(float(field.std()), 1e-6)
