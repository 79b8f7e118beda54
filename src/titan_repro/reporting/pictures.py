"""Saving a figure, for every picture of this package."""

from pathlib import Path
from typing import Any

from titan_repro.errors import ConfigurationError
from titan_repro.files import write_atomically
from titan_repro.reporting.style import pyplot

FORMATS = ("png", "pdf", "svg")


def check_format(path: Path) -> None:
    """Raise ConfigurationError unless the file's ending is one that can be drawn."""
    if path.suffix.removeprefix(".") not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ConfigurationError(f"--figure: found {path}; allowed endings: {allowed}")


def save(figure: Any, path: Path) -> None:
    """Write the figure in the format of the file's ending, and close it.

    Raises ConfigurationError for another kind of file, or one that cannot be written.
    """
    check_format(path)
    try:
        with write_atomically(path) as file:
            figure.savefig(file, format=path.suffix.removeprefix("."))
    except OSError as error:
        raise ConfigurationError(
            f"--figure: {path}: cannot be written ({error.strerror})"
        ) from None
    finally:
        pyplot().close(figure)
