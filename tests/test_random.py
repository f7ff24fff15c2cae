import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from synthtf import random

KEYS = np.array([[1, 0], [1, 1], [2, 0], [1, 0]], "int32")


def draw(function, *args):
    return ops.convert_to_numpy(function(KEYS, *args))


DRAWS = {
    "fold_in": (random.fold_in, "name"),
    "uniform": (random.uniform, (3, 2), -1.0, 4.0),
    "normal": (random.normal, (5,)),
    "integers": (random.integers, (), 2, 9),
}


@pytest.fixture(params=DRAWS)
def drawn(request):
    function, *args = DRAWS[request.param]
    return function, args, draw(function, *args)


def test_equal_keys_give_equal_rows(drawn):
    _, _, values = drawn
    np.testing.assert_array_equal(values[0], values[3])
    assert not np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_a_row_does_not_depend_on_its_batch(drawn):
    function, args, values = drawn
    for row in range(len(KEYS)):
        alone = ops.convert_to_numpy(function(KEYS[row : row + 1], *args))
        np.testing.assert_array_equal(alone[0], values[row])


def test_names_give_independent_keys():
    keys = [draw(random.fold_in, name) for name in ("blur", "noise", "blur/std")]
    assert len({key.tobytes() for key in keys}) == 3
    a, b = (ops.convert_to_numpy(random.normal(key, (20000,))) for key in keys[:2])
    assert abs(np.corrcoef(a[0], b[0])[0, 1]) < 4 / np.sqrt(a.shape[1])


def test_names_keep_samples_and_seeds_apart():
    """A layer in a layer: whatever is folded in, no part of a key is lost."""
    key = KEYS[:3]
    for name in ("blur", "std", "std"):
        key = random.fold_in(key, name)
        drawn = ops.convert_to_numpy(random.uniform(key, (4,)))
        assert len({row.tobytes() for row in drawn}) == 3


def test_the_same_in_another_process():
    code = (
        "import numpy as np; from synthtf import random; from keras import ops;"
        "key = random.fold_in(np.array([[3, 7]], 'int32'), 'layer');"
        "print(ops.convert_to_numpy(random.uniform(key, (2,)))[0].tolist())"
    )
    words = [sys.executable, "-c", code]
    there = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    key = random.fold_in(np.array([[3, 7]], "int32"), "layer")
    here = ops.convert_to_numpy(random.uniform(key, (2,)))[0].tolist()
    assert there == f"{here}\n"


def test_moments():
    count = 100_000
    u = ops.convert_to_numpy(random.uniform(KEYS[:1], (count,), 2.0, 5.0))[0]
    assert u.min() >= 2 and u.max() < 5
    assert abs(u.mean() - 3.5) < 4 * np.sqrt(9 / 12 / count)
    n = ops.convert_to_numpy(random.normal(KEYS[:1], (count,)))[0]
    assert abs(n.mean()) < 4 / np.sqrt(count)
    assert abs(n.var() - 1) < 4 * np.sqrt(2 / count)


def test_integers_include_both_bounds_evenly():
    values = ops.convert_to_numpy(random.integers(KEYS[:1], (30_000,), 2, 4))[0]
    numbers, counts = np.unique(values, return_counts=True)
    assert numbers.tolist() == [2, 3, 4]
    assert np.abs(counts - 10_000).max() < 4 * np.sqrt(30_000 * 2 / 9)


def test_neighbouring_samples_are_uncorrelated():
    keys = np.stack([np.zeros(2000), np.arange(2000)], -1).astype("int32")
    values = ops.convert_to_numpy(random.uniform(random.fold_in(keys, "x"), ()))
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(2000)
