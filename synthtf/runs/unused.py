"""Memory of networks that nobody uses any more."""

import gc
import itertools

EVERY = 8
"""Networks that are read between two clearings, which look at every object of the process."""

_reads = itertools.count(1)


def discard_unused_networks() -> None:
    """Free networks that were dropped, with what was compiled for them.

    Networks and their graphs refer to each other in circles, which Python clears too seldom: it
    counts objects, and most of a network lies in a few large ones outside its sight. What reads a
    network calls this first, so that a process may use one after another.
    """
    if next(_reads) % EVERY == 0:
        gc.collect()
