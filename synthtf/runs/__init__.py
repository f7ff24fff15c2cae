"""Trained networks: on disk, and in memory."""

from synthtf.lazy import loader

_MODULES = {"Run": "run", "as_run": "run"}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
