import numpy as np
import pytest

from synthtf.layers import RandomAffine, RandomFlip, RandomIntensity, RandomLesions, ShowScan
from synthtf.synthesis import Recipe
from synthtf.testing import BATCH, SHAPES, LayerContract, close, make_keys, run, to_arrays


class TestShowScan(LayerContract):
    layer = ShowScan

    def make_inputs(self, ndim):
        """A real and a synthetic image."""
        generator = np.random.default_rng(ndim)
        shape = (BATCH, *SHAPES[ndim], 1)
        return ([generator.uniform(0.1, 1, shape).astype("float32") for _ in range(2)],)

    test_arguments_change_something = None  # it has none

    def test_identity_arguments(self, ndim):
        """The scan is the image."""
        inputs = self.make_inputs(ndim)
        close(run(ShowScan(), inputs), [inputs[0][0]])


def batch(ndim, num=3):
    """Label maps, and scans that show each label at another brightness; the last has none."""
    labels = np.random.default_rng(ndim).integers(0, 4, (num, *(3,) * ndim, 1)).astype("int32")
    for axis in range(1, ndim + 1):
        labels = labels.repeat(4, axis)
    scan = labels.astype("float32") / 3
    scan[-1] = 0
    return {"labels": labels, "scan": scan, "key": make_keys(num)}


@pytest.mark.parametrize("ndim", [2, 3])
def test_in_a_recipe_the_scan_moves_as_the_labels_do(ndim):
    moves = [RandomAffine(translation=(-2, 2)), RandomFlip(probability=0.5)]
    recipe = Recipe([*moves, RandomIntensity()]).with_scans(synthetic=True)
    assert recipe.names == ("affine", "flip", "intensity", "scan_image")
    sample = recipe.build((12,) * ndim, [0, 1, 2, 3])(batch(ndim))
    image, labels = (to_arrays(sample[name])[0] for name in ("image", "labels"))
    for row in range(2):
        assert np.corrcoef(image[row].ravel(), labels[row].ravel())[0, 1] > 0.7
    # Where there is no scan, the image is synthetic.
    synthesis = Recipe([*moves, RandomIntensity()]).build((12,) * ndim, [0, 1, 2, 3])
    inputs = {name: x for name, x in batch(ndim).items() if name != "scan"}
    np.testing.assert_array_equal(image[-1], to_arrays(synthesis(inputs)["image"])[0][-1])


def test_real_scans_alone_need_no_contrast():
    recipe = Recipe([RandomFlip(), RandomIntensity()]).with_scans(remapping=0.3)
    assert recipe.names == ("flip", "scan_image", "remapping")
    assert recipe["remapping"].probability == 0.3
    with pytest.raises(ValueError, match="leave out lesions"):
        Recipe([RandomLesions(within=[1]), RandomIntensity()]).with_scans()
    with pytest.raises(ValueError, match="a step that makes an image"):
        Recipe([RandomFlip()]).with_scans()
