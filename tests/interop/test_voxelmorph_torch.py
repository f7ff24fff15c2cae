"""Weights of VoxelMorph's PyTorch package, and its layers as a second opinion on ours."""

import warnings
import zipfile

import numpy as np
import pytest
from keras import ops
from torch_files import save

from synthtf.interop import load_voxelmorph_torch
from synthtf.layers import IntegrateVelocity, Resample


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def voxelmorph(torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("voxelmorph", minversion="0.3.4")


FEATURES = ([4, 5, 6], [6, 5, 4])


def make_torch_model(torch, voxelmorph, ndim, features=FEATURES, steps=5):
    torch.manual_seed(0)
    model = voxelmorph.nn.models.VxmPairwise(
        ndim, 1, 1, nb_features=features, integration_steps=steps
    )
    torch.nn.init.normal_(model.flow_layer.conv0.weight, std=0.2)
    return model.eval()


def make_images(ndim):
    shape = (2, 1, *(16, 24, 16)[:ndim], 1)
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def to_torch(x):
    import torch

    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def to_numpy(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def inside(x, margin):
    return x[(slice(None), *[slice(margin, -margin)] * (x.ndim - 2))]


@pytest.mark.parametrize("features", [FEATURES, [3, 4]], ids=str)
@pytest.mark.parametrize("ndim", [2, 3])
def test_state_dict(torch, voxelmorph, tmp_path, ndim, features):
    theirs = make_torch_model(torch, voxelmorph, ndim, features)
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    ours = load_voxelmorph_torch(tmp_path / "weights.pt")
    moving, fixed = make_images(ndim)
    outputs = ours.predict_on_batch({"moving": moving, "fixed": fixed})
    pair = to_torch(moving), to_torch(fixed)
    velocity = to_numpy(theirs(*pair, return_field_type="velocity"))
    assert np.abs(velocity).max() > 0.1
    np.testing.assert_allclose(outputs["velocity"], velocity, atol=1e-4)
    # Where a path leaves the field of view the two packages differ.
    displacement = to_numpy(theirs(*pair))
    margin = 2 + int(np.ceil(np.abs(displacement).max()))
    assert 2 * margin < min(displacement.shape[1:-1])
    np.testing.assert_allclose(
        inside(outputs["displacement"], margin), inside(displacement, margin), atol=1e-4
    )
    np.testing.assert_allclose(
        inside(outputs["inverse"], margin),
        inside(to_numpy(theirs.velocity_field_integrator(-to_torch(velocity))), margin),
        atol=1e-4,
    )


@pytest.mark.parametrize("ndim", [2, 3])
def test_layers_agree(voxelmorph, ndim):
    generator = np.random.default_rng(0)
    shape = (2, *(12, 14, 10)[:ndim])
    field = generator.uniform(-1, 1, (*shape, ndim)).astype("float32")
    image = generator.uniform(size=(*shape, 1)).astype("float32")
    theirs = voxelmorph.nn.functional.integrate_vec(to_torch(field), 5, non_spatial_dims=(0,))
    ours = ops.convert_to_numpy(IntegrateVelocity(5)(field))
    np.testing.assert_allclose(inside(ours, 3), inside(to_numpy(theirs), 3), atol=1e-4)
    moved = voxelmorph.nn.modules.SpatialTransformer()(to_torch(image), to_torch(field))
    ours = ops.convert_to_numpy(Resample()(image, field))
    np.testing.assert_allclose(inside(ours, 2), inside(to_numpy(moved), 2), atol=1e-4)


def make_state(**changes):
    """The state dict of a network of one level, written out independently of both packages."""
    shapes = {
        "model.downsampling_conv_blocks.0.conv_block.conv0": (3, 2, 3, 3),
        "model.lowest_resolution_conv_block.conv0": (3, 3, 3, 3),
        "model.upsampling_conv_blocks.0.conv_block.conv0": (3, 6, 3, 3),
        "model.out_layer.conv0": (2, 3, 1, 1),
        "flow_layer.conv0": (2, 2, 3, 3),
    }
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = np.ones(shape, "float32")
        state[f"{name}.bias"] = np.ones(shape[0], "float32")
    for name, value in changes.items():
        state[name.replace("__", ".")] = value
    return {name: value for name, value in state.items() if value is not None}


def test_smallest_network(tmp_path):
    save(tmp_path / "weights.pt", make_state())
    model = load_voxelmorph_torch(tmp_path / "weights.pt", integration_steps=2)
    assert model.get_layer("displacement").steps == 2
    images = np.zeros((2, 1, 4, 6, 1), "float32")
    outputs = model.predict_on_batch({"moving": images[0], "fixed": images[1]})
    assert outputs["velocity"].shape == outputs["displacement"].shape == (1, 4, 6, 2)


FLOW = "flow_layer__conv0__weight"
BREAKS = {
    "missing": ({FLOW: None}, "lacks the tensor flow_layer.conv0/weight"),
    "missing bias": (
        {"flow_layer__conv0__bias": None},
        r"lacks the tensor flow_layer.conv0/bias, of shape \(2,\)",
    ),
    "extra": ({"other__weight": np.ones(3, "float32")}, "holds the tensor other/weight, which"),
    "shape": (
        {FLOW: np.ones((2, 2, 5, 5), "float32")},
        r"flow_layer.conv0/weight has the shape \(2, 2, 5, 5\), but",
    ),
    "axes": ({FLOW: np.ones((2, 2, 3), "float32")}, "must have kernels of a 2D or a 3D network"),
    "integers": (
        {FLOW: np.ones((2, 2, 3, 3), "int32")},
        "must be a floating-point tensor",
    ),
    "no tensor": ({FLOW: [1.0]}, "'flow_layer.conv0.weight' must be a floating-point tensor"),
    "not finite": ({FLOW: np.full((2, 2, 3, 3), np.nan, "float32")}, "must be finite"),
    "far level": (
        {
            "model__downsampling_conv_blocks__99999999999__conv_block__conv0__weight": np.ones(
                1, "float32"
            )
        },
        "lacks the tensor model.downsampling_conv_blocks.1.conv_block.conv0/weight",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_broken_files_are_refused(tmp_path, changes, message):
    path = tmp_path / "weights.pt"
    save(path, make_state(**changes))
    with pytest.raises(ValueError, match=message) as error:
        load_voxelmorph_torch(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "weights.pt"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_voxelmorph_torch(path)
    path.write_text("not at all")
    with pytest.raises(ValueError, match="is not a file of PyTorch weights"):
        load_voxelmorph_torch(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(ValueError, match="is not a file of PyTorch weights"):
        load_voxelmorph_torch(path)
    save(path, {"a": np.ones(3, "float32")}, wrap=lambda state: state["a"])
    with pytest.raises(ValueError, match=r"must hold the state dict of a model. Received: Tensor"):
        load_voxelmorph_torch(path)
