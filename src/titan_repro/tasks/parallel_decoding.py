"""Decoding many small files by several threads into one tensor, with a progress bar.

Threads suffice: decoders and torch release Python's lock while they work.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from torch import Tensor
from tqdm import tqdm

BATCH = 32
"""Files that a thread decodes at a time: 2 MB of audio."""


@dataclass(frozen=True)
class EncodedFile:
    """A recording or picture on disk: its name for messages, and how to read its bytes."""

    name: str
    read: Callable[[], bytes]


def decode_into(
    out: Tensor,
    files: Iterable[EncodedFile],
    decode: Callable[[list[EncodedFile]], Tensor],
    title: str,
) -> None:
    """Fill out (N, *shape) with N decoded files, in order.

    decode: from n files to a tensor (n, *shape) of out's type; called by several threads at once.
        Its first exception, in the order of the files, ends the work.
    title: names the progress bar, drawn on standard error if that is a terminal.

    `files` is read only as far ahead as needed, so it may hold a shard of a data set at a time.
    """
    threads = _cores()

    def fill(start: int, batch: list[EncodedFile]) -> int:
        out[start : start + len(batch)] = decode(batch)
        return len(batch)

    waiting: deque[Future[int]] = deque()
    with (
        tqdm(total=len(out), desc=title, unit="file", disable=None, leave=False) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        for start, batch in _batches(files):
            waiting.append(pool.submit(fill, start, batch))
            if len(waiting) > 2 * threads:
                bar.update(waiting.popleft().result())
        while waiting:
            bar.update(waiting.popleft().result())


def _batches(files: Iterable[EncodedFile]) -> Iterator[tuple[int, list[EncodedFile]]]:
    """Yield (index of the first file, the next BATCH files)."""
    remaining = iter(files)
    start = 0
    while batch := list(islice(remaining, BATCH)):
        yield start, batch
        start += len(batch)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
