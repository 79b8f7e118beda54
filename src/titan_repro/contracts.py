"""What a class of one's own has to have, checked by name before data are loaded."""

import inspect
from typing import Any

from titan_repro.errors import ConfigurationError


def check_methods(key: str, thing: Any, contract: type) -> None:
    """Raise ConfigurationError unless `thing` has the methods of a protocol, with its arguments.

    key: of the node that names the class. thing: an object, or its class where objects need data.
    """
    for name, method in vars(contract).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        wanted = [each for each in inspect.signature(method).parameters if each != "self"]
        usage = f"{name}({', '.join(wanted)})"
        own = getattr(thing, name, None)
        if not callable(own):
            raise ConfigurationError(
                f"{key}: {_name(thing)} has no method {name}; allowed: classes with {usage}"
            )
        given = wanted if not inspect.isclass(thing) else ["self", *wanted]
        try:
            inspect.signature(own).bind(*given)
        except TypeError:
            raise ConfigurationError(
                f"{key}: found {_name(thing)}.{name}{inspect.signature(own)}; allowed: {usage}"
            ) from None


def check_attribute(key: str, thing: Any, name: str, kind: type, allowed: str) -> None:
    """Raise ConfigurationError unless the attribute `name` of `thing` is of a kind."""
    missing = object()
    value = getattr(thing, name, missing)
    if value is missing:
        raise ConfigurationError(f"{key}: {_name(thing)} has no {name}; allowed: {allowed}")
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"{key}: found {name} {value!r} of {_name(thing)}; allowed: {allowed}"
        )


def _name(thing: Any) -> str:
    kind = thing if inspect.isclass(thing) else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"
