import numpy as np
import pytest
from scipy import ndimage

from synthtf.layers import RandomChemicalShift
from synthtf.testing import LABELS, RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomChemicalShift(RandomLayerContract):
    layer = RandomChemicalShift
    kind = "both"
    arguments = {"fat_labels": (0, 2035), "shift": (1, 3)}
    variants = [{"shift": (-2, 2), "spacing": 2.0}]
    identity_arguments = {"shift": 0}
    invalid = [
        ({"fat_labels": ()}, "`fat_labels` must be labels, whole numbers from 0, or names"),
        ({"fat_labels": (-1,)}, "must be labels, whole numbers from 0, or names"),
        ({"shift": (2, 1)}, "low <= high"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def expected_identity(self, inputs):
        return inputs[0]


def sample(shape, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(size=(1, *shape, 2)).astype("float32")
    return image, rng.choice(LABELS, size=(1, *shape, 1)).astype("int32")


@pytest.mark.parametrize(("shape", "axis"), [((80, 15), 0), ((12, 15), 1), ((9, 8, 11), 2)])
@pytest.mark.parametrize("mm", [3.0, -2.5, 0.75])
def test_water_stays_and_fat_moves(shape, axis, mm):
    image, labels = sample(shape)
    draws = {"axis": np.array([axis], "int32"), "shift": np.array([mm], "float32")}
    layer = RandomChemicalShift(
        fat_labels=(2, 41), shift=(-3, 3), spacing=(1.5, 1, 2)[: len(shape)]
    )
    out = to_arrays(layer.apply([image, labels], draws))[0]
    fat = np.isin(labels, (2, 41))
    vector = np.zeros(len(shape))
    vector[axis] = mm / layer.spacing[axis]
    for c in range(2):
        water, moved = (image[0, ..., c] * x[0, ..., 0] for x in (~fat, fat))
        moved = ndimage.shift(np.pad(moved, 5), vector, order=1)
        expected = water + moved[(slice(5, -5),) * len(shape)]
        np.testing.assert_allclose(out[0, ..., c], expected, atol=1e-5)


def test_rims_of_a_disk_of_fat():
    """Dark on the side that fat leaves, bright where it lies over water."""
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40), indexing="ij"))
    labels = (np.linalg.norm(grid - 20, axis=0) < 10).astype("int32")[None, ..., None]
    draws = {"axis": np.zeros(1, "int32"), "shift": np.full(1, 2, "float32")}
    image = np.ones(labels.shape, "float32")
    layer = RandomChemicalShift(fat_labels=(1,))
    out = to_arrays(layer.apply([image, labels], draws))[0][0, ..., 0]
    assert out[11:13, 20].tolist() == [0, 0]
    assert out[30:32, 20].tolist() == [2, 2]
    assert out[13:30, 20].tolist() == [1] * 17
    assert out.sum() == image.sum()


def test_shift_is_in_mm():
    image, labels = sample((16, 14))
    arguments = {"fat_labels": (2,), "name": "tested"}
    fine = RandomChemicalShift(shift=2, **arguments)
    coarse = RandomChemicalShift(shift=4, spacing=2.0, **arguments)
    key = make_keys(1)
    one, other = (to_arrays(layer([image, labels], key))[0] for layer in (fine, coarse))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_axis_and_shift_are_uniform():
    layer = RandomChemicalShift(fat_labels=(1,), shift=(-1, 3))
    draws = layer.sample(make_keys(150), (150, 4, 4, 4, 1))
    axis, shift = to_arrays([draws["axis"], draws["shift"]])
    for d in range(3):
        check_mean(axis == d, 1 / 3)
    check_mean(shift, 1)
