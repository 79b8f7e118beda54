"""Saving a figure, for every picture of this package."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from titan_repro.errors import ConfigurationError
from titan_repro.figures.style import pyplot
from titan_repro.files import write_atomically

FORMATS = ("png", "pdf", "svg")


def drawn_by() -> str:
    """Name what decides the bytes of a picture beside its data: the drawing libraries."""
    import matplotlib as mpl
    import PIL
    from matplotlib import ft2font

    versions = (mpl.__version__, PIL.__version__, ft2font.__freetype_version__)
    return "matplotlib {}, Pillow {}, FreeType {}".format(*versions)


def check_format(path: Path, option: str = "--figure") -> None:
    """Raise ConfigurationError unless the file's ending is one that can be drawn.

    option: of the command, that names the file.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise ConfigurationError(f"{option}: found {path}; allowed endings: {allowed}")


def rows_of_two(titles: Sequence[str], size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """Return a figure with a row for each title, and the axes, two a row.

    size: width and height of a row, in inches.
    """
    width, height = size
    figure = pyplot().figure(figsize=(width, height * len(titles)))
    rows = figure.subfigures(len(titles), 1, squeeze=False)[:, 0]
    for row, title in zip(rows, titles, strict=True):
        row.suptitle(textwrap.fill(title, 110), fontsize="medium")
    return figure, [axes for row in rows for axes in row.subplots(1, 2)]


def logarithmic(axes: Any, which: Literal["x", "y"] = "y") -> None:
    """Make an axis logarithmic, with numbers as people write them at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def key_across(axes: Any, columns: int, **more: Any) -> None:
    """Write the legend side by side at the top, inside the axes; more: as `Axes.legend` has it."""
    tight = {"handlelength": 1.0, "handletextpad": 0.5, "columnspacing": 1.2}
    axes.legend(loc="upper left", ncols=columns, borderaxespad=0.0, **tight, **more)


def save_picture(figure: Any, *paths: Path) -> None:
    """Write the figure into each file, in the format of its ending, and close it.

    The bytes follow from the figure and the libraries that `drawn_by` names, and that the file
    names, too; no date is in them. Raises ConfigurationError for another kind of file, or one that
    cannot be written.
    """
    for path in paths:
        check_format(path)
    try:
        for path in paths:
            _save(figure, path)
    finally:
        pyplot().close(figure)


def _save(figure: Any, path: Path) -> None:
    kind = path.suffix.removeprefix(".")
    try:
        with write_atomically(path) as file:
            figure.savefig(file, format=kind, metadata=_metadata(kind))
    except OSError as error:
        raise ConfigurationError(
            f"--figure: {path}: cannot be written ({error.strerror})"
        ) from None


def _metadata(kind: str) -> dict[str, str | None]:
    """Return what is written into a file of one of FORMATS: who drew it, and no date."""
    by = drawn_by()
    written: dict[str, dict[str, str | None]] = {
        "png": {"Software": by},
        "pdf": {"CreationDate": None, "Producer": by},
        "svg": {"Date": None, "Creator": by},
    }
    return written[kind]
