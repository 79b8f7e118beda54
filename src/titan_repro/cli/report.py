"""`titan-report`: tables and figures from run folders."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from titan_repro.errors import ConfigurationError, UserError

if TYPE_CHECKING:
    from titan_repro.analysis.replay import Device, Replay
    from titan_repro.boards.round_work import RoundCounter


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
    again = commands.add_parser(
        "replay", help="time, energy and memory of finished runs on another device"
    )
    again.add_argument("runs", type=Path, metavar="RUNS", help="folder of run folders")
    again.add_argument("--device", metavar="NAME", help="the same as device=NAME")
    again.add_argument(
        "overrides",
        nargs="*",
        metavar="device=NAME",
        help="the device, and any of its constants, as titan-run takes them",
    )
    again.set_defaults(call=_replay)
    fit = commands.add_parser(
        "calibration", help="the modelled board's constants, and its errors on the paper's numbers"
    )
    fit.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="also draw Figures 6 and 8 as modelled"
    )
    fit.set_defaults(call=_calibration)
    return parser


def _compare(options: argparse.Namespace) -> None:
    from titan_repro.analysis.comparison import comparison_report
    from titan_repro.analysis.load import load_runs
    from titan_repro.figures.curves import plot_comparison
    from titan_repro.figures.pictures import check_format

    if options.figure is not None:
        check_format(options.figure)
    runs = load_runs(options.runs)
    print(comparison_report(runs))
    if options.figure is not None:
        plot_comparison(runs, options.figure)
        print(f"\nFigure: {options.figure}")


def _table1(options: argparse.Namespace) -> None:
    from titan_repro.analysis.load import load_runs
    from titan_repro.figures.table1 import table1

    print(table1(load_runs(options.runs, budget=options.budget)))


def _replay(options: argparse.Namespace) -> None:
    from titan_repro.analysis.load import load_runs
    from titan_repro.figures.replay import replay_report

    named = [] if options.device is None else [f"device={options.device}"]
    device = _device([*named, *options.overrides])
    print(replay_report(options.runs, load_runs(options.runs), device, _count_rounds))


def replay_on(*overrides: str) -> "Replay":
    """Return what replays runs on the device that overrides such as "device=jetson_nano" name."""
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
