"""The steps of a recipe file: entries, and the layers that they stand for."""

import inspect
from typing import Any

import keras

from synthtf import layers
from synthtf.data.shipped_models import nearest
from synthtf.layers.base import SynthesisLayer

# Of an entry that are not arguments of its layer.
_LAYER, _NAME, _MODULE = "layer", "name", "module"
# Of a layer's config that an entry does without: the recipe's, or Keras'.
_NOT_WRITTEN = ("spacing", "seed", "dtype", "trainable", "name")
_LAST = ("probability",)


def as_step(step: Any, number: int) -> SynthesisLayer:
    """Make a layer of an entry, or name one."""
    if isinstance(step, SynthesisLayer):
        return remake(step, name=step.name if step.named else step.default_step_name())
    if not isinstance(step, dict):
        raise ValueError(
            f"step {number}: must be a synthesis layer (a subclass of "
            f"`synthtf.layers.SynthesisLayer`) or an entry of a recipe file. Received: {step!r}"
        )
    if not isinstance(step.get(_LAYER), str):
        raise ValueError(f'step {number}: an entry must name its "layer". Received: {step!r}')
    layer = _find_layer(step[_LAYER], step.get(_MODULE), number)
    name = step.get(_NAME, layer.default_step_name())
    if not isinstance(name, str) or not name or "/" in name or "." in name:
        raise ValueError(f"step {number}: `name` must be a name. Received: name={name!r}")
    where = f"step {number}, `{name}`"
    arguments = {k: v for k, v in step.items() if k not in (_LAYER, _NAME, _MODULE)}
    check_known(arguments, layer, where)
    try:
        return layer(**arguments, name=name)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from None


def _find_layer(name: str, module: Any, number: int) -> type[SynthesisLayer]:
    """Find the class of a layer by its name, without importing anything.

    That is the name of a layer of `synthtf.layers`, or the name under which Keras knows another.
    """
    own = {n for n in layers.__all__ if getattr(getattr(layers, n), "gives", ())}
    found = getattr(layers, name) if name in own else keras.saving.get_registered_object(name)
    if inspect.isclass(found) and issubclass(found, SynthesisLayer):
        return found
    if ">" in name:
        where = f"the module {module}" if module else f"the package {name.split('>')[0]}"
        raise ValueError(
            f"step {number}: the layer {name!r} is not known. Import {where} before the recipe is "
            "read, or name it with --plugin on the command line: a recipe file alone imports "
            "nothing"
        )
    raise ValueError(
        f"step {number}: there is no layer {name!r}{nearest(name, own)}; "
        "layers of other packages are written as package>Name"
    )


def check_known(arguments: dict[str, Any], layer: Any, where: str) -> None:
    """Refuse arguments that a layer does not have, or that the recipe gives."""
    known = [name for name in _arguments(layer) if name not in _NOT_WRITTEN]
    for name in arguments:
        if name not in known:
            raise ValueError(
                f"{where}: there is no argument `{name}`{nearest(name, known)}; "
                f"the layer has {', '.join(known)}"
            )


def _arguments(layer: Any) -> dict[str, Any]:
    """Defaults of the arguments of a layer's own, by name."""
    return {name: argument.default for name, argument in layer.arguments().items()}


def remake(step: SynthesisLayer, **changes: Any) -> SynthesisLayer:
    """Make a step again, with changes.

    Raises:
        ValueError: if a value does not fit.
    """
    try:
        return type(step).from_config({**step.get_config(), **changes})
    except TypeError as error:
        # Keras wraps what the constructor says.
        if isinstance(error.__context__, ValueError):
            raise error.__context__ from None
        raise


def as_entry(step: SynthesisLayer) -> dict[str, Any]:
    """Give the entry of a step: the layer, and what differs from its defaults."""
    layer = type(step)
    own = getattr(layers, layer.__name__, None) is layer
    entry: dict[str, Any] = {
        _LAYER: layer.__name__ if own else keras.saving.get_registered_name(layer)
    }
    if not own:
        entry[_MODULE] = layer.__module__
    if step.name != layer.default_step_name():
        entry[_NAME] = step.name
    config = step.get_config()
    for name, argument in sorted(layer.arguments().items(), key=lambda item: item[0] in _LAST):
        given = argument.default is not inspect.Parameter.empty
        if name in _NOT_WRITTEN or (given and config[name] == argument.parse(argument.default)):
            continue
        value = config[name]
        constant = argument.limits and isinstance(value, tuple) and value[0] == value[1]
        entry[name] = _plain(value[0] if constant else value)
    return entry


def _plain(value: Any) -> Any:
    """Give what JSON makes of a value, with whole numbers as such."""
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
