"""Terminals, streams, home folders and backends as they are found."""

import os
import subprocess
import sys

import pytest

from synthtf.cli.main import COMMANDS

RUN = "import sys; from synthtf.cli.main import main; sys.exit(main(sys.argv[1:]))"


def synthtf(*words, shell=None, code=RUN, **environment):
    """Run the command in a process of its own."""
    words = [sys.executable, "-c", code, *map(str, words)]
    if shell is not None:
        words = ["bash", "-c", f'"$@" {shell}', "bash", *words]
    environment = {**os.environ, **environment}
    return subprocess.run(words, capture_output=True, env=environment, check=False)


ALL_HELP = f"""
import sys
from synthtf.cli.main import main
for command in {[*COMMANDS]}:
    for words in ([command], ["labels", "enrich"], ["train", "segmentation"]):
        try:
            main([*words, "--help"])
        except SystemExit as stop:
            assert stop.code == 0
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp932"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_help_in_any_encoding(environment):
    done = synthtf(code=ALL_HELP, **environment)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert b"\\x" not in done.stdout and b"\\u" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_messages_in_any_encoding(encoding):
    done = synthtf("register", "λ.nii", "ü³\udcff.nii", "-r", "0", PYTHONIOENCODING=encoding)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("shell", "status"),
    [("| head -1; exit ${PIPESTATUS[0]}", 141), (">&-", 0), (">&- 2>&-", 0), ("<&-", 0)],
)
def test_streams_that_are_closed(shell, status):
    # More than a pipe holds, so that the command meets the closed end.
    code = (
        "import sys; from synthtf.cli import info, main\n"
        "def run(args):\n    print('x' * 99, flush=True)\n"
        "    for _ in range(9999):\n        print('x' * 99)\n    return 0\n"
        "info.run = run\nsys.exit(main.main(['info', 'x']))"
    )
    done = synthtf(shell=shell, code=code)
    assert done.returncode == status and not done.stderr, done.stderr


def test_a_full_standard_output():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    code = (
        "import sys; from synthtf.cli import info, main\n"
        "def run(args):\n    print('x')\n    return 0\n"
        "info.run = run\nsys.exit(main.main(['info', 'x']))"
    )
    done = synthtf(shell=">/dev/full", code=code)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"No space" in done.stderr


@pytest.mark.parametrize(
    ("backend", "message"),
    [("foo", b"must be one of tensorflow, jax, torch"), ("torch", b"pip install torch")],
)
@pytest.mark.parametrize("how", ["command", "import"])
def test_a_backend_that_is_missing(tmp_path, backend, message, how):
    absent = (
        "import sys\nclass Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch':\n            raise ImportError('absent')\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    if how == "import":
        done = synthtf(code=f"{absent}import synthtf.layers", KERAS_BACKEND=backend)
        assert message in done.stderr.splitlines()[-1]
        assert done.stderr.count(b"\n") < 25
        return
    done = synthtf("demo", "-o", tmp_path / "x", code=absent + RUN, KERAS_BACKEND=backend)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and message in done.stderr


def test_a_backend_of_the_users_file_that_is_missing(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "foo"}')
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    done = synthtf("demo", "-o", tmp_path / "x", **environment)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert str(tmp_path / "keras.json").encode() in done.stderr


def test_keras_that_is_missing(tmp_path):
    (tmp_path / "keras.py").write_text("raise ImportError('no keras')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{RUN}"
    done = synthtf("demo", "-o", tmp_path / "x", code=code)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"pip install" in done.stderr


def test_a_home_folder_that_cannot_be_written():
    code = (
        "import sys; from synthtf.cli import info, main\n"
        "def run(args):\n    import matplotlib, synthtf.startup\n"
        "    synthtf.startup.load_backend()\n    import keras\n    return 0\n"
        "info.run = run\nsys.exit(main.main(['info', 'x']))"
    )
    homes = {"HOME": "/proc/none", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    homes["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = synthtf(code=code, **homes)
    assert done.returncode == 0 and not done.stderr, done.stderr
