import numpy as np
import pytest

from synthtf import Recipe
from synthtf.layers import (
    KeepDraw,
    MinMaxNormalize,
    RandomBlur,
    RandomIntensity,
    RandomMotion,
    RandomNoise,
)
from synthtf.testing import LayerContract, close, make_keys, run, to_arrays


class TestKeepDraw(LayerContract):
    layer = KeepDraw
    invalid = [
        ({"of": ""}, "`of` must be the name"),
        ({"draw": 3}, "`draw` must be the name"),
        ({"still": "no"}, "`still` must be"),
    ]

    def test_identity_arguments(self, ndim):
        """Numbers that are all the same are their own root mean square."""
        close(run(KeepDraw(), (np.full((4, 3), -2, "float32"),)), [np.full((4, 1), 2, "float32")])


def numbers(*steps, batch=32):
    recipe = Recipe([RandomIntensity(), *steps])
    inputs = {"labels": np.ones((batch, 8, 8, 1), "int32"), "key": make_keys(batch)}
    found = recipe.build((8, 8), [0, 1], spacing=2)(inputs)
    return [to_arrays(found[name])[0] for name in recipe.numbers]


def test_keeps_what_each_step_has_drawn():
    noise = RandomNoise(std=(0.1, 0.3), probability=0.5, name="noise")
    motion = RandomMotion(translation=0, rotation=(-5, 5), num_shots=3, name="motion")
    found, turned, ratio = numbers(
        noise,
        KeepDraw(name="noise_std"),
        motion,
        KeepDraw("motion", "rotation", name="degrees"),
        KeepDraw("noise", still=1, name="still_one"),
    )
    draws = noise.sample(make_keys(32), (32, 8, 8, 1))
    expected = np.where(draws["active"], draws["std"], 0)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(ratio[:, 0], np.where(expected, expected, 1), rtol=1e-6)
    poses = np.asarray(motion.sample(make_keys(32), (32, 8, 8, 1))["rotation"])
    np.testing.assert_allclose(turned[:, 0], np.sqrt((poses**2).mean((1, 2))), rtol=1e-5)


def test_a_recipe_says_which_numbers_it_keeps_and_images_stay_apart():
    recipe = Recipe([RandomIntensity(), RandomBlur(), KeepDraw("blur", name="blur_mm")])
    assert recipe.numbers == ("blur_mm",) and recipe.targets == ()
    assert Recipe(recipe.entries()) == recipe


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([KeepDraw()], "no step before it has the name `noise`"),
        ([RandomNoise(), KeepDraw(draw="colour")], "`noise` draws std, real. Received: draw='c"),
        ([MinMaxNormalize(name="noise"), KeepDraw()], "`noise` draws nothing"),
    ],
)
def test_what_is_not_drawn_cannot_be_kept(steps, message):
    with pytest.raises(ValueError, match=message):
        numbers(*steps)
