"""`titan-run`: compose a configuration, run it, print a summary."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from titan_repro.cli.messages import one_line
from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema
from titan_repro.errors import UserError

_refused: list[str] = []
"""Jobs of this process that could not be run."""


def main() -> None:
    """Console entry point. Exit status 0 done, 2 something to mend, 130 or 143 interrupted."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through: they are put into words below
    register_schema()
    command = hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
    try:
        command(_job)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _refuse(error)
    except ValueError as error:
        if not _raised_by_hydra(error):
            raise
        _refuse(error)
    except KeyboardInterrupt:
        print("titan-run: interrupted; no round had been begun or lost", file=sys.stderr)
        sys.exit(130)
    if _refused:
        sys.exit(2)


def _refuse(error: Exception) -> None:
    print(f"titan-run: {one_line(error)}", file=sys.stderr)
    _refused.append(one_line(error))


def _raised_by_hydra(error: Exception) -> bool:
    """Whether an override that Hydra itself stumbles over is to blame, such as `=3`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals["__name__"].startswith("hydra.")


def _job(config: DictConfig) -> None:
    """Run one job of the command line or of a sweep; a sweep goes on after one that is refused."""
    from titan_repro.experiments.run import InterruptedRun, run  # torch: not needed for --help

    try:
        outcome = run(config, sys.argv, _observers(config))
    except InterruptedRun as stop:
        print(_summary(stop.outcome.summary, str(stop.outcome.folder), already_there=False))
        print("The same command goes on from here.")
        sys.stdout.flush()
        sys.exit(128 + stop.signal)
    except UserError as error:
        if multiprocessing.parent_process() is not None:
            raise  # a launcher's worker: the sweep's own process reports it
        _refuse(error)
        return
    print(_summary(outcome.summary, str(outcome.folder), already_there=outcome.already_there))


def _observers(config: DictConfig) -> list[Any]:
    from titan_repro.cli.progress import ProgressBar

    title = f"{config.task.name} {config.model.name} {config.selector.name} seed {config.seed}"
    observers: list[Any] = [ProgressBar(title)]
    if config.tensorboard:
        from titan_repro.cli.tensorboard import TensorBoardLog

        observers.append(TensorBoardLog())
    return observers


def _summary(summary: Mapping[str, Any], folder: str, *, already_there: bool) -> str:
    """Say in a few lines how the run ended and where it is."""
    head = (
        f"{summary['task']} {summary['model']} {summary['selector']} seed {summary['seed']}: "
        f"{summary['status']}{' before, not run again' if already_there else ''}, "
        f"{summary['rounds_done']} of {summary['rounds']} rounds"
    )
    lines = [head]
    if summary["final_accuracy"] is not None:
        lines.append(
            f"  accuracy {100 * summary['final_accuracy']:.2f} % "
            f"on {summary['final_samples']} test samples"
        )
    lines.append(
        f"  {1000 * summary['seconds_per_round']:.1f} ms a round, "
        f"peak memory {summary['peak_memory_mb']:.0f} MB, data: {summary['data_source']}"
    )
    lines.append(f"  {folder}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
