"""`titan-run`: compose a configuration, run it, print a summary.

Everything large is imported late: `--help` needs no PyTorch, and Ctrl-C while imports are under way
is answered in one line.
"""

import multiprocessing
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from titan_repro.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_failures: list[int] = []
"""Exit statuses that jobs of this command ask for."""


def main() -> None:
    """Console entry point.

    Exit status 0 done, 2 something to mend, 3 a process failed, 130 or 143 interrupted.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through: they are put into words below
    _failures.clear()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        _compose_and_run()
    except KeyboardInterrupt:
        print(
            "titan-run: interrupted; the same command goes on from what is saved", file=sys.stderr
        )
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)
    if _failures:
        sys.exit(max(_failures))


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """End outside of the rounds, too, with what cleans up: a launcher's workers are to end."""
    sys.exit(128 + number)


def _compose_and_run() -> None:
    """Let Hydra compose the configuration of every job and call `_job` with each."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from titan_repro.cli.messages import check_options, check_working_folder
    from titan_repro.conf_path import conf_dir
    from titan_repro.config import register_schema

    register_schema()
    command = hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
    try:
        check_working_folder()
        check_options(sys.argv[1:])
        command(_job)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _refuse(error)
    except (ValueError, OSError) as error:
        if _raised_in_job(error):
            raise
        _refuse(error)  # Hydra's own: an override such as `=3`, a sweep's folder on a full disk


def _refuse(error: Exception, job: str = "") -> None:
    from titan_repro.cli.messages import one_line

    print(f"titan-run: {one_line(error)}{job}", file=sys.stderr)
    _failures.append(error.exit_status if isinstance(error, UserError) else 2)


def _raised_in_job(error: Exception) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not _job.__code__:
        trace = trace.tb_next
    return trace is not None


def _job(config: "DictConfig") -> None:
    """Run one job of the command line or of a sweep; a sweep goes on after one that is refused."""
    from omegaconf.errors import OmegaConfBaseException

    from titan_repro.config import validate

    try:
        validate(config)  # as `run` does, but before PyTorch is imported, which takes seconds
        _run(config)
    except (UserError, OmegaConfBaseException) as error:
        if multiprocessing.parent_process() is not None:
            raise  # a launcher's worker: the sweep's own process reports it
        _refuse(error, _which_job())


def _run(config: "DictConfig") -> None:
    from titan_repro.cli.run_summary import run_summary
    from titan_repro.costs.measure import is_measurement
    from titan_repro.runs.run import InterruptedRun, run

    if is_measurement(config):
        _measure(config)
        return
    try:
        outcome = run(config, sys.argv, _callbacks(config))
    except InterruptedRun as stop:
        _say(run_summary(stop.outcome.summary, stop.outcome.folder))
        _say("Stopped on request. The same command goes on from here.")
        sys.exit(128 + stop.signal)
    asked = config.rounds if outcome.already_there else None
    _say(run_summary(outcome.summary, outcome.folder, asked))
    device = config.device.name
    if config.device.get("modelled") and outcome.summary.get("modelled_device") != device:
        _say(
            f"  made with device={outcome.summary['device']}; titan-report replay "
            f"{config.paths.runs} device={device} gives its clock there"
        )


def _measure(config: "DictConfig") -> None:
    """Measure costs instead of running; say every step, as a terminal and a log need."""
    from titan_repro.cli.costs_summary import costs_summary
    from titan_repro.costs.measure import measure_costs

    def tell(step: str) -> None:
        if sys.stderr is not None:  # it was closed, 2>&-
            text = f"{config.task.name} {config.model.name}: {step} ..."
            print(text, file=sys.stderr, flush=True)

    measured = measure_costs(config, sys.argv, tell)
    _say(costs_summary(measured.costs, str(measured.folder), already_there=measured.already_there))


def _say(text: str) -> None:
    """Print at once. Where nobody can listen a sweep goes on in silence: its results are saved."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _which_job() -> str:
    """In a sweep, say which of its jobs a message is about."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    if hydra.mode is not RunMode.MULTIRUN:
        return ""
    return f" (job {hydra.job.num} of the sweep: {' '.join(hydra.overrides.task)})"


def _callbacks(config: "DictConfig") -> list[Any]:
    from titan_repro.cli.notices import SlowRounds, warn_of_one_core
    from titan_repro.cli.progress import ProgressBar

    warn_of_one_core(config)
    title = f"{config.task.name} {config.model.name} {config.selector.name} seed {config.seed}"
    callbacks: list[Any] = [ProgressBar(title), SlowRounds(config.stream.source.velocity)]
    if config.tensorboard:
        from titan_repro.cli.tensorboard import TensorBoardLog

        callbacks.append(TensorBoardLog())
    return callbacks


if __name__ == "__main__":
    main()
