"""`titan-report`: tables and figures from run folders."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from titan_repro.cli.messages import check_working_folder
from titan_repro.cli.parsing import OneLineParser
from titan_repro.cli.report_documents import add_documents
from titan_repro.cli.report_runs import add_commands
from titan_repro.cli.version import ShowVersion
from titan_repro.errors import ConfigurationError, UserError
from titan_repro.failures import as_user_error

if TYPE_CHECKING:
    from titan_repro.analysis.load import Runs
    from titan_repro.analysis.replay import Device, Replay
    from titan_repro.boards.round_work import RoundCounter


def main(arguments: Sequence[str] | None = None) -> None:
    """Console entry point.

    Exit status 0, or one line and: 2 something to mend, 1 this program failed, 130 interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        check_working_folder()
        options.call(options)
        sys.stdout.flush()
    except UserError as error:
        print(f"titan-report: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the tables has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("titan-report: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        failure = as_user_error(error)
        print(f"titan-report: {failure}", file=sys.stderr)
        sys.exit(failure.exit_status)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="titan-report", description="Tables and figures from the run folders of titan-run."
    )
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare", help="selectors side by side, for every task and model under RUNS"
    )
    _reads_runs(compare)
    _prints_tables(compare)
    _figure_option(compare, "also draw the accuracy curves (.png .pdf .svg)")
    compare.set_defaults(call=_compare)
    table = commands.add_parser("table1", help="the paper's Table 1, its own numbers beside ours")
    _reads_runs(table)
    _prints_tables(table)
    table.set_defaults(call=_table1)
    figure = commands.add_parser("figure", help="a figure of the paper: its tables and a picture")
    figure.add_argument("name", metavar="NAME", help="such as fig7; a wrong name lists all")
    figure.add_argument("runs", type=Path, metavar="RUNS", help="folder that titan-run wrote to")
    _figure_option(figure, "the picture, .png .pdf or .svg (results/NAME.png)")
    figure.set_defaults(call=_figure)
    chosen = commands.add_parser(
        "selection", help="what selectors chose: classes, noise, samples never, overlap"
    )
    _runs_and_rounds(chosen)
    _prints_tables(chosen)
    _figure_option(chosen, "also draw it (.png .pdf .svg)")
    chosen.set_defaults(call=_selection)
    again = commands.add_parser(
        "replay", help="time, energy and memory of finished runs on another device"
    )
    _runs_and_rounds(again)
    again.add_argument("--device", metavar="NAME", help="the same as device=NAME")
    again.add_argument(
        "overrides",
        nargs="*",
        metavar="device=NAME",
        help="the device, and any of its constants, as titan-run takes them",
    )
    again.set_defaults(call=_replay)
    claims = commands.add_parser("claims", help="a verdict on each of the paper's claims")
    claims.add_argument(
        "runs", type=Path, metavar="RUNS", help="folder of run folders, or an export"
    )
    claims.add_argument("--verdict", metavar="VERDICT", help="only those of it, such as 'holds'")
    _prints_tables(claims)
    claims.set_defaults(call=_claims)
    add_commands(commands)
    add_documents(commands, replay_on, board_numbers)
    fit = commands.add_parser(
        "calibration", help="the modelled board's constants, and its errors on the paper's numbers"
    )
    fit.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="also draw Figures 6 and 8 as modelled"
    )
    fit.set_defaults(call=_calibration)
    return parser


def _runs_and_rounds(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "runs", type=Path, metavar="RUNS", help="folder of run folders, or an export of them"
    )
    command.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="count runs after N rounds (default: what most runs of a setting have)",
    )


def _load(options: argparse.Namespace) -> "Runs":
    """Read the runs, and say on standard error what of them the report leaves out."""
    from titan_repro.analysis.load import load_runs

    runs = load_runs(options.runs, options.rounds)
    for line in runs.remarks():
        print(f"titan-report: {line}", file=sys.stderr)
    return runs


def _reads_runs(command: argparse.ArgumentParser) -> None:
    _runs_and_rounds(command)
    command.add_argument(
        "--clock",
        metavar="CLOCK",
        help="what times rounds: a costs.json of experiment=fig6, a modelled device "
        "(jetson_nano), or measured (each run's own); by default the only costs.json under RUNS "
        "of the same task and model, else measured",
    )


def _prints_tables(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=("markdown", "html", "latex", "csv"),
        default="markdown",
        help="of the tables (%(default)s)",
    )


def _figure_option(command: argparse.ArgumentParser, words: str) -> None:
    command.add_argument("--figure", type=Path, metavar="FILE", help=words)


def _compare(options: argparse.Namespace) -> None:
    from titan_repro.analysis.clocks import choose_clock
    from titan_repro.figures import fig7
    from titan_repro.figures.comparison import comparison_tables
    from titan_repro.figures.figure import draw_to, find
    from titan_repro.figures.pictures import check_format
    from titan_repro.figures.table import render

    if options.figure is not None:
        check_format(options.figure)
    runs = _load(options)
    choose = choose_clock(options.clock, options.runs, runs, replay_on)
    print(render(comparison_tables(runs, choose), options.format))
    if options.figure is not None:
        draw_to(find("fig7"), fig7.Data(runs, choose), options.figure)
        print(f"\nFigure: {options.figure}", file=_aside(options.format))


