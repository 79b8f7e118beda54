"""Errors that are the user's to mend: one clear line, a fixed exit status, no traceback.

The message names the key or file, what was found there and what is allowed.
"""

from typing import Any


def shown(value: Any) -> str:
    """Return a value as it would be typed: null, true and false, and text in quotes."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return repr(value)


class UserError(Exception):
    """Something outside the program is wrong: configuration, data or a run folder."""

    exit_status = 2


class ConfigurationError(UserError):
    """A configuration value, or a combination of values, that cannot be run."""


class DataError(UserError):
    """Data that is missing, damaged or of the wrong shape."""


class RunFolderError(UserError):
    """A run folder that is in use, damaged or belongs to other data."""


class OwnCodeError(UserError):
    """A class of the user's own raised what it should not; the last checkpoint is good."""

    exit_status = 4


class UnexpectedError(UserError):
    """This package, or a library that it calls, raised what it should not."""

    exit_status = 1


class PipelineError(UserError):
    """A process of the pipeline failed, was killed or hung; the last checkpoint is good."""

    exit_status = 3
