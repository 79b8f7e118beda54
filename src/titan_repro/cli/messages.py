"""Errors as one line for the person at the terminal."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException

from titan_repro.config import RULES
from titan_repro.errors import ConfigurationError

_NOISE = ("full_key:", "reference_type", "object_type", "To append", "See http", "Set the env")


def check_working_folder() -> None:
    """Raise ConfigurationError if the working folder, where relative paths lead, is deleted."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise ConfigurationError(
            "working folder: found one that has been deleted; allowed: one that is there, cd to it"
        ) from None


def one_line(error: Exception) -> str:
    """Say in one line what is wrong and what is allowed."""
    match error:
        case MissingConfigException(missing_cfg_file=str(file)):
            return _missing(file, error.options or ())
        case OverrideParseException():
            return _unreadable(error.override)
        case ConfigCompositionException():
            return _override(error)
        case OmegaConfBaseException(full_key=str(key)) if key:
            return f"{key}: {_first_lines(str(error))}"
        case HydraException() | OmegaConfBaseException():
            return _first_lines(str(error))
        case OSError(filename=str(file), strerror=str(reason)):
            return f"{file}: {reason}"
    return " ".join(str(error).split())


def _missing(file: str, options: Sequence[str]) -> str:
    """`selector/tytan` is not there: name the group and what exists in it."""
    group, _, name = file.rpartition("/")
    allowed = ", ".join(sorted(options)) or "none, there is no file for it"
    return f"{group or 'configuration'}: found {name!r}; allowed: {allowed}"


def _unreadable(override: str) -> str:
    return (
        f"{override}: cannot be read; allowed: KEY=VALUE, with two pairs of quotes around a "
        "VALUE that holds blanks, commas, brackets or the like: 'KEY=\"one, two\"'"
    )


def _override(error: ConfigCompositionException) -> str:
    """An override that cannot be merged: no such key, or a value of the wrong type."""
    text = str(error)
    several = re.match(r"Ambiguous value for argument '(.*)'", text)
    if several:
        return f"{several[1]}: several values are a sweep, which needs -m"
    cause = error.__cause__
    needed = re.search(r"Error merging override ~([\w.]+)", text)
    if needed and "does not support deletion" in f"{text} {cause}":
        key = needed[1]
        return f"{key}: found ~{key}; allowed: {key}=VALUE, as the key has to be there"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return f"{unknown[1]}: no such key; titan-run --cfg job prints all keys"
    known = re.search(r"An item is already at '([^']+)'", text)
    if known:
        return f"{known[1]}: is a key already; leave out the +"
    key, found = getattr(cause, "full_key", None), _found(str(cause))
    if key and found:
        return f"{key}: found {found}; allowed: {_allowed(key, str(cause))}"
    return _first_lines(f"{text}\n{cause}" if cause is not None else text)


def _found(cause: str) -> str | None:
    """Return the value that OmegaConf could not put in its place."""
    if "is not Optional" in cause:
        return "null"
    texts = (
        r"Value ('.*') of type '.*' could not be converted",
        r"Value ('.*') is not a valid bool",
        r"is not a subclass of \w+\.?[\s\S]*value: (.*)",
        r"Invalid value ('.*'), expected one of",
    )
    matches = (re.search(text, cause) for text in texts)
    return next((match[1] for match in matches if match), None)


def _allowed(key: str, cause: str) -> str:
    if "is not a valid bool" in cause:
        return "true, false"
    if "is not a subclass of" in cause:
        return f"only its parts can be set, {key}.PART=VALUE; titan-run --cfg job prints them"
    names = re.search(r"expected one of \[(.*)\]", cause)
    rule = next((rule.allowed for rule in RULES if rule.key == key), None)
    return names[1] if names else rule or "anything but null"


def _first_lines(text: str) -> str:
    """Hydra and OmegaConf say what is wrong, then give internals: leave those out."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_NOISE)]
    return " ".join(": ".join(dict.fromkeys(kept)).split())
