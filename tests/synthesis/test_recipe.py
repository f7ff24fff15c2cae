import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from scipy.ndimage import zoom

from synthtf import layers
from synthtf.data.shipped_models import shipped_recipes
from synthtf.layers import (
    RandomAffine,
    RandomBiasField,
    RandomBlur,
    RandomFieldOfView,
    RandomGamma,
    RandomIntensity,
    RandomNoise,
    RandomResolution,
    RandomWarp,
)
from synthtf.synthesis import Recipe
from synthtf.testing import make_keys, run


@keras.saving.register_keras_serializable(package="tests_of_recipes")
class RandomNegative(layers.RandomLayer):
    """A layer of another package."""

    def transform(self, inputs, draws):
        return 1.0 - inputs

    def draw(self, key, shape):
        return {}


def tutorial():
    return Recipe.preset("tutorial")


@pytest.mark.parametrize("name", shipped_recipes())
def test_json_round_trip(name, tmp_path):
    recipe = Recipe.preset(name)
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == recipe
    # A recipe file holds nothing that is a default.
    for entry in recipe.entries():
        defaults = getattr(layers, entry["layer"]).arguments()
        for argument, value in entry.items():
            if argument in defaults and defaults[argument].default is not inspect.Parameter.empty:
                default = defaults[argument].parse(defaults[argument].default)
                assert defaults[argument].parse(value) != default, (name, entry["layer"], argument)


def test_the_tutorial_is_its_layers_as_they_are():
    steps = [
        RandomAffine(),
        RandomWarp(),
        RandomFieldOfView(),
        RandomIntensity(),
        RandomBiasField(),
        RandomBlur(),
        RandomNoise(),
        RandomGamma(),
        RandomResolution(),
    ]
    assert Recipe(steps) == tutorial()
    assert tutorial()["affine"].translation == (-30, 30)
    assert tutorial()["resolution"].factor == (1, 4)


@pytest.mark.parametrize("name", ["synthmorph-brains", "synthmorph-shapes"])
def test_synthmorph_deforms_and_leaves_the_pose_alone(name):
    recipe = Recipe.preset(name)
    assert recipe.names == ("warp", "intensity", "bias", "blur", "gamma")
    assert recipe["warp"].diffeomorphic and recipe["warp"].integration_steps == 5
    assert recipe["bias"].form == "exponential" and recipe["bias"].std == (0, 0.3)
    assert recipe["blur"].std == (0, 1) and recipe["intensity"].background_probability == 0.8
    np.testing.assert_allclose(np.multiply(recipe["intensity"].mean, 255), (25, 225), rtol=1e-4)
    np.testing.assert_allclose(np.multiply(recipe["intensity"].std, 255), (5, 25), rtol=1e-4)
    # The log of a uniform exponent is as wide as N(0, 0.25²).
    exponents = np.linspace(*recipe["gamma"].gamma, 1000)
    np.testing.assert_allclose(np.std(np.log(exponents)), 0.25, rtol=0.03)


