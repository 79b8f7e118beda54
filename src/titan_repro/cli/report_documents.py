"""`titan-report figures`, `page`, `reproduction`, and all of them at once, `results`."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from titan_repro.errors import ConfigurationError

if TYPE_CHECKING:
    from titan_repro.analysis.replay import Replay
    from titan_repro.figures.page.evidence import Evidence


def add_documents(
    commands: Any,
    replay_on: "Callable[..., Replay]",
    board_numbers: Callable[[], Mapping[str, float]],
) -> None:
    """Add the commands to the parser of titan-report.

    replay_on: see `analysis.clocks.choose_clock`. board_numbers: what the modelled board says of
    the paper's numbers about its device.
    """

    def gather(options: argparse.Namespace) -> "Evidence":
        from titan_repro.figures.page.evidence import gather

        return gather(options.source, replay_on, board_numbers())

    def results(options: argparse.Namespace) -> bool:
        drawn = _figures(options, replay_on)  # first, as it refuses what is neither
        evidence = gather(options)
        page = _page(evidence, options, options.folder / "index.html")
        return all([drawn, page, _reproduction(evidence, options, options.reproduction)])

    def add(name: str, make: Callable[[argparse.Namespace], bool], words: str) -> Any:
        command = commands.add_parser(name, help=words)
        command.add_argument(
            "source", type=Path, metavar="SOURCE", help="an export, or folder of run folders"
        )
        command.add_argument(
            "--check",
            action="store_true",
            help="write nothing; exit status 1 if a file is another than SOURCE gives",
        )
        command.set_defaults(call=lambda options: None if make(options) else sys.exit(1))
        return command

    _folder(
        add(
            "figures", lambda each: _figures(each, replay_on), "all figures and tables, in a folder"
        )
    )
    page = add(
        "page",
        lambda each: _page(gather(each), each, each.output),
        "all results on one HTML page: claims, Table 1, curves, costs, every run",
    )
    _file(page, "--output", Path("results", "index.html"))
    text = add(
        "reproduction",
        lambda each: _reproduction(gather(each), each, each.output),
        "the report of the reproduction: what was run, what came out, doubts",
    )
    _file(text, "--output", REPRODUCTION)
    every = add("results", results, "all of these at once, sooner than one by one")
    _folder(every)
    _file(every, "--reproduction", REPRODUCTION)


REPRODUCTION = Path("REPRODUCTION.md")


def _folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("results"),
        metavar="FOLDER",
        help="(%(default)s)",
    )


def _file(command: argparse.ArgumentParser, option: str, default: Path) -> None:
    command.add_argument(
        option, type=Path, default=default, metavar="FILE", help="what to write (%(default)s)"
    )


def _figures(options: argparse.Namespace, replay_on: "Callable[..., Replay]") -> bool:
    """Draw all figures, or hold them against what is there; return whether that is the same."""
    from titan_repro.figures.gallery import differing, draw_all, drawn_elsewhere, write_gallery

    gallery = draw_all(options.source, replay_on)
    for line in gallery.kept:
        print(f"titan-report: {line}", file=sys.stderr)
    if not options.check:
        changed = write_gallery(gallery, options.folder)
        print(f"{options.folder}: {len(gallery.files)} files, {len(changed)} of them changed")
        return True
    for name in drawn_elsewhere(gallery, options.folder):
        print(f"titan-report: {name}: not compared, drawn by other versions", file=sys.stderr)
    differ = differing(gallery, options.folder)
    for name in differ:
        print(f"{options.folder / name}: differs from what {options.source} gives")
    if not differ:
        print(f"{options.folder}: {len(gallery.files)} files are what {options.source} gives")
    return not differ


def _page(evidence: "Evidence", options: argparse.Namespace, output: Path) -> bool:
    from titan_repro.figures.page.build import page

    return _put(options, output, page(evidence, output))


def _reproduction(evidence: "Evidence", options: argparse.Namespace, output: Path) -> bool:
    from titan_repro.figures.reproduction import reproduction

    return _put(options, output, reproduction(evidence))


def _put(options: argparse.Namespace, output: Path, text: str) -> bool:
    """Write a document, or hold it against what is there; return whether that is the same."""
    if not options.check:
        _write(output, text.encode())
        return True
    there = output.read_bytes() if output.is_file() else None
    if there == text.encode():
        return True
    found = "is not there" if there is None else f"is not what {options.source} gives"
    print(f"titan-report: {output} {found}", file=sys.stderr)
    return False


def _write(output: Path, content: bytes) -> None:
    """Write a document, whole or not at all, and say how large it is."""
    from titan_repro.files import write_atomically

    try:
        with write_atomically(output) as file:
            file.write(content)
    except OSError as error:
        raise ConfigurationError(
            f"--output: {output}: cannot be written ({error.strerror})"
        ) from None
    print(f"{output}: {len(content) / 1000:,.0f} kB")
