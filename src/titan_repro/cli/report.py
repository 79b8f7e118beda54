"""`titan-report`: tables and figures from run folders."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from titan_repro.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Console entry point. Exit status 0, or 2 with one line for something to mend."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.call(options)
    except UserError as error:
        print(f"titan-report: {error}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="titan-report", description="Tables and figures from the run folders of titan-run."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare", help="selectors side by side, for every task and model under RUNS"
    )
    compare.add_argument("runs", type=Path, metavar="RUNS", help="folder of run folders")
    compare.add_argument(
        "--figure", type=Path, metavar="FILE", help="also draw the accuracy curves (.png .pdf .svg)"
    )
    compare.set_defaults(call=_compare)
    table = commands.add_parser("table1", help="the paper's Table 1, as Markdown")
    table.add_argument("runs", type=Path, metavar="RUNS", help="folder of run folders")
    table.add_argument("--budget", help="only runs of this budget")
    table.set_defaults(call=_table1)
    return parser


def _compare(options: argparse.Namespace) -> None:
    from titan_repro.reporting.comparison import comparison_report
    from titan_repro.reporting.curves import check_format, plot_comparison
    from titan_repro.reporting.load import load_runs

    if options.figure is not None:
        check_format(options.figure)
    runs = load_runs(options.runs)
    print(comparison_report(runs))
    if options.figure is not None:
        plot_comparison(runs, options.figure)
        print(f"\nFigure: {options.figure}")


def _table1(options: argparse.Namespace) -> None:
    from titan_repro.reporting.load import load_runs
    from titan_repro.reporting.table1 import table1

    print(table1(load_runs(options.runs, budget=options.budget)))


if __name__ == "__main__":
    main()
