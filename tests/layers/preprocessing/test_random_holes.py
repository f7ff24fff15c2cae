import numpy as np

from synthtf import Recipe
from synthtf.layers import KeepImage, MinMaxNormalize, RandomHoles, RandomIntensity, RandomLesions
from synthtf.testing import RandomLayerContract, make_keys, to_arrays


class TestRandomHoles(RandomLayerContract):
    layer = RandomHoles
    kind = "both"
    arguments = {"within": (2, 2035), "num_holes": (1, 4), "size": (2, 4)}
    variants = [{"spacing": 2.0, "size": 9}]
    identity_arguments = {"num_holes": 0}
    invalid = [
        ({"within": ()}, "`within` must be labels"),
        ({"num_holes": (1, 2.5)}, "`num_holes` must be whole numbers"),
        ({"size": (4, 2)}, "low <= high"),
        ({"bank": ""}, "`bank` must be the path"),
    ]

    def expected_identity(self, inputs):
        image = inputs[0]
        return np.concatenate([image, 0 * image[..., :1]], axis=-1)


def test_holes_are_where_lesions_of_the_same_draws_would_be():
    image = np.random.default_rng(0).uniform(1, 2, (3, 24, 24, 1)).astype("float32")
    labels = np.random.default_rng(1).choice([2, 3], (3, 24, 24, 1)).astype("int32")
    options = {"within": [2], "size": (4, 9), "irregularity": 0.3}
    holes = RandomHoles(num_holes=(2, 5), name="same", **options)
    lesions = RandomLesions(num_lesions=(2, 5), name="same", **options)
    cut, where = np.moveaxis(to_arrays(holes([image, labels], make_keys(3)))[0], -1, 0)
    marked = to_arrays(lesions(labels, make_keys(3)))[0][..., 0] == 77
    np.testing.assert_array_equal(where == 1, marked)
    np.testing.assert_array_equal(cut, np.where(marked, 0, image[..., 0]))
    assert marked.any() and np.all(labels[..., 0][marked] == 2)


def test_a_recipe_keeps_the_image_without_holes():
    # A hole of 0 leaves the range of an image as it is if that is from 0.
    steps = [RandomIntensity(std=0), MinMaxNormalize(name="range"), KeepImage()]
    recipe = Recipe([*steps, RandomHoles([1], size=(4, 8))])
    labels = np.zeros((2, 16, 16, 1), "int32")
    labels[:, 2:14, 2:14] = 1
    found = recipe.build((16, 16), [0, 1])({"labels": labels, "key": make_keys(2)})
    image, clean = to_arrays(found["image"])[0], to_arrays(found["clean"])[0]
    assert image.shape == (2, 16, 16, 2) and clean.shape == (2, 16, 16, 1)
    hole = image[..., 1] == 1
    assert hole.any() and not image[..., 0][hole].any()
    np.testing.assert_allclose(image[..., 0][~hole], clean[..., 0][~hole], atol=1e-6)
