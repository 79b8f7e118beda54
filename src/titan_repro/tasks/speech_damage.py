"""Reading every recording of a speech task, to name all that are damaged and not only the first."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from titan_repro.errors import DataError
from titan_repro.tasks.base import Source
from titan_repro.tasks.parallel_decoding import EncodedFile
from titan_repro.tasks.parquet import read_through
from titan_repro.tasks.speech_recordings import Recordings, train_and_test

Item = TypeVar("Item")


def damaged_recordings(
    source: Source,
    folder: Path,
    words: Sequence[str],
    list_parts: Callable[[], Mapping[str, Recordings]],
    decode: Callable[[EncodedFile], object],
) -> Iterator[str]:
    """Yield one line for each damaged file or recording of the official parts.

    Parquet files are read through first; where one is broken, recordings are not looked at. Words
    that have no recordings give a line at the end.
    """
    broken = False
    for line in _complaints(read_through, [f for f in source.files if f.suffix == ".parquet"]):
        broken = True
        yield line
    if broken:
        return
    try:
        parts = list_parts()
        for part, recordings in parts.items():
            files = tqdm(
                recordings.encoded(), part, len(recordings), leave=False, unit="file", disable=None
            )
            yield from _complaints(decode, files)
        train_and_test(parts, "drop", words, folder)
    except DataError as error:
        yield str(error)


def _complaints(read: Callable[[Item], object], items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        try:
            read(item)
        except DataError as error:
            yield str(error)
