"""Producers and consumers of a buffer, which come, go and are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from synthtf.streams import Buffer

ROOT = Path(__file__).resolve().parents[2]
START = "import sys, time; import numpy as np; from synthtf.streams.buffer import Buffer\n"
# A shard of 400 kB, which takes some time to be written: kills come in the middle of it.
PRODUCER = (
    START
    + """
buffer = Buffer(sys.argv[1], limit=6)
while True:
    shard = buffer.begin()
    if shard is None:
        time.sleep(0.001)
        continue
    with shard:
        image = np.full((100, 1000), shard.number, "float32")
        shard.commit({"image": image, "key": np.array([shard.number])})
"""
)
CONSUMER = (
    START
    + """
buffer = Buffer(sys.argv[1])
with open(sys.argv[2], "a", buffering=1) as seen:
    while True:
        shard = buffer.take()
        if shard is not None:
            number = int(shard["key"][0])
            assert (shard["image"] == number).all()
            seen.write(f"{number}\\n")
"""
)


def start(code, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], env=environment, stderr=subprocess.PIPE
    )


def kill(process):
    assert process.poll() is None, process.stderr.read().decode()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()


def test_nothing_is_taken_twice_or_half_written(tmp_path):
    """Producers and consumers are killed at eight random moments."""
    dice = random.Random(0)
    folder = tmp_path / "buffer"
    files = [tmp_path / f"seen_{n}" for n in range(10)]
    producers = [start(PRODUCER, folder) for _ in range(2)]
    consumers = [start(CONSUMER, folder, files[n]) for n in range(2)]
    end = time.monotonic() + 30
    while not all(file.exists() and file.read_text() for file in files[:2]):
        assert time.monotonic() < end
        time.sleep(0.01)
    for n in range(8):
        time.sleep(dice.uniform(0.02, 0.2))
        running, code = ((producers, PRODUCER), (consumers, CONSUMER))[n % 2]
        kill(running.pop(dice.randrange(len(running))))
        running.append(start(code, folder, files[2 + n]))
        assert len(Buffer(folder)) <= 6
    for process in (*producers, *consumers):
        kill(process)
    buffer = Buffer(folder)
    numbers = [int(line) for file in files if file.exists() for line in file.read_text().split()]
    while (shard := buffer.take()) is not None:
        assert (shard["image"] == shard["key"][0]).all()
        numbers.append(int(shard["key"][0]))
    assert len(numbers) > 6 and len(set(numbers)) == len(numbers)
    # What a killed producer began is made by another; what a killed consumer took is lost.
    begun = {int(path.stem) for path in (folder / "making").glob("*.npz")}
    lost = set(range(max(numbers))) - set(numbers) - begun
    assert len(lost) <= 6 and len(begun) <= 8


def test_a_producer_goes_on_with_what_a_killed_one_began(tmp_path):
    buffer = Buffer(tmp_path)
    first, second = buffer.begin(), buffer.begin()
    assert (first.number, second.number) == (0, 1)
    with first:
        pass
    with buffer.begin() as again, second:
        assert again.number == 0
        again.commit({"key": np.array([[0, 0]])})
        second.commit({"key": np.array([[0, 1]])})
    with buffer.begin() as third:
        assert third.number == 2
    assert [int(buffer.take()["key"][0, 1]) for _ in range(2)] == [0, 1]


def test_a_full_buffer_begins_nothing(tmp_path):
    buffer = Buffer(tmp_path, limit=1)
    with buffer.begin() as shard:
        assert buffer.begin() is None
        shard.commit({"key": np.zeros(1)})
    assert buffer.begin() is None and len(buffer) == 1
    buffer.take()
    with buffer.begin() as following:
        assert following.number == 1


def test_damaged_shards_are_named(tmp_path):
    buffer = Buffer(tmp_path)
    (tmp_path / "ready" / "000000000.npz").write_bytes(b"PK\x03\x04 not a shard")
    with pytest.raises(ValueError, match=r"000000000\.npz: not a shard that can be read"):
        buffer.take()
    assert buffer.take() is None
