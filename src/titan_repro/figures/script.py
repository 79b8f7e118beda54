"""What the scripts of the figures share: their command line, and errors in one line."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from titan_repro.errors import UserError
from titan_repro.figures.pictures import check_format


def figure_script(
    name: str,
    description: str,
    report: Callable[[Path, Path], str],
    arguments: Sequence[str] | None = None,
) -> None:
    """Run the script of a figure: records in, picture and table out.

    name: of the figure; the picture is results/<name>.png unless --figure names another.
    report: draws the records below the first path to the second, and returns what to print.
    Exit status 0, or 2 with one line for something to mend.
    """
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=description.split("\n")[0])
    parser.add_argument("runs", type=Path, metavar="RUNS", help="folder that titan-run wrote to")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        default=Path("results", f"{name}.png"),
        help="the picture, .png .pdf or .svg (%(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        check_format(options.figure)
        print(report(options.runs, options.figure))
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"\nFigure: {options.figure}")
