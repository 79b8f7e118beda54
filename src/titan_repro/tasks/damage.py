"""Reading everything that belongs to a task, to find what is damaged."""

from collections.abc import Iterator
from pathlib import Path

from titan_repro.errors import DataError
from titan_repro.tasks.base import Loader, Source
from titan_repro.tasks.parquet import read_through


def find_damage(loader: Loader, source: Source) -> Iterator[str]:
    """Read all files of `source`, never the cache, and yield one line for each damaged one.

    A loader with its own `find_damage` does so. Otherwise each parquet file is read through, and
    if none is broken the task is loaded, which ends at the first file that is wrong.
    """
    own = getattr(loader, "find_damage", None)
    yield from own(source) if own else _find_damage(loader, source)


def _find_damage(loader: Loader, source: Source) -> Iterator[str]:
    broken = [line for file in source.files if (line := _unreadable(file))]
    yield from broken
    if not broken:
        try:
            loader.load(source, None)
        except DataError as error:
            yield str(error)


def _unreadable(file: Path) -> str | None:
    """Return what is wrong with a parquet file as a file, None for other files."""
    if file.suffix != ".parquet":
        return None
    try:
        read_through(file)
    except DataError as error:
        return str(error)
    return None
