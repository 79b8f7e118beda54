"""All figures and tables of a place, drawn into one folder: `titan-report figures`.

Files that cannot be drawn from what is there stay as they are, and a line says why.
"""

import re
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from titan_repro.errors import ConfigurationError, RunFolderError
from titan_repro.figures.figure import ReplayOn, draw_to, find, is_picture, names
from titan_repro.figures.pictures import drawn_by
from titan_repro.figures.table import Format, Table, render
from titan_repro.files import write_atomically
from titan_repro.records.collect import collect
from titan_repro.records.measured import FILES

BOARD = "device=jetson_nano"
PICTURES = (".png", ".pdf")
FORMATS_OF_TABLES: Mapping[str, Format] = {
    ".md": "markdown",
    ".html": "html",
    ".tex": "latex",
    ".csv": "csv",
}
"""Of a figure that is a table and no picture; the tables of a picture are in Markdown alone, its
details, where it has them, in CSV alone."""

HEADING = "<!-- Made by `titan-report figures`; changes are lost. -->"


@dataclass(frozen=True)
class Gallery:
    """What was drawn: files' contents by name; kept: why others were not, a line each."""

    files: Mapping[str, bytes]
    kept: tuple[str, ...]


def draw_all(source: Path, replay_on: ReplayOn) -> Gallery:
    """Draw every figure and table that the runs and measurements below `source` allow.

    Raises RunFolderError if there is no such folder, or nothing in it.
    """
    if not source.is_dir():
        raise RunFolderError(f"{source}: no such folder; allowed: run folders, or an export")
    if not collect(source).runs and not any(next(source.rglob(file), None) for file in FILES):
        raise RunFolderError(f"{source}: found no runs and no measurements; titan-run makes them")
    files: dict[str, bytes] = {}
    kept = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names():
            try:
                files |= _figure(name, source, replay_on, Path(scratch))
            except RunFolderError as error:
                kept.append(f"{name} stays as it is: {error}")
        files |= _without_runs(replay_on, Path(scratch))
    return Gallery(files, tuple(kept))


def _figure(name: str, source: Path, replay_on: ReplayOn, scratch: Path) -> dict[str, bytes]:
    """Return the files of one figure: tables, and pictures where it is one."""
    figure = find(name)
    data = figure.load(source, replay_on)
    tables = figure.tables(data)
    if not is_picture(figure):
        return {f"{name}{end}": _text(tables, kind) for end, kind in FORMATS_OF_TABLES.items()}
    paths = [scratch / f"{name}{end}" for end in PICTURES]
    draw_to(figure, data, *paths)
    pictures = {path.name: path.read_bytes() for path in paths}
    shown = f"![{name}]({name}.png)".encode()
    files = {f"{name}.md": _text(tables, "markdown", shown), **pictures}
    if hasattr(figure, "details"):
        files[f"{name}.csv"] = _text(figure.details(data), "csv")
    return files


def _text(tables: list[Table], kind: Format, picture: bytes = b"") -> bytes:
    text = render(tables, kind).encode() + b"\n"
    if kind != "markdown":
        return text
    return b"\n\n".join([HEADING.encode(), *([picture] if picture else []), text])


def _without_runs(replay_on: ReplayOn, scratch: Path) -> dict[str, bytes]:
    """Return what follows from no runs: the modelled board's figures, and the paper's theory."""
    from titan_repro.boards.paper_model import paper_setups
    from titan_repro.figures.board import board_figures
    from titan_repro.figures.theory import theory_words

    board = replay_on(BOARD).device.board
    drawn = [] if board is None else board_figures(board, paper_setups(), scratch)
    theory = {"theory.txt": theory_words().encode() + b"\n"}
    return {path.name: path.read_bytes() for path in drawn} | theory


def write_gallery(gallery: Gallery, folder: Path) -> list[str]:
    """Write the files into a folder, which is made; return the names of those that changed.

    Raises ConfigurationError if one cannot be written.
    """
    changed = differing(gallery, folder, alike=False)
    for name in changed:
        try:
            with write_atomically(folder / name) as file:
                file.write(gallery.files[name])
        except OSError as error:
            raise ConfigurationError(
                f"FOLDER: {folder / name}: cannot be written ({error.strerror})"
            ) from None
    return changed


def differing(gallery: Gallery, folder: Path, *, alike: bool = True) -> list[str]:
    """Return the names of files in a folder that differ from what was drawn, or are not there.

    alike: whether pictures that other versions of the drawing libraries made count as the same, as
    their bytes cannot be compared; `drawn_elsewhere` names them.
    """
    elsewhere = set(drawn_elsewhere(gallery, folder)) if alike else set()
    return [
        name
        for name, content in gallery.files.items()
        if name not in elsewhere and not _same(_content(folder / name), content)
    ]


_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_INEXACT = re.compile(rb"-?\d+\.\d{7,}|(?<![\w.])-0(?![\w.])")


def _same(old: bytes | None, new: bytes) -> bool:
    """Return whether two files are the same: to the byte, or PDFs whose drawings agree to 1e-6.

    The solver behind matplotlib's layout adds in an order that differs from process to process,
    and a PDF has ten decimals of a point.
    """
    if old is None or old == new:
        return old is not None
    pdfs = all(content.startswith(b"%PDF") for content in (old, new))
    return pdfs and _drawing(old) == _drawing(new)


def _drawing(pdf: bytes) -> list[bytes]:
    """Return the streams of a PDF, numbers rounded to six decimals."""
    parts = []
    for found in _STREAM.finditer(pdf):
        with suppress(zlib.error):
            text = zlib.decompress(found[1])
            parts.append(_INEXACT.sub(_rounded, text))
    return parts


def _rounded(number: re.Match[bytes]) -> bytes:
    return b"%.12g" % (round(float(number[0]), 6) + 0.0)  # minus zero is zero


def drawn_elsewhere(gallery: Gallery, folder: Path) -> list[str]:
    """Return the names of pictures in a folder that other versions of the libraries drew."""
    here = drawn_by()
    return [
        name
        for name in gallery.files
        if Path(name).suffix in PICTURES
        and (content := _content(folder / name)) is not None
        and maker(content) not in (None, here)
    ]


_MAKER = re.compile(rb"(?:Software\0|/Producer \()(matplotlib [\w. ,-]*FreeType [\w.]+)")


def maker(content: bytes) -> str | None:
    """Return which libraries drew a PNG or PDF file, as `pictures.drawn_by` names them.

    None if it does not say, or is from before pictures did.
    """
    found = _MAKER.search(content)
    return None if found is None else found[1].decode()


def _content(path: Path) -> bytes | None:
    """Return what a file holds; None if it is not there."""
    try:
        return path.read_bytes()
    except OSError:
        return None
