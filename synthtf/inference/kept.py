"""What is made from a network once, and lives as long as the network does."""

import functools
from collections.abc import Callable
from typing import Any

_NAME = "_kept_by_synthtf"


class _Holder:
    """Hides the results from Keras, which saves the models in the containers of a model."""

    def __init__(self) -> None:
        self.results: dict[tuple, Any] = {}


def kept_with_network(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of a network, and of arguments that can be hashed, compute once for each.

    The network holds the results. A cache of the module would hold the last networks instead, with
    all that was compiled for them, after everybody else has dropped them.

    Args:
        function: its first argument is the network.

    Returns:
        Function of the same arguments.
    """

    @functools.wraps(function)
    def find(network: Any, *args: Any) -> Any:
        # Not by assignment: Keras refuses or tracks what is assigned to a model.
        results = vars(network).setdefault(_NAME, _Holder()).results
        if (function, args) not in results:
            results[function, args] = function(network, *args)
        return results[function, args]

    return find
