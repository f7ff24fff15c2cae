"""Threads change when things are loaded, never what."""

import threading
import time

import pytest

from synthtf.data.read_ahead import ReadAhead


def test_results_are_those_of_the_numbers():
    for workers in (1, 3):
        ahead = ReadAhead(lambda n: n * n, 2, workers)
        for number in (0, 2, 4, 6, 6, 20, 22, 24, 1, 3, 5):
            assert ahead.get(number) == number**2


def test_the_next_items_are_loaded_in_other_threads():
    threads = {}

    def load(number):
        threads[number] = threading.get_ident()
        return number

    ahead = ReadAhead(load, 1, 2)
    ahead.get(0)
    assert set(threads) == {0}  # one request is no sequence yet
    ahead.get(1)
    deadline = time.monotonic() + 5
    while set(threads) != {0, 1, 2, 3} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threads) == {0, 1, 2, 3}
    here = threading.get_ident()
    assert threads[1] == here and here not in {threads[2], threads[3]}


def test_a_failure_is_raised_for_its_own_number_alone():
    def load(number):
        if number == 3:
            raise ValueError("x.nii is corrupt")
        return number

    ahead = ReadAhead(load, 1, 2)
    assert [ahead.get(n) for n in (0, 1, 2)] == [0, 1, 2]
    with pytest.raises(ValueError, match=r"x\.nii is corrupt"):
        ahead.get(3)
    assert ahead.get(4) == 4
