"""Making the configurations of networks from dictionaries, such as `run.json` holds."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

Config = TypeVar("Config")


def from_options(config: type[Config], values: Mapping[str, Any], unknown: str) -> Config:
    """Make a configuration from names and values; what is left out keeps its default.

    Args:
        config: A dataclass.
        values: Attribute name to value.
        unknown: Message for a name that is none, with `{}` in place of the name.

    Returns:
        The configuration.

    Raises:
        ValueError: If a name is unknown, or a value is out of range.
    """
    known = [field.name for field in dataclasses.fields(config)]
    for name in values:
        if name not in known:
            raise ValueError(f"{unknown.format(repr(name))}; the options are {known}")
    return config(**values)
