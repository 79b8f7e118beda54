"""A figure of the paper is one module of this package, found by its name.

Such a module has
    EXPERIMENTS            names of conf/experiment that make the runs it shows
    load(source, replay_on)  reads what it shows from a folder
    tables(data)           returns its numbers as Tables
    panels(data)           returns an empty matplotlib figure, and its axes
    draw(data, axes)       draws on these axes
A module without `panels` and `draw`, such as table1, is a table and no picture. One whose numbers
do not fit a screen has
    details(data)          returns all of them as Tables to compute with, for a CSV file
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import titan_repro.figures
from titan_repro.analysis.replay import Replay
from titan_repro.errors import ConfigurationError
from titan_repro.figures.pictures import check_format, save_picture
from titan_repro.figures.table import Table

OURS = ("gain", "equal_time", "why", "selection", "effects", "schedule")
"""Figures that the paper does not have."""

ReplayOn = Callable[[str], Replay]
"""Replays runs on the device that an override such as "device=jetson_nano" names."""


class Figure(Protocol):
    """What a figure's module offers; see above."""

    EXPERIMENTS: Sequence[str]

    def load(self, source: Path, replay_on: ReplayOn) -> Any:
        """Read what is shown from the folder `source`. Raises RunFolderError if it is not there."""

    def tables(self, data: Any) -> list[Table]:
        """Return the numbers."""

    def panels(self, data: Any) -> tuple[Any, Sequence[Any]]:
        """Return an empty figure of the right size, and its axes."""

    def draw(self, data: Any, axes: Sequence[Any]) -> None:
        """Draw on the axes of `panels`."""


def names() -> list[str]:
    """Return the names of all figures and tables: the paper's have a number, OURS have none."""
    modules = (module.name for module in pkgutil.iter_modules(titan_repro.figures.__path__))
    known = [name for name in modules if name.rstrip("0123456789") in ("fig", "table")]
    numbered = [name for name in known if name[-1].isdigit()]
    return [*sorted(numbered, key=lambda name: (len(name), name)), *OURS]


def find(name: str) -> Figure:
    """Return the module of a figure. Raises ConfigurationError for a name that is none."""
    if name not in names():
        raise ConfigurationError(f"NAME: found {name}; allowed: {', '.join(names())}")
    return cast(Figure, importlib.import_module(f"titan_repro.figures.{name}"))


def is_picture(figure: Figure) -> bool:
    """Return whether a figure can be drawn."""
    return hasattr(cast(ModuleType, figure), "draw")


def draw_to(figure: Figure, data: Any, *paths: Path) -> None:
    """Draw a figure into files, each of the kind that its ending names.

    Raises ConfigurationError for another kind of file, or one that cannot be written.
    """
    for path in paths:
        check_format(path)
    picture, axes = figure.panels(data)
    figure.draw(data, axes)
    save_picture(picture, *paths)
