"""The parsers of numbers and ranges."""

import numpy as np
import pytest

from synthtf.ranges import as_number, as_range, as_whole, as_whole_range


@pytest.mark.parametrize("value", [(1, 3), [1, 3], np.array([1.0, 3.0])])
def test_range_is_two_floats(value):
    assert as_range(value, "std") == (1.0, 3.0)


@pytest.mark.parametrize("parse", [as_number, as_whole])
@pytest.mark.parametrize("value", [(0, 1), [2], "1", None, True, np.array([1, 2])])
def test_number_refuses_anything_else(parse, value):
    with pytest.raises(ValueError, match=r"`p` must be one number. Received: p="):
        parse(value, "p")


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), "12", None, True, ("a", "b")])
def test_range_refuses_anything_else(value):
    with pytest.raises(ValueError, match=r"`p` must be a number or \(low, high\). Received: p="):
        as_range(value, "p")


@pytest.mark.parametrize("parse", [as_number, as_range, as_whole, as_whole_range])
def test_limits_are_included(parse):
    for value in (0, 2):
        parse(value, "p", 0, 2)
    for value in (-1, 3):
        with pytest.raises(ValueError, match=r"`p` must lie in \[0, 2\]. Received: p="):
            parse(value, "p", 0, 2)
    for value in (np.inf, np.nan):
        with pytest.raises(ValueError, match="`p` must be finite"):
            parse(value, "p", 0)


def test_whole_numbers_are_integers():
    assert isinstance(as_whole(np.float32(4), "p"), int)
    assert as_whole(2**63 + 1, "p") == 2**63 + 1
    assert as_whole_range(3.0, "p", 1) == (3, 3)
    with pytest.raises(ValueError, match=r"`p` must be a whole number. Received: p=2.5"):
        as_whole(2.5, "p")
    with pytest.raises(ValueError, match=r"`p` must be whole numbers. Received: p=\(2, 2.5\)"):
        as_whole_range((2, 2.5), "p")
