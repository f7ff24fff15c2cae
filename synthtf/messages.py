"""One-line messages on the standard error stream."""

import codecs
import contextlib
import contextvars
import os
import sys

TRACEBACKS = contextvars.ContextVar("tracebacks", default=False)
"""Whether the traceback of a failure is shown beside its message."""

_LONGEST = 600  # what a damaged file holds may be of any length


_PLAIN = str.maketrans({"²": "^2", "³": "^3", "°": " deg", "±": "+-", "λ": "lambda", "µ": "u"})


def print_line(text: str) -> None:
    """Print one line to the standard error stream, above a progress bar if there is one.

    If nobody can read the stream any more, nothing is printed and work goes on.
    """
    text = " ".join(str(text).split())
    with contextlib.suppress(OSError):
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)


def prepare_streams() -> None:
    """Let the standard streams take any text, whatever the terminal shows, and none be missing.

    A character that the terminal lacks is written in ASCII. A stream that the parent process
    closed leads nowhere; its number would else go to the next file that is opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error("synthtf", _in_ascii)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        with contextlib.suppress(AttributeError, ValueError):  # a stream of another kind, closed
            getattr(sys, name).reconfigure(errors="synthtf")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def describe(error: BaseException) -> str:
    """What an exception says, in one line.

    Example:
        >>> describe(ValueError("expected a file"))
        'expected a file'
        >>> describe(KeyError("x"))
        "KeyError: 'x'"
    """
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 200]} ... {text[-200:]}"
    if isinstance(error, MemoryError) and text.startswith("out of memory"):
        return text
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "OOM when" in text:
        return "out of memory: crop the scan, or use a machine with more memory"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, ValueError | OSError | ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
