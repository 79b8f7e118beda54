"""Errors that are the user's to mend: one clear line, exit status 2, no traceback.

The message names the key or file, what was found there and what is allowed.
"""


class UserError(Exception):
    """Something outside the program is wrong: configuration, data or a run folder."""


class ConfigurationError(UserError):
    """A configuration value, or a combination of values, that cannot be run."""


class DataError(UserError):
    """Data that is missing, damaged or of the wrong shape."""


class RunFolderError(UserError):
    """A run folder that is in use, damaged or belongs to other data."""
