"""What the blocks of a recipe promise: the arguments of their layers, off unless asked for."""

import dataclasses
import inspect

import pytest

from synthtf import layers
from synthtf.synthesis import SynthesisConfig, blocks

# Blocks whose layers are not called as they are.
LAYERS = {
    "Bias": "RandomBiasField",
    "ThickSlices": "RandomResolution",
    "SkullStrip": "RandomMask",
    "Signal": "SignalModel",
}
# Arguments that a recipe looks up in the label table, or that `labels_to_image` reads itself.
FROM_THE_TABLE = {
    "Intensity": {"share"},
    "FieldOfView": {"labels"},
    "Erosion": {"regions"},
    "Structures": {"regions", "removal_probability"},
    "Subdivision": {"regions"},
    "Atrophy": {"regions"},
    "ChemicalShift": {"labels"},
}
# Blocks without a probability, and steps of the tutorial, which are on.
ALWAYS = {"source", "shapes", "spheres", "vessels", "intensity"}
ON = {"affine", "warp", "field_of_view", "bias", "blur", "noise", "gamma", "resolution"}


# Blocks whose ranges are the recipe's.
OWN_RANGES = {
    *("Affine", "Warp", "FieldOfView", "Bias", "Blur", "Noise", "Gamma", "Resolution"),
    *("Intensity", "ThickSlices", "Window"),
}


def layer_of(block):
    return getattr(layers, LAYERS.get(block, f"Random{block}"))


# Which layer makes the label maps is no argument of any.
NAMES = [name for name in blocks.__all__ if name != "Source"]


@pytest.mark.parametrize("name", NAMES)
def test_a_block_has_arguments_of_its_layer(name):
    parameters = inspect.signature(layer_of(name)).parameters
    for field in dataclasses.fields(getattr(blocks, name)):
        if field.name not in FROM_THE_TABLE.get(name, ()) and field.name != "probability":
            assert field.name in parameters


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OWN_RANGES])
def test_what_is_off_has_the_defaults_of_its_layer(name):
    block = getattr(blocks, name)()
    parameters = inspect.signature(layer_of(name)).parameters
    own = {"probability", *FROM_THE_TABLE.get(name, ())}
    shared = [f.name for f in dataclasses.fields(block) if f.name in parameters]
    defaults = {n: parameters[n].default for n in shared if n not in own}
    given = {n: v for n, v in defaults.items() if v is not inspect.Parameter.empty}
    assert type(block)(**given) == block


def test_steps_are_off_unless_the_tutorial_has_them():
    for field in dataclasses.fields(SynthesisConfig):
        probability = getattr(getattr(SynthesisConfig(), field.name), "probability", 1)
        assert (probability > 0) == (field.name in {*ON, *ALWAYS})


@pytest.mark.parametrize(
    "block, arguments, message",
    [
        (blocks.Structures, {"regions": "left"}, "structures.regions` must be a list of names"),
        (blocks.Lesions, {"within": [2.5]}, "lesions.within` must be a list of whole numbers"),
        (blocks.Lesions, {"lesion_label": True}, "must be a whole number"),
        (blocks.Clip, {"probability": 1.5}, r"must lie in \[0, 1\]"),
        (blocks.Zipper, {"width": (4, 1)}, "low <= high"),
    ],
)
def test_faults_are_named(block, arguments, message):
    with pytest.raises(ValueError, match=message):
        block(**arguments)
