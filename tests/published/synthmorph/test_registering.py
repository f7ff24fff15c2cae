"""SynthMorph from two scans to transforms: what the original computes, and each of its rules."""

import keras
import nibabel as nib
import numpy as np
import pytest

from synthtf.data.volumes import Volume, read_volume
from synthtf.interop import load_synthmorph_deformable, load_synthmorph_detector, read_transform
from synthtf.published.synthmorph.registering import Networks, register

ORACLES = "oracles/published/synthmorph"
CASES = {
    "affine": ("affine", {}),
    "rigid": ("rigid", {}),
    "deform": ("deform", {}),
    "deform_lambda09_steps5": ("deform", {"steps": 5}),
    "joint": ("joint", {}),
    "deform_init_midspace": ("deform", {"mid_space": True}),
}


@pytest.fixture(scope="module")
def networks():
    """Weights that have been read, by model and regularisation."""
    return {}


def networks_of(folder, known, model, regularization):
    if (model, regularization) not in known:
        name = "rigid.1" if model == "rigid" else "affine.2"
        detector = None if model == "deform" else f"{folder}/synthmorph.{name}.h5"
        deformable = f"{folder}/synthmorph.deform.3.h5" if model in ("deform", "joint") else None
        known[model, regularization] = Networks(
            detector and load_synthmorph_detector(detector),
            deformable and load_synthmorph_deformable(deformable, regularization),
        )
    return known[model, regularization]


@pytest.mark.parametrize("case", CASES)
def test_the_original_gives_the_same(shared, networks, case):
    folder = shared(ORACLES)
    model, options = CASES[case]
    if options.get("mid_space"):
        init = read_transform(folder / "affine_trans.lta").inverse().matrix
        options = {**options, "init": init}
    found = register(
        read_volume(folder / "moving.nii.gz"),
        read_volume(folder / "fixed.nii.gz"),
        networks_of(folder, networks, model, 0.9 if "lambda09" in case else 0.5),
        model,
        extent=64,
        **options,
    )
    for direction, trans, moved in (
        (found.forward, "trans", "moved"),
        (found.inverse, "inverse", "fixed_moved"),
    ):
        if direction.is_affine:
            matrix = np.loadtxt(folder / f"{case}_{trans}_matrix.txt")
            np.testing.assert_allclose(np.linalg.inv(direction.world), matrix, atol=1e-4)
        else:
            field = np.load(folder / f"{case}_{trans}.npz")["every_second_voxel"]
            np.testing.assert_allclose(direction.field()[::2, ::2, ::2], field, atol=1e-3)
        image = nib.load(folder / f"{case}_{moved}.nii.gz").get_fdata()
        close = np.abs(direction.moved() - image) < 1e-3 * np.ptp(image)
        assert close.mean() > 0.999


def blobs(places, shift=(0, 0, 0), shape=(30, 32, 34)):
    """An image with a bright voxel block per place, each of its own intensity."""
    data = np.zeros(shape, "float32")
    for number, place in enumerate(np.asarray(places) + shift):
        x, y, z = place.astype(int)
        data[x : x + 2, y : y + 2, z : z + 2] = number + 1
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = -np.array(shape) / 2
    return Volume(data, affine)


@keras.saving.register_keras_serializable(package="tests")
class Bands(keras.layers.Layer):
    """A feature map for each band of intensities: a detector that needs no training."""

    def call(self, image):
        levels = keras.ops.arange(1, 7, dtype="float32") / 6
        maps = keras.ops.relu(0.1 - keras.ops.abs(image - levels))
        return keras.ops.where(image > 0.05, maps, 0)


def detector():
    image = keras.Input((None, None, None, 1))
    return keras.Model(image, Bands()(keras.layers.MaxPooling3D(1)(image)))


PLACES = np.array([[4, 6, 8], [20, 8, 10], [8, 22, 6], [14, 10, 24], [22, 20, 20], [10, 16, 14]])


