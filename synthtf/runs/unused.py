"""Memory of networks that nobody uses any more."""

import gc


def discard_unused_networks() -> None:
    """Free networks that were dropped, with what was compiled for them.

    Networks and their graphs refer to each other in circles, which Python clears too seldom: it
    counts objects, and most of a network lies in a few large ones outside its sight. What reads a
    network calls this first, so that a process may use one after another.
    """
    gc.collect()
