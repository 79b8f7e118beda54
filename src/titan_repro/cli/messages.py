"""Errors as one line for the person at the terminal."""

import re

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException

from titan_repro.config import RULES

_NOISE = ("full_key:", "reference_type", "object_type", "To append", "See http", "Set the env")


def one_line(error: Exception) -> str:
    """Say in one line what is wrong and what is allowed."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _missing(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {_first_lines(error.message)}"
    if isinstance(error, ConfigCompositionException):
        return _override(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _first_lines(str(error))
    return " ".join(str(error).split())


def _missing(error: MissingConfigException) -> str:
    """`selector/tytan` is not there: name the group and what exists in it."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = ", ".join(sorted(error.options or ()))
    return f"{group or 'configuration'}: found {name!r}; allowed: {options}"


def _override(error: ConfigCompositionException) -> str:
    """An override that cannot be merged: no such key, or a value of the wrong type."""
    text = str(error)
    cause = error.__cause__
    key = getattr(cause, "full_key", None) or ""
    wrong_type = re.search(r"Value '(.*)' of type '.*' could not be converted", str(cause))
    rule = next((rule for rule in RULES if rule.key == key), None)
    if wrong_type and rule is not None:
        return f"{key}: found {wrong_type[1]!r}; allowed: {rule.allowed}"
    not_bool = re.search(r"Value '(.*)' is not a valid bool", str(cause))
    if not_bool:
        return f"{key}: found {not_bool[1]!r}; allowed: true, false"
    missing = re.search(r"Could not override '([^']+)'", text)
    if missing:
        return f"{missing[1]}: no such key; titan-run --cfg job prints all keys"
    return _first_lines(f"{text}\n{cause}" if cause is not None else text)


def _first_lines(text: str) -> str:
    """Hydra and OmegaConf say what is wrong, then give internals: leave those out."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_NOISE)]
    return " ".join(": ".join(dict.fromkeys(kept)).split())
