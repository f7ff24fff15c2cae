"""Pure tensor functions on `keras.ops`, for any number of spatial axes."""

from synthtf.ops.affine import affine_matrix, fit_affine, homogeneous, in_voxels, invert_affine
from synthtf.ops.demons import demons_step
from synthtf.ops.distance import close_region, distance_to, signed_distance
from synthtf.ops.fields import (
    compose,
    dense_displacement,
    integrate_velocity,
    jacobian_determinant,
)
from synthtf.ops.labels import barycenter, label_index, label_shares, map_labels, one_hot
from synthtf.ops.linear import apply_along_axes, blur_matrix, resample_matrix, upsample_matrix
from synthtf.ops.noise import (
    fractal_noise,
    gaussian_noise,
    normalize,
    perlin_noise,
    smooth_noise,
    upsample_lattice,
    value_noise,
)
from synthtf.ops.resampling import resample

__all__ = [
    "affine_matrix",
    "apply_along_axes",
    "barycenter",
    "blur_matrix",
    "close_region",
    "compose",
    "demons_step",
    "dense_displacement",
    "distance_to",
    "fit_affine",
    "fractal_noise",
    "gaussian_noise",
    "homogeneous",
    "in_voxels",
    "integrate_velocity",
    "invert_affine",
    "jacobian_determinant",
    "label_index",
    "label_shares",
    "map_labels",
    "normalize",
    "one_hot",
    "perlin_noise",
    "resample",
    "resample_matrix",
    "signed_distance",
    "smooth_noise",
    "upsample_lattice",
    "upsample_matrix",
    "value_noise",
]
