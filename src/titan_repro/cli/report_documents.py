"""`titan-report page` and `reproduction`: all results in one document each."""

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
    """Add the two commands to the parser of titan-report.

    replay_on: see `analysis.clocks.choose_clock`. board_numbers: what the modelled board says of
    the paper's numbers about its device.
    """

    def gather(source: Path) -> "Evidence":
        from titan_repro.figures.page.evidence import gather

        return gather(source, replay_on, board_numbers())

    page = commands.add_parser(
        "page", help="all results on one HTML page: claims, Table 1, curves, costs, every run"
    )
    _takes(page, Path("results", "index.html"))
    page.set_defaults(call=lambda options: _page(gather(options.source), options))
    text = commands.add_parser(
        "reproduction", help="the report of the reproduction: what was run, what came out, doubts"
    )
    _takes(text, Path("REPRODUCTION.md"))
    text.set_defaults(call=lambda options: _reproduction(gather(options.source), options))


def _takes(command: argparse.ArgumentParser, output: Path) -> None:
    command.add_argument(
        "source", type=Path, metavar="SOURCE", help="an export, or folder of run folders"
    )
    command.add_argument(
        "--output", type=Path, default=output, metavar="FILE", help="what to write (%(default)s)"
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit status 1 unless FILE is what would be written",
    )


def _page(evidence: "Evidence", options: argparse.Namespace) -> None:
    from titan_repro.figures.page.build import page

    _put(options, page(evidence, options.output))


def _reproduction(evidence: "Evidence", options: argparse.Namespace) -> None:
    from titan_repro.figures.reproduction import reproduction

    _put(options, reproduction(evidence))


def _put(options: argparse.Namespace, text: str) -> None:
    """Write a document, or only hold it against what is there."""
    if not options.check:
        _write(options.output, text.encode())
        return
    there = options.output.read_bytes() if options.output.is_file() else None
    if there != text.encode():
        found = "is not there" if there is None else f"is not what {options.source} gives"
        print(f"titan-report: {options.output} {found}", file=sys.stderr)
        sys.exit(1)


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
