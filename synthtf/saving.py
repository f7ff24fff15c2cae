"""Saved models: Keras finds synthtf's classes after `import synthtf` alone.

Keras looks up the classes of a file by the names under which they were registered, and imports
no package other than its own. synthtf's modules load on first use: an unknown name that starts
with "synthtf>" makes them load. Keras itself is not imported here; if it comes later, it is
extended then.
"""

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

# Parts of the package that define classes for Keras.
_PARTS = (
    *("layers", "losses", "metrics", "networks", "optimizers", "published", "synthesis", "tasks"),
)
_REGISTRY = "keras.src.saving.object_registration"


def install() -> None:
    """Let Keras look for synthtf's classes, now or when it is imported."""
    if _REGISTRY in sys.modules:
        _extend(sys.modules[_REGISTRY])
    else:
        sys.meta_path.insert(0, _Finder())


def import_classes() -> None:
    """Import every module that may define a class for Keras."""
    import pkgutil

    for part in _PARTS:
        module = importlib.import_module(f"synthtf.{part}")
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
            importlib.import_module(found.name)


def _extend(registry: ModuleType) -> None:
    """Let the look-up of an unknown class name import synthtf's classes."""
    look_up = registry.get_registered_object

    @functools.wraps(look_up)
    def get_registered_object(name: Any, *args: Any, **kwargs: Any) -> Any:
        found = look_up(name, *args, **kwargs)
        if found is None and str(name).startswith("synthtf>"):
            import_classes()
            found = look_up(name, *args, **kwargs)
        return found

    registry.get_registered_object = get_registered_object


class _Finder:
    """Waits for Keras, whose backend it checks, to import its registry of classes."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Find the registry as Python does, with a loader that extends it.

        Raises:
            BackendError: if Keras is imported, and its backend is not installed.
        """
        if name == "keras":
            from synthtf.startup import check_backend

            check_backend()
        if name != _REGISTRY:
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader:
    """Loads a module by another loader, then extends it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        self.loader.exec_module(module)
        _extend(module)
