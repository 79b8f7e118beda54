"""Idle traces from a file, such as a recording of what a phone's other applications took."""

import csv
from collections.abc import Iterator
from pathlib import Path

from titan_repro.boards.idle import IdleTrace
from titan_repro.errors import ConfigurationError, DataError

HEADER = ["seconds", "share"]


def from_csv(path: str, repeat_seconds: float | None = None) -> IdleTrace:
    """Read a trace: columns `seconds`, increasing from 0, and `share`, 0 to 1, from then on.

    path: of the file, UTF-8, with a header. repeat_seconds: when the trace starts again; None: the
    last share stays, since a file does not say how long it lasts.
    Raises DataError naming file and line, or ConfigurationError for `repeat_seconds`.
    """
    file = Path(path).expanduser()
    begins: list[float] = []
    shares: list[float] = []
    for where, fields in _rows(file):
        seconds, share = _numbers(fields, where)
        if not begins and seconds != 0:
            raise DataError(f"{where}: found seconds {seconds:g}; allowed: 0 in the first row")
        if begins and not begins[-1] < seconds < float("inf"):
            raise DataError(f"{where}: found seconds {seconds:g}; allowed: above {begins[-1]:g}")
        if not 0 <= share <= 1:
            raise DataError(f"{where}: found share {share:g}; allowed: 0 to 1")
        begins.append(seconds)
        shares.append(share)
    if not begins:
        raise DataError(f"idle.path: {file}: found no rows; allowed: at least one")
    if repeat_seconds is not None and not begins[-1] < repeat_seconds < float("inf"):
        raise ConfigurationError(
            f"idle.repeat_seconds: found {repeat_seconds!r}; allowed: null, or above the "
            f"{begins[-1]:g} of the last row of {file}"
        )
    return IdleTrace(tuple(begins), tuple(shares), repeat_seconds)


def _rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the fields of each row after the header, and where it is; empty lines do not count."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"idle.path: {file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise DataError(f"idle.path: {file}: found bytes that are no UTF-8 text") from None
    for number, fields in enumerate(csv.reader(lines), start=1):
        where = f"idle.path: {file}: line {number}"
        row = [field.strip() for field in fields]
        if number == 1 and row != HEADER:
            raise DataError(f"{where}: found {','.join(row)[:40]!r}; allowed: {','.join(HEADER)}")
        if number > 1 and any(row):
            yield where, row


def _numbers(fields: list[str], where: str) -> tuple[float, float]:
    if len(fields) != len(HEADER):
        raise DataError(f"{where}: found {len(fields)} fields; allowed: 2, {' and '.join(HEADER)}")
    try:
        seconds, share = map(float, fields)
    except ValueError:
        raise DataError(f"{where}: found {','.join(fields)[:40]!r}; allowed: two numbers") from None
    return seconds, share
