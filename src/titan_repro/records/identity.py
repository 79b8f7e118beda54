"""The name of a run: a digest of everything that can change its result."""

import hashlib
import json
import math
from collections.abc import Mapping

from titan_repro.errors import ConfigurationError


def run_id(identity: Mapping[str, object]) -> str:
    """Return 12 hexadecimal digits that are equal exactly when two identities are.

    The order of keys does not count, a tuple equals a list, and a whole number is the same as int
    and as float: `1` and `1.0` mean the same in a configuration. `True` differs from `1`.
    Raises ConfigurationError, naming the key, for values that JSON has no word for.
    """
    canonical = json.dumps(
        _canonical(identity, ""), sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _canonical(value: object, key: str) -> object:
    """Return `value` in the one form that stands for all its equals; `key` is for the message."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return int(value) if value.is_integer() else value
        case Mapping():
            return {
                _name(k, key): _canonical(v, f"{key}.{k}".lstrip(".")) for k, v in value.items()
            }
        case list() | tuple():
            return [_canonical(item, f"{key}[{i}]") for i, item in enumerate(value)]
    raise ConfigurationError(
        f"{key}: {value!r} ({type(value).__name__}) cannot be part of a run's identity; allowed "
        "are null, true, false, finite numbers, text, lists and mappings"
    )


def _name(key: object, parent: str) -> str:
    if isinstance(key, str):
        return key
    raise ConfigurationError(
        f"{parent or 'identity'}: the key {key!r} is a {type(key).__name__}; keys must be text"
    )
