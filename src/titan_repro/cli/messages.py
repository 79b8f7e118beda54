"""Errors as one line for the person at the terminal."""

import re

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException


def one_line(error: Exception) -> str:
    """Say in one line what is wrong and what is allowed."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _missing(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _composition(error)
    return " ".join(str(error).split())


def _missing(error: MissingConfigException) -> str:
    """`selector/tytan` is not there: name the group and what exists in it."""
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = ", ".join(sorted(error.options or ()))
    return f"{group or 'configuration'}: found {name!r}; allowed: {options}"


def _composition(error: Exception) -> str:
    """Hydra and OmegaConf say what was wrong in the first lines, then give internals."""
    text = str(error)
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        text = f"{text}\n{cause}"
    kept = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith(("reference_type", "object_type", "To append", "See http")):
            continue
        if line.startswith("full_key:"):
            key = line.removeprefix("full_key:").strip()
            if key and not any(key in other for other in kept):
                kept.insert(0, key)
            continue
        if line not in kept:
            kept.append(line)
    return re.sub(r"\s+", " ", ": ".join(dict.fromkeys(kept)))
