import numpy as np
import pytest

from synthtf.data import LabelMaps
from synthtf.data.map_patches import Patches


@pytest.fixture
def labels():
    labels = np.zeros((20, 24), "int32")
    labels[3:17, 4:20], labels[5:7, 15:18], labels[0, 0] = 1, 17, 53
    return labels


def test_a_part_shows_the_label_in_its_middle(labels):
    maps = LabelMaps([labels, labels.T.copy()[:20]], seed=3, patch=(6, 8), around=[17, 53])
    assert maps.sample_shape == (6, 8)
    seen = set()
    for number in range(12):
        (batch,) = maps.sample(number)
        assert batch["labels"].shape == (1, 6, 8, 1)
        seen.add(int(batch["labels"][0, 3, 4, 0]))
        world = maps.sample_affine(number) @ [3, 4, 0, 1]
        source = np.linalg.inv(maps.affine(maps.map_index(number))) @ world
        voxel = tuple(np.round(source[:2]).astype(int))
        assert maps._map(maps.map_index(number))[0][voxel] == batch["labels"][0, 3, 4, 0]
    assert seen <= {17, 53} and 17 in seen


def test_a_part_follows_from_the_key(labels):
    options = {"seed": 3, "patch": (6, 8), "around": [17]}
    one, other = (LabelMaps([labels], batch_size=n, num_batches=2, **options) for n in (1, 4))
    whole = other[0][0]["labels"]
    for number in range(2):
        np.testing.assert_array_equal(one[number][0]["labels"][0], whole[number])
    assert any((whole[0] != row).any() for row in whole[1:])


def test_scans_are_cut_with_their_maps(labels):
    scan = (labels == 17).astype("float32")
    (batch,) = LabelMaps([labels], scans=[scan], patch=(6, 8), around=[17])[0]
    np.testing.assert_array_equal(batch["scan"] > 0.5, batch["labels"] == 17)


def test_maps_without_the_label_are_cut_in_the_middle(labels):
    (batch,) = LabelMaps([labels], patch=(4, 4), around=[99])[0]
    np.testing.assert_array_equal(batch["labels"][0, ..., 0], labels[8:12, 10:14])


def test_what_lies_outside_is_background(labels):
    (batch,) = LabelMaps([labels], patch=(30, 30), around=[53])[0]
    part = batch["labels"][0, ..., 0]
    assert part.shape == (30, 30) and part[15, 15] == 53 and not part[:15].any()


def test_labels_are_needed():
    with pytest.raises(ValueError, match="`around` must be at least one label"):
        Patches((4, 4), [])
