"""NumPy arrays where tensors are expected."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops, tree


def takes_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of tensors take NumPy arrays on every backend.

    TensorFlow and JAX add arrays to tensors and multiply them; PyTorch refuses some of that and
    warns of the rest.

    Args:
        function: takes tensors, or lists of them.

    Returns:
        The function itself, but on PyTorch.

    Example:
        >>> @takes_arrays
        ... def twice(x):
        ...     return 2 * x
        >>> keras.ops.convert_to_numpy(twice(np.ones(2))).tolist()
        [2.0, 2.0]
    """
    if keras.backend.backend() != "torch":
        return function

    @functools.wraps(function)
    def converted(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree.map_structure(_as_tensor, (args, kwargs))
        return function(*args, **kwargs)

    return converted


def _as_tensor(value: Any) -> Any:
    return ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value
