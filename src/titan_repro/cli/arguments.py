"""The command line of titan-run, brought into the order that Hydra reads."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from titan_repro.errors import ConfigurationError

NOT_OURS = {
    "hydra.run.dir": "the run folder is made by titan-run itself; allowed: paths.runs=FOLDER",
    "hydra.output_subdir": "a run's configuration is in its run folder; allowed: leave it out",
    "hydra.job.chdir": "titan-run stays in its folder; allowed: paths.runs=FOLDER",
}
"""Hydra's keys that would make folders beside those of runs."""


def arranged(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with options before KEY=VALUE, where Hydra looks for them.

    Raises ConfigurationError for options that there are not, and for keys that are not for users.
    """
    parser = _parser()
    options: list[str] = []
    overrides: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        options.append(argument)
        action = parser._option_string_actions.get(argument)
        if action is not None and action.nargs is None:  # its value is the next argument
            options += [value for value in [next(waiting, None)] if value is not None]
    for override in overrides:
        _check_key(override)
    _parse([*options, *overrides])
    return [*options, *overrides]


def config_folder(arguments: Sequence[str]) -> Path | None:
    """Return the folder that --config-dir names in arranged arguments, None without one."""
    named = _parse(arguments).config_dir
    return None if named is None else Path(named).absolute()


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse all but --version, which Hydra would answer with its own."""
    return _parser().parse_args([each for each in arguments if each != "--version"])


def _parser() -> argparse.ArgumentParser:
    def refuse(message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; titan-run --help lists keys and options")

    parser: argparse.ArgumentParser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser


def _check_key(override: str) -> None:
    key = re.split("[=@:]", override.lstrip("+~"), maxsplit=1)[0]
    if key in NOT_OURS:
        raise ConfigurationError(f"{key}: {NOT_OURS[key]}")
    if override.startswith("+experiment."):
        raise ConfigurationError(
            f"{key}: no such key: nothing reads it; an experiment's keys are those of its file"
        )