@pytest.mark.parametrize("model", ["affine", "rigid"])
def test_a_shift_is_found_both_ways(model):
    moving, fixed = blobs(PLACES, (4, -2, 2)), blobs(PLACES)
    found = register(moving, fixed, Networks(detector()), model, extent=64)
    np.testing.assert_allclose(found.forward.world[:3, 3], [4, -2, 2], atol=1e-3)
    np.testing.assert_allclose(found.forward.world[:3, :3], np.eye(3), atol=1e-3)
    np.testing.assert_allclose(found.forward.world @ found.inverse.world, np.eye(4), atol=1e-6)
    assert np.abs(found.forward.moved() - fixed.data).mean() < 1e-2


def velocity(value=0.0):
    """A network that gives one velocity, whose sign says which image has more in it."""
    pair = keras.Input((None, None, None, 2))
    first, second = pair[..., :1], pair[..., 1:]
    sign = keras.ops.sign(keras.ops.sum(first - second, axis=(1, 2, 3), keepdims=True))
    field = keras.ops.zeros_like(first) + value * sign
    return keras.Model(pair, keras.layers.Concatenate()([field] * 3))


def test_a_constant_velocity_is_a_shift_by_twice_as_many_voxels():
    moving, fixed = blobs(PLACES), blobs(PLACES[:3])
    found = register(moving, fixed, Networks(None, velocity(1.5)), "deform", extent=64)
    # The network's axes point to the left, down and to the front.
    for direction, sign in ((found.forward, 1), (found.inverse, -1)):
        field = direction.field()
        inner = field[4:-4, 4:-4, 4:-4]
        np.testing.assert_allclose(
            inner, np.broadcast_to([-3 * sign, 3 * sign, -3 * sign], inner.shape), atol=1e-3
        )
        assert field.dtype == "float32"


def test_joint_registration_without_deformation_is_affine():
    moving, fixed = blobs(PLACES, (4, -2, 2)), blobs(PLACES)
    found = register(moving, fixed, Networks(detector(), velocity()), "joint", extent=64)
    # Half of the resolution twice: a voxel of the finer grid off.
    field = found.forward.field()
    np.testing.assert_allclose(field, np.broadcast_to([4, -2, 2], field.shape), atol=0.3)
    back = found.inverse.field()
    np.testing.assert_allclose(back, np.broadcast_to([-4, 2, -2], back.shape), atol=0.3)


def test_centres_do_not_matter_but_to_a_deformation():
    moving, fixed = blobs(PLACES), blobs(PLACES)
    far = np.eye(4)
    far[:3, 3] = 50, 0, 0
    moving = Volume(moving.data, far @ moving.affine)
    found = register(moving, fixed, Networks(detector()), "affine", extent=64)
    np.testing.assert_allclose(found.forward.world[:3, 3], [50, 0, 0], atol=1e-3)
    with pytest.raises(ValueError, match="has no contrast within 64 mm about the centre"):
        register(moving, fixed, Networks(None, velocity()), "deform", extent=64)
    start = register(
        moving, fixed, Networks(None, velocity()), "deform", extent=64, init=np.linalg.inv(far)
    )
    field = start.forward.field()
    np.testing.assert_allclose(field, np.broadcast_to([50, 0, 0], field.shape), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "other"}, "`model` must be one of"),
        ({"steps": 4}, "`steps` must be at least 5. Received: steps=4"),
        ({"mid_space": True}, "`mid_space` needs `init`"),
        ({"model": "deform"}, "must have a deformable for model='deform'"),
        ({"extent": 62}, "`extent` must be a multiple of 4 .* Received: extent=62"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    image = blobs(PLACES)
    arguments = {"model": "affine", "extent": 64, **arguments}
    with pytest.raises(ValueError, match=message):
        register(image, image, Networks(detector()), **arguments)


def test_scans_that_cannot_be_registered():
    image = blobs(PLACES)
    flat = Volume(np.ones((8, 8, 8), "float32"), np.eye(4))
    frames = Volume(np.ones((8, 8, 8, 2), "float32"), np.eye(4), ndim=3)
    empty = Volume(np.zeros((8, 8, 8), "float32"), np.eye(4))
    for scan, message in (
        (frames, "of three axes and one frame"),
        (empty, "has no contrast"),
        (flat, "too few common features"),
    ):
        with pytest.raises(ValueError, match=message):
            register(scan, image, Networks(detector()), "affine", extent=64)
