import subprocess
import sys
import warnings

import pytest

import synthtf
from synthtf.cli.main import COMMANDS, build_parser, main
from synthtf.messages import describe
from synthtf.usage import UsageError, usage_errors

SLOW = ("keras", "tensorflow", "jax", "torch", "matplotlib", "nibabel", "scipy", "numpy")


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_answers_without_the_slow_imports(command):
    code = f"""
import sys
from synthtf.cli.main import main
try:
    main({[command, "--help"] if command else ["--help"]})
except SystemExit as stop:
    print("slow:", [name for name in {SLOW} if name in sys.modules], "status:", stop.code)
"""
    answer = run_python(code)
    assert "slow: [] status: 0" in answer.stdout, answer.stderr
    assert f"usage: synthtf {command}".strip() in answer.stdout
    assert answer.stderr == ""


def test_help_names_every_subcommand():
    text = build_parser().format_help()
    assert all(command in text for command in COMMANDS)


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"synthtf {synthtf.__version__}"


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["segment", "--nonsense"]])
def test_unknown_words_are_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "synthtf" in capsys.readouterr().err


def with_command(monkeypatch, action):
    """Let `synthtf info` run another function."""
    monkeypatch.setattr("synthtf.cli.info.run", action)
    return main(["info", "x"])


def raising(error):
    def action(args):
        raise error

    return action


@pytest.mark.parametrize(
    "error, status, line",
    [
        (ValueError("expected\n  three"), 1, "synthtf info: expected three"),
        (OSError(28, "No space left on device", "a b.nii"), 1, "No space left on device: a b.nii"),
        (UsageError("no such folder: x"), 2, "synthtf info: no such folder: x"),
        (KeyboardInterrupt(), 130, "synthtf info: interrupted"),
        (MemoryError(), 1, "synthtf info: out of memory"),
    ],
)
def test_errors_become_one_line(monkeypatch, capsys, error, status, line):
    assert with_command(monkeypatch, raising(error)) == status
    message = capsys.readouterr().err
    assert line in message
    assert message.count("\n") == 1


def test_debug_shows_the_traceback(monkeypatch, capsys):
    monkeypatch.setattr("synthtf.cli.info.run", raising(ValueError("expected x")))
    assert main(["info", "x", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_programming_errors_are_not_hidden(monkeypatch):
    with pytest.raises(TypeError, match="a bug"):
        with_command(monkeypatch, raising(TypeError("a bug")))


def test_warnings_are_one_line_and_each_is_shown(monkeypatch, capsys):
    def action(args):
        for _ in range(2):
            warnings.warn("the image is\nconstant", stacklevel=1)
        warnings.warn("for developers", DeprecationWarning, stacklevel=1)
        return 0

    assert with_command(monkeypatch, action) == 0
    assert capsys.readouterr().err == "warning: the image is constant\n" * 2
    with pytest.warns(UserWarning, match="back to normal"):
        warnings.warn("back to normal", stacklevel=1)


def test_usage_errors_wrap_what_arguments_show_to_be_wrong():
    with pytest.raises(UsageError, match="No such file or directory: x"), usage_errors():
        raise FileNotFoundError(2, "No such file or directory", "x")
    with pytest.raises(KeyError), usage_errors():
        raise KeyError("a bug")


def test_out_of_memory_of_tensorflow_is_recognised():
    error = RuntimeError("{{function_node}} OOM when allocating tensor with shape[1,24,256,256]")
    assert describe(error).startswith("out of memory")
