"""Damaged files for tests: how they are made, and what reading them must be like."""

import gzip
import os
import resource
import signal
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

_SPARE_BYTES = 2**29
_SECONDS = 20


@contextmanager
def bounded_memory():
    """Let the process grow by half a gigabyte at most: more than any small file needs."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + _SPARE_BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def attempt(reader, path):
    """Read a file that may be damaged.

    Returns what the reader returned, None if it refused the file, and what it said: its warnings,
    or the one line with the file's name. Anything else fails the test, as does a hang.
    """
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"{path.name}: no end"))
    signal.alarm(_SECONDS)
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            value = reader(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return None, [str(error)]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert {note.category for note in notes} <= {UserWarning}, [str(note) for note in notes]
    return value, [str(note.message) for note in notes]


def flip(data, rng, number=1):
    """Flip bits."""
    damaged = bytearray(data)
    for position in rng.integers(len(data), size=number):
        damaged[position] ^= 1 << rng.integers(8)
    return bytes(damaged)


def truncate(data, rng):
    """Cut at a random place."""
    return data[: rng.integers(len(data))]


def overwrite(data, rng, end):
    """Write extreme bytes somewhere before `end`."""
    damaged = bytearray(data)
    for position in rng.integers(min(end, len(data)), size=rng.integers(1, 4)):
        damaged[position] = rng.choice([0, 1, 127, 128, 255])
    return bytes(damaged)


def inside(damage, data, *arguments):
    """Damage what is compressed, and compress it again."""
    return gzip.compress(damage(gzip.decompress(data), *arguments), 1, mtime=0)


def replace_word(data, rng):
    """Put something else in the place of a word of a text file."""
    words = (b"nan", b"-inf", b"1e400", b"-1", b"0", b"9" * 400, b"9" * 5000, b"\0", b"\xff", b"[")
    words += (b"{}", b"null", b"true", b'"x"', b"1.5", b"1e9", b"\t", b"\n", b"-", b"", b"a b")
    found = [part for part in data.replace(b"\t", b" ").split() if part.strip(b":=,#")]
    old = found[rng.integers(len(found))]
    return data.replace(old, words[rng.integers(len(words))], 1)


def generator(*parts):
    """A generator of random numbers that follows from names."""
    return np.random.default_rng([*("|".join(map(str, parts))).encode()])
