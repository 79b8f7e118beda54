"""`titan-data list` says of a task where it is, how much of it, and how to get it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from titan_repro.errors import DataError
from titan_repro.tasks.base import Loader, Source, counts, locate

if TYPE_CHECKING:
    import pandas as pd


def summarise(
    task: str, loader: Loader, data: Path, cache: Path | None, *, by_class: bool
) -> Iterator[str]:
    """Yield the lines about a task; with `by_class`, its samples by class and split too."""
    yield task
    try:
        source = locate(loader, data)
    except DataError as error:
        yield f"  not here  {error}"
        if loader.download_mb is not None:
            yield f"  download  titan-data fetch {task} ({loader.download_mb:,.1f} MB)"
    else:
        yield f"  found     {describe_source(source)}"
        yield from _samples(loader, source, cache, by_class)
    yield f"  licence   {loader.licence}"


def describe_source(source: Source) -> str:
    """Return a source's form, place and size on disk."""
    if not source.files:
        return source.form
    return f"{source.form} in {_place(source.files)}, {_megabytes(source.files):,.1f} MB"


def _samples(loader: Loader, source: Source, cache: Path | None, by_class: bool) -> Iterator[str]:
    try:
        table = _count(loader, source, cache)
    except DataError as error:
        yield f"  damaged   {error}"
        return
    sums = ", ".join(f"{split} {table[split].sum():,}" for split in table)
    yield f"  samples   {sums}; {_spread(table)}"
    if by_class:
        yield from (f"    {line}" for line in table.map("{:,}".format).to_string().splitlines())


def _count(loader: Loader, source: Source, cache: Path | None) -> "pd.DataFrame":
    count = getattr(loader, "count", None)
    table: pd.DataFrame = count(source) if count else counts(loader.load(source, cache))
    return table


def _spread(table: "pd.DataFrame") -> str:
    """Return the number of classes and the size of the smallest and largest in training."""
    least, most = table["train"].min(), table["train"].max()
    size = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"{len(table)} classes of {size} training samples"


def _place(files: tuple[Path, ...]) -> str:
    """Return the one file, or the folder that holds all files."""
    return os.path.commonpath([file.absolute() for file in files])


def _megabytes(files: tuple[Path, ...]) -> float:
    """Return the size of files and of all that is in folders, in millions of bytes."""
    inside = (below for file in files if file.is_dir() for below in file.rglob("*"))
    every = [file for file in (*files, *inside) if file.is_file()]
    return sum(file.stat().st_size for file in every) / 1e6