def _table1(options: argparse.Namespace) -> None:
    from titan_repro.analysis.clocks import choose_clock
    from titan_repro.figures import table1
    from titan_repro.figures.table import render

    runs = _load(options)
    choose = choose_clock(options.clock, options.runs, runs, replay_on)
    print(render(table1.tables(table1.Data([runs], choose)), options.format))


def _figure(options: argparse.Namespace) -> None:
    from titan_repro.figures.figure import draw_to, find, is_picture
    from titan_repro.figures.pictures import check_format
    from titan_repro.figures.table import render

    figure = find(options.name)
    path = options.figure or Path("results", f"{options.name}.png")
    if is_picture(figure):
        check_format(path)
    elif options.figure is not None:
        raise ConfigurationError(f"--figure: found {path}; {options.name} has tables alone")
    data = figure.load(options.runs, replay_on)
    tables = render(figure.tables(data))
    if is_picture(figure):
        draw_to(figure, data, path)
        tables += f"\n\nFigure: {path}"
    print(tables)


def _selection(options: argparse.Namespace) -> None:
    from titan_repro.analysis.selection_stats import selection_stats
    from titan_repro.figures.figure import draw_to, find
    from titan_repro.figures.pictures import check_format
    from titan_repro.figures.table import render

    if options.figure is not None:
        check_format(options.figure)
    figure = find("selection")
    stats = selection_stats(_load(options))
    print(render(figure.tables(stats), options.format))
    if options.figure is not None:
        draw_to(figure, stats, options.figure)
        print(f"\nFigure: {options.figure}", file=_aside(options.format))


def _claims(options: argparse.Namespace) -> None:
    from titan_repro.claims.comparisons import Verdict
    from titan_repro.claims.evidence import ClaimEvidence
    from titan_repro.claims.verdicts import judgements
    from titan_repro.figures.claims import verdict_table
    from titan_repro.figures.table import render

    allowed = [str(verdict) for verdict in Verdict]
    if options.verdict not in (None, *allowed):
        raise ConfigurationError(
            f"--verdict: found {options.verdict}; allowed: {', '.join(allowed)}"
        )
    evidence = ClaimEvidence(options.runs)
    for line in evidence.damaged:
        print(f"titan-report: left out, damaged: {line}", file=sys.stderr)
    only = None if options.verdict is None else Verdict(options.verdict)
    whole = options.format != "markdown"
    print(render([verdict_table(judgements(evidence), only, whole=whole)], options.format))


def _aside(table_format: str) -> TextIO:
    """Return where to print what is no table: beside tables that a program reads, stderr."""
    return sys.stdout if table_format == "markdown" else sys.stderr


def _replay(options: argparse.Namespace) -> None:
    from titan_repro.figures.replay import replay_tables
    from titan_repro.figures.table import render

    named = [] if options.device is None else [f"device={options.device}"]
    replay = replay_on(*named, *options.overrides)
    print(render(replay_tables(_load(options), replay)))


@cache
def replay_on(*overrides: str) -> "Replay":
    """Return what replays runs on the device that overrides such as "device=jetson_nano" name.

    The same one for the same overrides, as it knows what it has replayed.
    """
    from titan_repro.analysis.replay import Replay

    return Replay(_device(list(overrides)), _count_rounds)


def _calibration(options: argparse.Namespace) -> None:
    from titan_repro.boards.board import read_board
    from titan_repro.boards.paper_model import paper_setups
    from titan_repro.figures.board import board_figures
    from titan_repro.figures.calibration import calibration_report

    modelled, setups = _profile(["device=jetson_nano"])["modelled"], paper_setups()
    print(calibration_report(modelled, setups))
    if options.figures is not None:
        drawn = board_figures(read_board(modelled), setups, options.figures)
        print("\nFigures: " + ", ".join(map(str, drawn)))


def board_numbers() -> dict[str, float]:
    """Return what the modelled Jetson Nano says of each of the paper's numbers about its device."""
    from titan_repro.boards.board import read_board
    from titan_repro.boards.paper_model import modelled_numbers, paper_setups

    board = read_board(_profile(["device=jetson_nano"])["modelled"])
    return modelled_numbers(board, paper_setups())


def _profile(overrides: list[str]) -> dict[str, Any]:
    """Compose a device profile as titan-run does."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from titan_repro.cli.messages import one_line
    from titan_repro.conf_path import conf_dir
    from titan_repro.config import plain, register_schema

    register_schema()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            profile: dict[str, Any] = plain(compose("config", overrides).device)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigurationError(one_line(error)) from error
    return profile


def _device(overrides: list[str]) -> "Device":
    from titan_repro.analysis.replay import Device
    from titan_repro.boards.board import read_board

    for override in overrides:
        if not override.lstrip("+").startswith(("device=", "device.")):
            raise ConfigurationError(f"{override}: allowed here: device=NAME, device.KEY=VALUE")
    if not any(override.startswith("device=") for override in overrides):
        raise ConfigurationError("device: not given; replay RUNS device=jetson_nano")
    profile = _profile(overrides)
    modelled = profile.get("modelled")
    board = None if modelled is None else read_board(modelled)
    return Device(profile["name"], profile["tensors"], profile["threads"], board)


def _count_rounds(config: Mapping[str, Any]) -> "RoundCounter":
    """Build the counter of a run's network and selector from its config.yaml."""
    from omegaconf import OmegaConf

    from titan_repro.runs.counter import build_counter

    return build_counter(OmegaConf.create(dict(config)))


if __name__ == "__main__":
    main()
