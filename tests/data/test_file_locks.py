import os
import signal
import subprocess
import sys
import time

import pytest

from synthtf.data import file_locks
from synthtf.data.file_locks import locked

HOLD = (
    "import sys, time; from synthtf.data import file_locks\n"
    "if sys.argv[2] == 'marker': file_locks.fcntl = None\n"
    "with file_locks.locked(sys.argv[1]): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture(params=["system", "marker"])
def kind(request, monkeypatch):
    monkeypatch.setattr(file_locks, "_PATIENCE", 0.2)
    if request.param == "marker":
        monkeypatch.setattr(file_locks, "fcntl", None)
    return request.param


def test_the_lock_of_a_killed_process_ends(tmp_path, kind):
    path = tmp_path / "v.csv"
    words = [sys.executable, "-c", HOLD, str(path), kind]
    job = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "held\n"
    if kind == "system":
        message = r"v\.csv: another process has been writing it"
        with pytest.raises(TimeoutError, match=message), locked(path):
            pass
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    job.stdout.close()
    for _ in range(2):
        with locked(path):
            pass


def test_disks_without_locks_have_a_file_as_lock(tmp_path, monkeypatch):
    class NoLocks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(file, operation):
            raise OSError(38, "Function not implemented")

    monkeypatch.setattr(file_locks, "fcntl", NoLocks)
    with locked(tmp_path / "v.csv"):
        assert (tmp_path / ".v.csv.locked").exists()
    assert not (tmp_path / ".v.csv.locked").exists()


def test_a_file_that_others_take_again_and_again_is_no_left_over(tmp_path, monkeypatch):
    monkeypatch.setattr(file_locks, "fcntl", None)
    monkeypatch.setattr(file_locks, "_PATIENCE", 0.3)
    marker = tmp_path / ".v.csv.locked"
    marker.touch()
    code = (
        "import os, sys, time\n"
        "for i in range(6): time.sleep(0.1); os.utime(sys.argv[1], ns=(i, i))\n"
        "os.unlink(sys.argv[1])"
    )
    start = time.monotonic()
    job = subprocess.Popen([sys.executable, "-c", code, str(marker)])
    with locked(tmp_path / "v.csv"):
        waited = time.monotonic() - start
    assert job.wait() == 0 and waited > 0.5