def test_velocities_of_synthmorph_are_as_strong_as_published():
    """Root mean square over samples, against lattices of N(0, SD²), interpolated linearly."""
    shape, keys = (160, 160, 160), make_keys(3)
    for name, std, scales in (("brains", 1.0, (16,)), ("shapes", 6.0, (8, 16, 32))):
        config = Recipe.preset(f"synthmorph-{name}")["warp"].get_config()
        config |= {"diffeomorphic": False, "full_resolution": False}
        strongest = RandomWarp.from_config(config | {"strength": config["strength"][1]})
        field = run(strongest, (np.zeros((3, *shape, 1), "int8"), keys))[0]
        # A uniform factor leaves a third of the square, here and in the published SDs.
        expected = 0
        for scale in scales:
            lattice = np.random.default_rng(0).normal(0, std, (160 // scale,) * 3)
            expected += np.mean(zoom(lattice, 4, order=1) ** 2)
        np.testing.assert_allclose(np.std(field), np.sqrt(expected), rtol=0.15)


def test_steps_are_changed_and_left_out():
    recipe = tutorial().change("blur", std=1).without("gamma", "noise")
    assert recipe["blur"].std == (1, 1) and tutorial()["blur"].std == (0, 2)
    assert "gamma" not in recipe and len(recipe) == len(tutorial()) - 2
    assert Recipe([*recipe, RandomGamma(name="last")]).names[-1] == "last"
    with pytest.raises(ValueError, match=r"no step `blurr` \(did you mean 'blur'\?\)"):
        tutorial().without("blurr")
    with pytest.raises(ValueError, match=r"no argument `sd` \(did you mean 'std'\?\)"):
        tutorial().change("blur", sd=1)


def test_extremes_are_the_upper_bounds():
    recipe = Recipe.preset("heads").extremes()
    assert recipe["blur"].std == (1.5, 1.5) and recipe["affine"].rotation == (15, 15)
    assert recipe["flip"].probability == 0.5


def test_ranges_say_what_is_allowed():
    ranges = Recipe.preset("heads").ranges()
    drop = ranges["bias.drop"]
    assert (drop.low, drop.high, drop.minimum, drop.maximum) == (0, 0.5, 0, 1)
    assert ranges["affine.translation"].unit == "mm" and ranges["blur.std"].default == (0, 2)
    assert ranges["thick_slices.factor"].low == 2 and ranges["resolution.factor"].high == 3


def test_the_same_layer_may_occur_twice_under_two_names():
    recipe = Recipe.preset("heads")
    assert type(recipe["resolution"]) is type(recipe["thick_slices"])
    with pytest.raises(ValueError, match="the name `blur` occurs twice"):
        Recipe([RandomIntensity(), RandomBlur(), RandomBlur()])
    with pytest.raises(ValueError, match="the name `image` is taken"):
        Recipe([RandomIntensity(name="image")])


@pytest.mark.parametrize(
    "text, message",
    [
        ('[{"layer": "RandomBlurr"}]', r"step 1: .*'RandomBlurr' \(did you mean 'RandomBlur'\?\)"),
        ('[{"layer": "RandomBlur", "sd": 1}]', r"`blur`: .*`sd` \(did you mean 'std'\?\)"),
        ('[{"layer": "RandomBlur", "std": [2, 1]}]', "step 1, `blur`: .*low <= high"),
        ('[{"layer": "RandomBiasField", "drop": [0, 2]}]', "`bias`: `drop` must lie in"),
        ('[{"layer": "RandomBlur", "spacing": 2}]', "no argument `spacing`"),
        ('[{"layer": "RandomBlur", "name": 3}]', "`name` must be a name"),
        ('[{"std": 1}]', 'must name its "layer"'),
        ('[{"layer": "OneHot", "labels": [1]}]', "no layer 'OneHot'"),
        ('[{"layer": "lab>RandomRipple"}]', "Import the package lab before"),
        ('[{"layer": "lab>RandomRipple", "module": "lab.mri"}]', "Import the module lab.mri"),
        ("[1]", "must be a synthesis layer"),
        ("[]", "must be a list of layers, at least one"),
        ("{}", "must be a list of layers"),
        ("{", "not JSON"),
    ],
)
def test_faults_are_named(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(text)
    path = tmp_path / "bad recipe.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad recipe\.json"):
        Recipe.load(path)


def test_recipes_are_found_by_name_or_path(tmp_path):
    assert Recipe.of("heads") == Recipe.preset("heads") == Recipe.of([*Recipe.preset("heads")])
    tutorial().save(tmp_path / "mine.json")
    assert Recipe.of(tmp_path / "mine.json") == tutorial()
    with pytest.raises(ValueError, match=r"did you mean 'synthseg'"):
        Recipe.of("synthsegg")
    with pytest.raises(ValueError, match="tutorial"):
        Recipe.preset("freesurfer")
    with pytest.raises(ValueError, match=r"`recipe` must be a `Recipe`.*Received: recipe=3"):
        Recipe.of(3)


@pytest.mark.parametrize(
    "steps, message",
    [
        ([layers.RandomBlur()], "step 1, `blur` .*takes an image, but no step before it"),
        ([layers.SignalModel()], "`signal` .*takes tissue maps"),
        (
            [layers.RandomIntensity(), layers.RandomErosion()],
            "step 2, `erosion` .*must come before `intensity`",
        ),
        (
            [layers.RandomFieldOfView(), layers.RandomErosion(), layers.RandomIntensity()],
            "`erosion` .*must come before `field_of_view`",
        ),
        (
            [layers.RandomIntensity(), layers.RandomSubdivision()],
            "`subdivision` .*must come before `intensity`",
        ),
        ([layers.RandomAffine(), layers.RandomShapes()], "`shapes` .*must come first"),
        ([layers.RandomIntensity(), layers.RandomMix()], "gives neither labels nor an image"),
        ([3], "step 1: must be a synthesis layer"),
    ],
)
def test_order_is_checked(steps, message):
    with pytest.raises(ValueError, match=message):
        Recipe(steps)


def test_layers_of_other_packages():
    recipe = Recipe([RandomIntensity(), RandomNegative(probability=0.5)])
    assert recipe.entries()[1] == {
        "layer": "tests_of_recipes>RandomNegative",
        "module": __name__,
        "probability": 0.5,
    }
    assert Recipe.from_json(recipe.to_json()) == recipe
    out = recipe.change("negative", probability=1).build((8, 8), [0, 1])
    plain = recipe.without("negative").build((8, 8), [0, 1])
    sample = {"labels": np.eye(8, dtype="int32")[None, ..., None], "key": make_keys(1)}
    negative, image = (keras.ops.convert_to_numpy(m(sample)["image"]) for m in (out, plain))
    np.testing.assert_allclose(negative, image.max() - image, atol=1e-6)


def test_a_recipe_file_imports_nothing(tmp_path):
    (tmp_path / "ripple_lab.py").write_text("raise RuntimeError('imported')")
    code = (
        "from synthtf.synthesis import Recipe\n"
        "try: Recipe([{'layer': 'ripple_lab>Ripple', 'module': 'ripple_lab'}])\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Import the module ripple_lab" in done.stdout


def test_what_is_done_at_once_is_said():
    lines = Recipe.preset("heads").describe().splitlines()
    assert "affine + warp + flip" in lines[0] and "3 transforms, composed" in lines[0]
    (linear,) = [line for line in lines if "matrix per axis" in line]
    assert "resolution + thick_slices" in linear
    assert len(lines) == len(Recipe.preset("heads")) - 3
    lowfield, exvivo = (Recipe.preset(name).describe() for name in ("lowfield", "exvivo"))
    assert "composed with the transforms before it" in lowfield
    assert exvivo.count("moved once more") == 2  # atrophy and distortion, behind an erosion


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ('{"layer": "RandomAffine", "translation": 1e300}', "`translation` must lie in"),
        ('{"layer": "RandomAffine", "translation": [NaN, 1]}', "`translation` must be finite"),
        ('{"layer": "RandomAffine", "scaling": Infinity}', "`scaling` must be finite"),
        ('{"layer": "RandomWarp", "control_points": 5000}', "`control_points` must lie in"),
        ('{"layer": "RandomWarp", "control_points": [2, 1e9]}', "`control_points` must lie in"),
        ('{"layer": "RandomBiasField", "control_points": 1e9}', "`control_points` must lie in"),
        ('{"layer": "RandomLesions", "num_lesions": 1e12}', "`num_lesions` must lie in"),
        ('{"layer": "MapLabels", "mapping": {"1": 4294967296}}', "`mapping` must be"),
        ('{"layer": "RandomBlur", "std": ' + "[" * 300 + "]" * 300 + "}", "`std` must be"),
        ("[" * 900 + "]" * 900, ""),
        ("[" * 100_000 + "]" * 100_000, "recipe: not JSON"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_in_one_line(tmp_path, step, name):
    path = tmp_path / "recipe.json"
    path.write_text(f"[{step}]")
    with pytest.raises(ValueError, match=r"recipe\.json") as error:
        Recipe.load(path)
    assert name in str(error.value) and len(str(error.value).splitlines()) == 1
