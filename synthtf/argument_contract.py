"""The part of the layer contract about a layer's arguments and its signature."""

import math
import re
from collections.abc import Mapping
from typing import Any

from keras import ops, tree

from synthtf.arguments import arguments_of
from synthtf.layers.base import SynthesisLayer

# For a number without a limit.
_FAR = 1e6
_SENSELESS = (
    *(1e300, -1e300, 1e39, 1e7, math.nan, math.inf, 10**9, 2**31, 10**400, 1e-300, {}, "1" * 10**5),
    *(
        "1" * 10**5,
        [0, 1e300],
        [1, 10**9],
        [math.nan] * 2,
        [1] * 10**4,
        [[[[[[1]]]]]],
        [{}],
        [None],
    ),
)
_LARGEST = (1e6, [-1e6, 1e6], [1e6, 1e6], [0, 1e6], 1e3, 1e-3, [1e-3, 1e3], 128, 64, 20, 1, 0)


class ArgumentContract:
    """Promises about arguments: each is described, checked, stored and written down once.

    Attributes:
        layer: class under test.
        arguments: arguments of its constructor.
    """

    layer: type[SynthesisLayer]
    arguments: Mapping[str, Any] = {}

    def make_layer(self, **changes: Any) -> SynthesisLayer:
        """Make the layer under test, with some arguments changed."""
        return self.layer(**{"name": "tested", **self.arguments, **changes})

    def refusal(self, **changes: Any) -> str:
        """Return the message with which arguments are refused; empty if they are accepted."""
        try:
            self.make_layer(**changes)
        except ValueError as error:
            return str(error)
        return ""

    def test_arguments_are_said_once(self) -> None:
        """The signature says what each argument may be; each is stored as given."""
        layer, arguments = self.make_layer(), self.layer.arguments()
        config = layer.get_config()
        own = config.keys() - SynthesisLayer().get_config().keys()
        check(own == arguments.keys(), f"the config has {set(own)}, not {set(arguments)}")
        for name, argument in arguments.items():
            check(argument.parser is not None, f"the annotation of `{name}` says nothing")
            expected = argument.parse(self.arguments.get(name, argument.default))
            for found in (getattr(layer, name), config[name]):
                check(found == expected, f"`{name}` is {found!r}, expected {expected!r}")

    def test_defaults_are_said_once(self) -> None:
        """A default is in one signature, and not in the docstring."""
        own, base = (arguments_of(x.__init__) for x in (self.layer, self.layer.__base__))
        same = [name for name in own if name in base and own[name].default == base[name].default]
        check(own == base or not same, f"defaults repeated from the base: {same}")
        pattern = r"\b[Dd]efaults?:?( to| is)? [`\"'(\[\d-].*"
        found = re.search(pattern, self.layer.__doc__ or "")
        check(found is None, f"a default in the docstring: {found and found[0]}")

    def test_limits_are_those_of_the_signature(self) -> None:
        """Numbers are accepted up to their limits, if other arguments permit, and not beyond."""
        for name, own in self.make_layer().ranges().items():
            for limit, beyond in ((own.minimum, -1), (own.maximum, 1)):
                if math.isfinite(limit):
                    message = self.refusal(**{name: limit + beyond})
                    check(f"`{name}` must lie in" in message, f"{limit + beyond}: {message!r}")
                value = limit if math.isfinite(limit) else beyond * _FAR
                if isinstance(own.default, tuple):
                    value = (value, own.high) if beyond < 0 else (own.low, value)
                message = self.refusal(**{name: value})
                named = {n for n in self.layer.arguments() if re.search(f"`-?{n}`", message)}
                check(not message or len(named) > 1, f"an undeclared limit: {message}")

    def test_senseless_arguments(self) -> None:
        """Huge numbers, those that are not finite, and lists without end are refused by name."""
        for name in self.layer.arguments():
            for value in _SENSELESS:
                message = self.refusal(**{name: value})
                check(len(message.splitlines()) < 2, f"several lines for {name}={value!r:.80}")
                named = not message or any(f"`{n}`" in message for n in self.layer.arguments())
                check(named, f"{name}={value!r:.80} is not named: {message:.200}")

    def test_largest_arguments(self) -> None:
        """The largest numbers that are accepted make finite samples, in bounded memory."""
        inputs = self.make_inputs(2)
        for name, value in ((n, v) for n in self.layer.arguments() for v in _LARGEST):
            if self.refusal(**{name: value}):
                continue
            try:
                outputs = tree.flatten(self.make_layer(**{name: value})(*inputs))
            except ValueError as error:
                check("`" in str(error), f"{name}={value!r}: {error}")
                continue
            finite = [bool(ops.all(ops.isfinite(x))) for x in outputs]
            check(all(finite), f"not finite for {name}={value!r}")


def check(condition: bool, message: str) -> None:
    """Raise an AssertionError with a message unless a condition holds."""
    if not condition:
        raise AssertionError(message)
