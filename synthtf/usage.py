"""Wrong usage: what the arguments alone show to be wrong."""

import contextlib
from collections.abc import Iterator

from synthtf.messages import describe


class UsageError(ValueError):
    """The arguments cannot be right, whatever the files hold: exit status 2."""


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a ValueError or OSError of the block, or of a function, into wrong usage."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UsageError(describe(error)) from error
