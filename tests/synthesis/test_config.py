import dataclasses
import json

import numpy as np
import pytest
from scipy.ndimage import zoom
from synthtf.synthesis.blocks import Bias, Intensity

from synthtf.data.shipped_models import shipped_recipes
from synthtf.layers import RandomWarp
from synthtf.synthesis import SynthesisConfig
from synthtf.testing import make_keys, run


@pytest.mark.parametrize("name", shipped_recipes())
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


@pytest.mark.parametrize("name", ["synthmorph-brains", "synthmorph-shapes"])
def test_synthmorph_deforms_and_leaves_the_pose_alone(name):
    config = SynthesisConfig.preset(name)
    blocks = ("affine", "flip", "field_of_view", "noise", "resolution", "thick_slices")
    for block in (*blocks, "cleared_slices", "skull_strip"):
        assert getattr(config, block).probability == 0
    assert config.warp.diffeomorphic and config.warp.integration_steps == 5
    assert config.bias.form == "exponential" and config.bias.std == (0, 0.3)
    assert config.blur.std == (0, 1) and config.intensity.background_probability == 0.8
    np.testing.assert_allclose(np.multiply(config.intensity.mean, 255), (25, 225), rtol=1e-4)
    np.testing.assert_allclose(np.multiply(config.intensity.std, 255), (5, 25), rtol=1e-4)
    # The log of a uniform exponent is as wide as N(0, 0.25²).
    exponents = np.linspace(*config.gamma.gamma, 1000)
    np.testing.assert_allclose(np.std(np.log(exponents)), 0.25, rtol=0.03)


def test_velocities_of_synthmorph_are_as_strong_as_published():
    """Root mean square over samples, against lattices of N(0, SD²), interpolated linearly."""
    shape, keys = (160, 160, 160), make_keys(3)
    for name, std, scales in (("brains", 1.0, (16,)), ("shapes", 6.0, (8, 16, 32))):
        block = dataclasses.asdict(SynthesisConfig.preset(f"synthmorph-{name}").warp)
        block |= {"diffeomorphic": False, "full_resolution": False}
        strongest = RandomWarp(**block | {"strength": block["strength"][1]})
        field = run(strongest, (np.zeros((3, *shape, 1), "int8"), keys))[0]
        # A uniform factor leaves a third of the square, here and in the published SDs.
        expected = 0
        for scale in scales:
            lattice = np.random.default_rng(0).normal(0, std, (160 // scale,) * 3)
            expected += np.mean(zoom(lattice, 4, order=1) ** 2)
        np.testing.assert_allclose(np.std(field), np.sqrt(expected), rtol=0.15)


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


def test_a_block_may_be_the_dict_of_its_values():
    config = SynthesisConfig(blur={"std": (0, 1)})
    assert config == SynthesisConfig.from_dict({"blur": {"std": (0, 1)}})
    assert config.blur.std == (0, 1) and config.blur.probability == 1
    with pytest.raises(ValueError, match="unknown name 'sd'"):
        SynthesisConfig(blur={"sd": 1})
    with pytest.raises(ValueError, match=r"`blur` must be a `blocks.Blur` or a dict.*Received: b"):
        SynthesisConfig(blur=(0, 1))
