"""`titan-data` lists, downloads, checks and draws data sets, and shares them over devices."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from titan_repro.cli.messages import check_working_folder, one_line
from titan_repro.cli.parsing import OneLineParser
from titan_repro.cli.version import ShowVersion
from titan_repro.conf_path import own_modules
from titan_repro.config import PathsConfig
from titan_repro.errors import ConfigurationError, UserError
from titan_repro.failures import as_user_error

# What imports torch is imported by the commands that need it, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status.

    0 done, 1 data are damaged or this program failed, 2 something to mend, 4 a loader of the
    user's own failed, 130 interrupted.
    """
    options = _parser().parse_args(arguments, argparse.Namespace(config_dir=None))
    logging.basicConfig(format="titan-data: %(message)s")
    logging.getLogger("titan_repro").setLevel(logging.INFO)
    try:
        check_working_folder()
        with own_modules(options.config_dir):
            status: int = options.command(options)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"titan-data: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("titan-data: interrupted; the same command begins again", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the program that reads our output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        failure = as_user_error(error)
        print(f"titan-data: {one_line(failure)}", file=sys.stderr)
        return failure.exit_status
    return status


def _parser() -> argparse.ArgumentParser:
    paths = PathsConfig()
    common = OneLineParser(add_help=False)
    common.add_argument(
        "--data",
        type=Path,
        default=Path(paths.data),
        metavar="DIR",
        help="folder with the data sets (default: TITAN_DATA, else data/; now %(default)s)",
    )
    common.add_argument(
        "--cache",
        type=Path,
        default=paths.cache and Path(paths.cache),
        metavar="DIR",
        help="folder for prepared data (default: %(default)s)",
    )
    own = OneLineParser(add_help=False)
    own.add_argument(
        "--config-dir",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,  # so that a command leaves what stands before it
        help="folder with tasks of your own, task/NAME.yaml, and the Python modules that they name",
    )
    parser = OneLineParser(
        prog="titan-data",
        parents=[own],
        description="The data sets that titan-run trains on.",
        epilog="Exit status: 0 done, 1 data are damaged or this program failed, 2 something to "
        "mend, 4 a loader of your own failed, 130 interrupted. TITAN_TRACEBACK=1 shows where a "
        "failure of 1 or 4 comes from.",
    )
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "list",
        parents=[common, own],
        help="say what is found where, how much, and how to get the rest",
    )
    command.add_argument(
        "tasks", nargs="*", metavar="TASK", help="only these, with samples by class"
    )
    command.set_defaults(command=_list)

    command = commands.add_parser(
        "fetch",
        parents=[common, own],
        help="download, verify and unpack; say how where only you may",
    )
    command.add_argument("task", metavar="TASK")
    command.set_defaults(command=_fetch)

    command = commands.add_parser(
        "check", parents=[common, own], help="read everything anew and report each damaged file"
    )
    command.add_argument("task", metavar="TASK")
    command.set_defaults(command=_check)

    command = commands.add_parser(
        "show", parents=[common, own], help="draw training samples of every class"
    )
    command.add_argument("task", metavar="TASK")
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="PNG, PDF or SVG file (default: TASK.png)"
    )
    command.set_defaults(command=_show)

    command = commands.add_parser(
        "devices",
        parents=[common, own],
        help="share training samples out over devices; print a table",
    )
    command.add_argument("task", metavar="TASK")
    command.add_argument(
        "--by",
        choices=("classes", "dirichlet", "user"),
        default="classes",
        help="equal shares of a few classes each (default), shares drawn from a Dirichlet "
        "distribution, or real users where the data has them",
    )
    command.add_argument(
        "--devices", type=int, metavar="N", help="default: 50 (paper), or one for every user"
    )
    command.add_argument("--classes", type=int, default=5, metavar="K", help="default: 5 (paper)")
    command.add_argument("--alpha", type=float, default=0.5, metavar="A", help="default: 0.5")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="default: 0")
    command.set_defaults(command=_devices)
    return parser


def _list(options: argparse.Namespace) -> int:
    from titan_repro.cli.catalogue import make_loader, task_names
    from titan_repro.cli.data_summary import summarise

    for task in options.tasks or task_names(options.config_dir):
        loader = make_loader(task, options.config_dir)
        by_class = bool(options.tasks)
        for line in summarise(task, loader, options.data, options.cache, by_class=by_class):
            print(line, flush=True)
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from titan_repro.cli.catalogue import make_loader
    from titan_repro.cli.data_summary import describe_source
    from titan_repro.tasks.base import locate

    loader = make_loader(options.task, options.config_dir)
    loader.fetch(options.data)
    print(f"{options.task}: {describe_source(locate(loader, options.data))}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from titan_repro.cli.catalogue import make_loader
    from titan_repro.cli.data_summary import describe_source
    from titan_repro.tasks.base import find_damage, locate

    loader = make_loader(options.task, options.config_dir)
    source = locate(loader, options.data)
    damaged = 0
    for line in find_damage(loader, source):
        print(line, flush=True)
        damaged += 1
    verdict = f"{damaged} damaged" if damaged else "everything read, nothing damaged"
    print(f"{options.task}: {verdict} ({describe_source(source)})")
    return 1 if damaged else 0


def _show(options: argparse.Namespace) -> int:
    from titan_repro.cli.catalogue import make_loader
    from titan_repro.figures.pictures import check_format
    from titan_repro.figures.samples import plot_samples
    from titan_repro.tasks.base import locate

    output = options.output or Path(f"{options.task}.png")
    check_format(output, "--output")
    loader = make_loader(options.task, options.config_dir)
    task = loader.load(locate(loader, options.data), options.cache)
    plot_samples(task, output)
    print(output)
    return 0


_OPTIONS = {
    "partition.devices": "--devices",
    "partition.classes_per_device": "--classes",
    "partition.alpha": "--alpha",
}
"""What a user types for a key of streams/partition.py."""


def _devices(options: argparse.Namespace) -> int:
    from titan_repro.cli.catalogue import make_loader
    from titan_repro.streams.partition import by_classes, by_user, count_by_device, dirichlet
    from titan_repro.tasks.base import locate

    loader = make_loader(options.task, options.config_dir)
    task = loader.load(locate(loader, options.data), options.cache)
    if options.by == "user" and task.train.user_ids is None:
        raise ConfigurationError(
            f"--by: found user; allowed with {options.task}: classes, dirichlet, as its data name "
            "no users"
        )
    labels, seed = task.train.labels, options.seed
    devices = 50 if options.devices is None else options.devices
    try:
        if options.by == "user":
            parts = by_user(task.train.user_ids, options.devices, seed)
        elif options.by == "dirichlet":
            parts = dirichlet(labels, devices, options.alpha, seed)
        else:
            parts = by_classes(labels, devices, options.classes, seed)
    except ConfigurationError as error:
        key, separator, rest = str(error).partition(": ")
        raise ConfigurationError(f"{_OPTIONS.get(key, key)}{separator}{rest}") from error
    print(count_by_device(parts, labels, task.classes).to_string())
    return 0
