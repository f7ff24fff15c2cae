"""One-line messages on the standard error stream."""

import contextvars
import sys

TRACEBACKS = contextvars.ContextVar("tracebacks", default=False)
"""Whether the traceback of a failure is shown beside its message."""

_LONGEST = 600  # what a damaged file holds may be of any length


def print_line(text: str) -> None:
    """Print one line to the standard error stream, above a progress bar if there is one."""
    text = " ".join(str(text).split())
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr)


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
    if isinstance(error, ValueError | OSError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
