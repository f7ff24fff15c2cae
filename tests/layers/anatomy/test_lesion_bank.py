import json

import numpy as np
import pytest
from keras import ops

from synthtf.data.volume_writer import write_volume
from synthtf.layers import RandomIntensity, RandomLesions
from synthtf.layers.anatomy.lesion_bank import as_folder, placed, read_bank
from synthtf.synthesis import Recipe
from synthtf.testing import check_mean, make_keys, repeat, to_arrays

ONES = (1.0, 1.0, 1.0)
STILL = {"bank_translation": 0, "bank_rotation": 0, "bank_scaling": 1, "bank_probability": 1}


@pytest.fixture
def bank(tmp_path):
    """Two masks: a box off the centre, in a file that is not RAS, and a voxel at the centre."""
    box = np.zeros((21, 25, 19), np.uint8)
    box[4:7, 15:20, 9:11] = 1
    write_volume(tmp_path / "bank" / "a.nii.gz", box, affine=np.diag([-1.0, 1, 1, 1]))
    voxel = np.zeros((11, 11, 11), np.uint8)
    voxel[5, 5, 5] = 3
    write_volume(tmp_path / "bank" / "b.nii.gz", voxel, affine=np.eye(4))
    flat = np.zeros((9, 9), np.uint8)
    flat[4, 5:8] = 1
    write_volume(tmp_path / "bank" / "c.nii.gz", flat, affine=np.eye(4))
    return str(tmp_path / "bank")


def volume_of(*shape, num=1):
    return np.full((num, *shape, 1), 2, "int32")


def draws_of(num=1, **changes):
    still = {
        "which": np.zeros((num, 1)),
        "mirrored": np.zeros((num, 1), bool),
        "translation": np.zeros((num, 3)),
        "rotation": np.zeros((num, 3)),
        "scaling": np.ones((num, 1)),
    }
    found = {**still, **{k: np.asarray(x)[None] for k, x in changes.items()}}
    return {
        k: ops.convert_to_tensor(x if x.dtype == bool else x.astype("float32"))
        for k, x in found.items()
    }


def test_masks_are_in_ras_and_cropped_about_their_centres(bank):
    masks = read_bank(bank, ONES)
    assert masks.shape == (2, 15, 17, 5) and masks.dtype == np.uint8
    assert masks.sum((1, 2, 3)).tolist() == [30, 1]
    assert masks[1, 7, 8, 2] == 1  # the centre
    np.testing.assert_array_equal(np.argwhere(masks[0]).mean(0) - (7, 8, 2), (5, 5, 0.5))
    assert read_bank(bank, (2.0, 2.0, 2.0))[0].sum() in range(2, 9)
    assert read_bank(bank, (1.0, 1.0)).shape == (1, 3, 9)


def test_a_mask_goes_to_the_centroid_of_the_labels(bank):
    allowed = np.zeros((1, 40, 40, 30, 1), bool)
    allowed[0, 3:37, 5:35, 2:28] = True  # about (19.5, 19.5, 14.5)
    found = to_arrays(placed(read_bank(bank, ONES), allowed, draws_of(), ONES))[0][0, ..., 0]
    assert found.sum() == 30
    # To half a voxel, where one size is even and the other is not.
    assert np.abs(np.argwhere(found).mean(0) - (24.5, 24.5, 15)).max() <= 0.5
    for change, size, expected in (
        ({"mirrored": [True]}, 30, (14.5, 24.5, 15)),
        ({"translation": [4, -3, 6]}, 30, (28.5, 21.5, 21)),
        ({"rotation": [0, 0, 180]}, 30, (14.5, 14.5, 15)),
        ({"scaling": [2]}, 8 * 30, (29.5, 29.5, 15.5)),
    ):
        moved = to_arrays(placed(read_bank(bank, ONES), allowed, draws_of(**change), ONES))[0]
        assert abs(moved.sum() / size - 1) < 0.1
        assert np.abs(np.argwhere(moved[0, ..., 0]).mean(0) - expected).max() <= 1
    empty = placed(read_bank(bank, ONES), np.zeros_like(allowed), draws_of(), ONES)
    assert tuple(empty.shape) == allowed.shape


def test_lesions_of_the_bank_stay_within_the_labels(bank):
    labels = volume_of(20, 22, 18)
    labels[:, :, 10:14] = 3
    layer = RandomLesions(num_lesions=0, bank=bank, name="lesions", **STILL)
    out = to_arrays(layer(repeat(labels, 30), make_keys(30)))[0]
    sizes = (out == 77).sum((1, 2, 3, 4))
    assert sizes.max() > 15 and sizes.min() <= 1  # a box, or a voxel
    np.testing.assert_array_equal(out[:, :, 10:14], 3)
    both = RandomLesions(num_lesions=3, size=6, bank=bank, name="lesions", **STILL)
    more = to_arrays(both(repeat(labels, 30), make_keys(30)))[0]
    assert (more[out == 77] == 77).all() and (more == 77).sum() > (out == 77).sum()


def test_the_share_of_samples_that_get_real_lesions(bank):
    layer = RandomLesions(num_lesions=0, bank=bank, **{**STILL, "bank_probability": 0.3})
    draws = layer.sample(make_keys(200), (200, 20, 20, 20, 1))
    check_mean(to_arrays(draws["real"])[0], 0.3)
    check_mean(to_arrays(draws["which"])[0], 0.5)
    grown = RandomLesions(num_lesions=4, bank=bank, name="same")
    alone = RandomLesions(num_lesions=4, name="same")
    for name, value in alone.sample(make_keys(4), (4, 20, 20, 20, 1)).items():
        again = grown.sample(make_keys(4), (4, 20, 20, 20, 1))[name]
        np.testing.assert_array_equal(to_arrays(again)[0], to_arrays(value)[0])


def test_a_recipe_file_holds_the_path(bank, tmp_path):
    recipe = Recipe([RandomLesions(bank=bank, within=[1]), RandomIntensity()])
    recipe.save(tmp_path / "recipe.json")
    assert json.loads((tmp_path / "recipe.json").read_text())[0]["bank"] == bank
    again = Recipe.load(tmp_path / "recipe.json")
    assert again == recipe
    model = again.build((16, 16, 16), [0, 1])
    sample = model({"labels": np.ones((1, 16, 16, 16, 1), "int32"), "key": make_keys(1)})
    assert set(np.unique(to_arrays(sample["labels"])[0])) <= {1, 77}


def test_a_bank_that_is_gone_is_named_when_it_is_needed(tmp_path):
    """Not when the recipe of a run is read."""
    recipe = Recipe([RandomLesions(bank=tmp_path / "gone"), RandomIntensity()])
    with pytest.raises(FileNotFoundError, match="gone"):
        recipe.build((16, 16, 16), [0, 2, 41])
    write_volume(tmp_path / "empty" / "a.nii.gz", np.zeros((4, 4, 4), "uint8"), affine=np.eye(4))
    with pytest.raises(ValueError, match="empty: no mask of 3 axes holds a lesion"):
        read_bank(str(tmp_path / "empty"), ONES)
    for bad in ("", 3):
        with pytest.raises(ValueError, match="`bank` must be the path of a folder"):
            as_folder(bad, "bank")
