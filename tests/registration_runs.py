"""Runs whose networks need no training: what they find can be computed."""

import keras
import numpy as np
from keras import layers

from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.layers import IntegrateVelocity, UpsampleField
from synthtf.networks import joint_registration
from synthtf.networks.detectors import FitTransform
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

SHAPE, SPACING = (80, 88, 80), 2.0
CENTRES = np.linspace(0.2, 1, 9, dtype="float32")


def affine_network(kind="affine"):
    """A detector of balls by their brightness, which move with the image whatever the transform.

    Edges, which interpolation gives the brightness of other balls, are thinner than three voxels.
    """
    moving, fixed = (keras.Input((None, None, None, 1), name=n) for n in ("moving", "fixed"))
    images = layers.Concatenate(axis=0)([moving, fixed])
    maps = keras.ops.relu(1 - 40 * keras.ops.abs(images - CENTRES))
    maps = -layers.MaxPooling3D(3, strides=1, padding="same")(-maps)
    maps = layers.AveragePooling3D(2, name="features")(maps)
    matrix = FitTransform(kind, name="fit")([maps, images])
    outputs = {"affine": matrix, "inverse": keras.ops.linalg.inv(matrix)}
    return keras.Model({"moving": moving, "fixed": fixed}, outputs, name="affine_registration")


def shifting_network(shift):
    """A velocity that is the same everywhere, in voxels of half the resolution."""
    names = ("moving", "fixed", "regularization")
    inputs = {n: keras.Input((None,) * 3 + (1,), name=n) for n in names[:2]}
    inputs["regularization"] = keras.Input((1,), name="regularization")
    zero = 0.0 * layers.AveragePooling3D(2)(layers.Add()(list(inputs.values())[:2]))
    strength = keras.ops.reshape(inputs["regularization"], (-1, 1, 1, 1, 1))
    velocity = (zero + np.asarray(shift, "float32")) * strength * 2
    outputs = {"velocity": velocity}
    for name, sign in (("displacement", 1.0), ("inverse", -1.0)):
        outputs[name] = UpsampleField(2)(IntegrateVelocity()(sign * velocity))
    return keras.Model(inputs, outputs, name="registration")


def write_run(folder, kind, shift=(1.0, 0.0, 0.0)):
    """A run of a kind, whose deformable network shifts by `shift` at a λ of 0.5."""
    facts = {
        "task": "registration",
        "kind": kind,
        "shape": list(SHAPE),
        "spacing": [SPACING] * 3,
        "multiple": 4,
        "output_labels": [0, 1],
    }
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe.preset("tutorial"), facts)
    if kind == "deformable":
        run.save_model(shifting_network(shift))
    elif kind == "joint":
        run.save_model(joint_registration(affine_network(), shifting_network(shift)))
    else:
        run.save_model(affine_network(kind))
    return run


def scan(transform=None, spacing=(2.0, 2.0, 2.0), shape=(80, 88, 80), axes="RAS"):
    """A head of balls, each of its own brightness; a point p of it lies at transform(p)."""
    corners = np.stack(np.meshgrid(*[(-26, 26)] * 3, indexing="ij"), -1).reshape(-1, 3)
    points = np.concatenate([corners, [[0, 6, 0]]])
    affine = np.diag([*spacing, 1.0])
    for axis, code in enumerate(axes):
        affine[axis, axis] *= 1 if code in "RAS" else -1
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = grid @ affine[:3, :3].T + affine[:3, 3]
    if transform is not None:
        world = transform.inverse()(world)
    image = np.zeros(shape)
    # The brightest is the largest, so that percentiles find its brightness.
    for point, height in zip(points, CENTRES, strict=True):
        image[np.linalg.norm(world - point, axis=-1) < (24 if height == 1 else 14)] = height
    return Volume(image.astype("float32"), affine)
