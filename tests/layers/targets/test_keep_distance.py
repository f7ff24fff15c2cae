from dataclasses import replace

import numpy as np
import pytest

from synthtf import Recipe
from synthtf.data import LabelTable
from synthtf.layers import (
    KeepDistance,
    RandomFlip,
    RandomIntensity,
    RandomWarp,
    SignedDistance,
)
from synthtf.testing import LayerContract, make_keys, to_arrays


class TestKeepDistance(LayerContract):
    layer = KeepDistance
    arguments = {"regions": [[2, 41], 2035], "limit": 4}
    variants = [{"regions": [2, [2, 41]]}, {"spacing": 2}]
    invalid = [
        ({"regions": []}, "`regions` must be"),
        ({"regions": [[]]}, "`regions` must be"),
        ({"regions": [-1]}, "`regions` must be"),
        ({"limit": 0}, "`limit` must"),
    ]
    kind = "labels"
    test_identity_arguments = None


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_recipe_measures_the_regions_of_its_table_where_they_have_been_moved(ndim):
    rows = LabelTable.from_labels([2, 3])
    table = replace(rows, groups=("background", "WM", "GM"))
    shape = (16,) * ndim
    labels = np.zeros((2, *shape, 1), "int32")
    labels[:, 4:12, 4:12] = 3
    labels[:, 6:10, 6:10] = 2
    regions = ["WM", [2, 3]]
    steps = [RandomWarp(strength=(3, 4)), RandomIntensity(), KeepDistance(regions, limit=6)]
    model = Recipe(steps).build(shape, table, spacing=2.0)
    found = {k: to_arrays(v)[0] for k, v in model({"labels": labels, "key": make_keys(2)}).items()}
    assert found["distance"].shape == (2, *shape, 2)
    for channel, values in enumerate(([2], [2, 3])):
        expected = to_arrays(SignedDistance(values, spacing=2.0, limit=6)(found["labels"]))[0]
        np.testing.assert_allclose(found["distance"][..., channel], expected[..., 0], atol=1e-4)


def test_no_transform_may_come_after_it():
    with pytest.raises(ValueError, match=r"`flip`.* must come before `distance`"):
        Recipe([RandomIntensity(), KeepDistance([1]), RandomFlip()])
