import ast
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.networks import (
    DetectorConfig,
    RegistrationConfig,
    UNetConfig,
    affine_detector,
    class_weights,
    detector,
    has_competing_features,
    has_features,
    has_mixture,
    joined_networks,
    joint_registration,
    registration_unet,
    unet,
    with_features,
    with_logits,
)

PACKAGE = Path(__file__).resolve().parents[2] / "synthtf"
TINY = UNetConfig(4, 2)
MIXED = UNetConfig(4, 2, mixture_channels=1)
IMAGE = np.random.default_rng(0).uniform(size=(1, 8, 8, 1)).astype("float32")
# Published names are a file format, which `interop` reads.
MAY_NAME_LAYERS = ("networks", "interop")
LAYERS = (
    *("logits", "structure_logits", "prior_logits", "side_logit", "mixture_voxels"),
    *("affine_registration",),
)
# Of layers as well; elsewhere they name options, tasks and outputs, which they may.
WORDS = ("features", "detector", "registration")
# An output of what `with_logits` gives.
NO_LAYERS = {("tasks/segmenting/model.py", "logits")}


def test_logits_are_those_of_the_posteriors():
    network = unet(3, 2, TINY)
    found = with_logits(network).predict_on_batch(IMAGE)
    np.testing.assert_array_equal(found["posteriors"], network.predict_on_batch(IMAGE))
    softmax = np.exp(found["logits"]) / np.exp(found["logits"]).sum(-1, keepdims=True)
    np.testing.assert_allclose(softmax, found["posteriors"], atol=1e-5)
    plain = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match="must have a layer"):
        with_logits(plain)


@pytest.mark.parametrize("mixture", [0, 1])
@pytest.mark.parametrize("pairs", [(), [(1, 2)]])
def test_weights_of_the_classes_permute_the_classes(mixture, pairs):
    network = unet(4, 2, UNetConfig(4, 2, mixture_channels=mixture), pairs=pairs)
    assert has_mixture(network) == bool(mixture)
    order = [0, 2, 1, 3]
    before = network.predict_on_batch(IMAGE)
    chosen = {id(weight) for weight in class_weights(network)}
    values = [
        value[..., order] if id(weight) in chosen else value
        for weight, value in zip(network.weights, network.get_weights(), strict=True)
    ]
    network.set_weights(values)
    np.testing.assert_allclose(network.predict_on_batch(IMAGE), before[..., order], atol=1e-6)


def test_parts_of_a_registration():
    affine = affine_detector(2, "affine", DetectorConfig(4, MIXED, halve=False))
    other = affine_detector(2, "affine", DetectorConfig(4, TINY, halve=False, competing=False))
    options = {"encoder": (4,), "decoder": (4, 4)}
    deformable = registration_unet(2, RegistrationConfig(**options))
    assert has_features(affine) and not has_features(deformable)
    assert has_competing_features(affine) and not has_competing_features(other)
    assert detector(affine).output.shape[-1] == 4 and detector(deformable) is None
    pair = {"moving": IMAGE, "fixed": IMAGE[:, ::-1]}
    found = with_features(affine).predict_on_batch(pair)
    both = np.concatenate([IMAGE, IMAGE[:, ::-1]])
    expected = detector(affine).predict_on_batch(both)
    np.testing.assert_allclose(found["features"], expected, atol=1e-6)
    with pytest.raises(ValueError, match="must have a detector of features"):
        with_features(deformable)
    assert joined_networks(joint_registration(affine, deformable)) == (affine, deformable)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_no_other_file_names_a_layer_of_a_network(path):
    """Layers of a synthesis are named by its recipe, and may be."""
    part = path.relative_to(PACKAGE)
    if part.parts[0] in MAY_NAME_LAYERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and node.value in LAYERS:
            assert (part.as_posix(), node.value) in NO_LAYERS, node.lineno
        if isinstance(node, ast.Attribute):
            assert node.attr != "get_layer", node.lineno
        if isinstance(node, ast.Compare):
            inside = list(ast.walk(node))
            named = any(isinstance(n, ast.Attribute) and n.attr == "name" for n in inside)
            assert not named or not any(
                isinstance(n, ast.Constant) and n.value in (*LAYERS, *WORDS) for n in inside
            ), node.lineno
