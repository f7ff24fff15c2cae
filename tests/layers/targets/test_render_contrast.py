from dataclasses import replace

import numpy as np
import pytest

from synthtf import Recipe
from synthtf.data import LabelTable
from synthtf.layers import RandomIntensity, RandomMask, RandomWarp, RenderContrast
from synthtf.testing import LABELS, LayerContract, make_keys, to_arrays

TISSUES = ("air", "white matter", "gray matter", "CSF")


class TestRenderContrast(LayerContract):
    layer = RenderContrast
    arguments = {"labels": LABELS, "tissues": TISSUES}
    variants = [{"sequence": "flair"}, {"blur": 0}]
    invalid = [
        ({"sequence": "steam"}, "`sequence` must be"),
        ({"blur": -1}, "`blur` must"),
        ({"tissues": TISSUES[:2]}, "one entry per label"),
        ({"tissues": None}, "one entry per label"),
    ]
    kind = "labels"
    test_identity_arguments = None


@pytest.mark.parametrize(("sequence", "brightest"), [("mprage", 1), ("flair", 2), ("spin echo", 3)])
def test_the_brightest_tissue_is_that_of_the_sequence(sequence, brightest):
    labels = np.arange(4, dtype="int32").reshape(1, 4, 1, 1)
    layer = RenderContrast(sequence, labels=range(4), tissues=TISSUES, blur=0)
    image = to_arrays(layer(labels))[0].ravel()
    if sequence != "spin echo":  # its ranges mix T1, T2 and proton density
        assert image.argmax() == brightest
    assert image.max() == 1 and image[0] == 0


def test_a_recipe_finds_the_tissues_and_the_target_follows_the_labels():
    table = replace(LabelTable.from_labels([5, 9]), groups=("background", "WM", "CSF"))
    labels = np.random.default_rng(0).choice([0, 5, 9], (2, 12, 12, 1)).astype("int32")
    steps = [RandomWarp(strength=(4, 5)), RandomIntensity(), RenderContrast(blur=0)]
    found = Recipe(steps).build((12, 12), table)({"labels": labels, "key": make_keys(2)})
    image, moved = to_arrays(found["contrast"])[0], to_arrays(found["labels"])[0]
    assert (image[moved == 5] == 1).all()
    assert (image[moved == 0] == 0).all()
    assert 0 < image[moved == 9].min() < 0.5


def test_a_blur_mixes_tissues_at_their_border():
    labels = np.repeat(np.array([0, 2], "int32"), 8).reshape(1, 16, 1, 1) * np.ones((1, 1, 8, 1))
    layer = RenderContrast(labels=[2], tissues=["white matter"], blur=1, spacing=0.5)
    image = to_arrays(layer(labels.astype("int32")))[0][0, :, 4, 0]
    assert 0.3 < image[7] < 0.5 < image[8] < 0.7
    assert image[0] < 0.01


def test_a_target_loses_what_the_image_loses():
    """A network cannot return tissue that it does not see."""
    table = replace(LabelTable.from_labels([5, 9]), groups=("background", "WM", "CSF"))
    labels = np.random.default_rng(0).choice([0, 5, 9], (2, 12, 12, 1)).astype("int32")
    steps = [RandomIntensity(), RenderContrast(blur=0), RandomMask(labels=[9])]
    found = Recipe(steps).build((12, 12), table)({"labels": labels, "key": make_keys(2)})
    image = to_arrays(found["contrast"])[0]
    assert not image[labels != 9].any() and image[labels == 9].all()
