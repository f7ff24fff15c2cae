"""What users may choose, and what is taken where they do not; light, for the command line."""

MODELS = ("joint", "deform", "affine", "rigid")
"""What can be done, first by default; joint is affine, then deformable."""

EXTENT = 256
"""Voxels per axis of the cube that the networks see, 1 mm each."""

METHODS = ("linear", "nearest")
"""How an image that is moved is interpolated, first by default."""

TYPES = ("uint8", "uint16", "int16", "int32", "float32")
"""Types of numbers that a moved image may be stored in; the last by default."""
