import dataclasses
import json

import pytest

from synthtf.synthesis import SynthesisConfig
from synthtf.synthesis.config import PRESETS, Bias, Intensity


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name, tmp_path):
    config = SynthesisConfig.preset(name)
    config.save(tmp_path / "recipe.json")
    assert SynthesisConfig.load(tmp_path / "recipe.json") == config


def test_defaults_are_the_starter_ranges_of_the_tutorial():
    config = SynthesisConfig()
    assert config.affine.translation == (-30, 30) and config.affine.rotation == (-30, 30)
    assert config.affine.scaling == (0.9, 1.1) and config.affine.shear == (-0.1, 0.1)
    assert config.warp.strength == (0, 20) and config.warp.control_points == (2, 16)
    assert config.field_of_view.proportion == (0, 0.2)
    assert config.bias.drop == (0, 0.5) and config.bias.control_points == (2, 4)
    assert config.blur.std == (0, 2) and config.noise.std == (0, 0.1)
    assert config.gamma.gamma == (0.5, 1.5) and config.resolution.factor == (1, 4)


def test_scalars_are_constants():
    assert Bias(drop=0.3).drop == (0.3, 0.3)


def test_extremes_are_the_upper_bounds():
    config = SynthesisConfig.preset("heads").extremes()
    assert config.blur.std == (1.5, 1.5) and config.affine.rotation == (15, 15)
    assert config.flip.probability == 0.5


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"blurr": {}}', "unknown name 'blurr'"),
        ('{"blur": {"sd": [0, 1]}}', "unknown name 'sd'"),
        ('{"blur": {"std": [2, 1]}}', "low <= high"),
        ('{"bias": {"drop": [0, 2]}}', "bias.drop.* must lie in"),
        ('{"blur": [0, 1]}', "must be an object"),
        ("[1]", "expected an object"),
        ("{", "not JSON"),
    ],
)
def test_faults_are_named(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        SynthesisConfig.from_json(text)
    path = tmp_path / "bad recipe.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad recipe\.json"):
        SynthesisConfig.load(path)


def test_share_and_preset_are_checked():
    with pytest.raises(ValueError, match="share"):
        Intensity(share="all")
    with pytest.raises(ValueError, match="tutorial"):
        SynthesisConfig.preset("freesurfer")


def test_what_is_left_out_keeps_its_default():
    config = SynthesisConfig.from_json(json.dumps({"noise": {"std": 0}}))
    assert dataclasses.replace(config, noise=SynthesisConfig().noise) == SynthesisConfig()
