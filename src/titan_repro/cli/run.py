"""`titan-run`: compose a configuration, run it, print a summary.

Everything large is imported late: `--help` needs no PyTorch, and Ctrl-C while imports are under way
is answered in one line.
"""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from titan_repro.cli.say import say
from titan_repro.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

    from titan_repro.cli.sweep_job import SweepJob

_failures: list[int] = []
"""Exit statuses that jobs of this command ask for."""


def main() -> None:
    """Console entry point.

    Exit status 0 done, 1 this program failed, 2 something to mend, 3 a process failed, 4 a class
    of the user's failed, 130 or 143 interrupted; of a sweep with failed jobs 2 if every one of them
    is something to mend, else 1.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through: they are put into words below
    _failures.clear()
    atexit.register(gc.freeze)  # or the interpreter's end looks through all of PyTorch for garbage
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

    from titan_repro.cli.arguments import arranged, config_folder
    from titan_repro.cli.messages import check_working_folder
    from titan_repro.conf_path import conf_dir, own_modules
    from titan_repro.config import register_schema
    from titan_repro.failures import as_user_error

    register_schema()
    command = hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
    try:
        check_working_folder()
        sys.argv[1:] = arranged(sys.argv[1:])
        folder = config_folder(sys.argv[1:])
        if not _answered(folder):
            with own_modules(folder):
                command(_job)()
    except (UserError, HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        _refuse(error)  # Hydra's own, too: an override such as `=3`
    except Exception as error:
        _refuse(as_user_error(error))


def _answered(folder: "Path | None") -> bool:
    """Print the help or the version, if that is what was asked for."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        from titan_repro.cli.help import help_page
        from titan_repro.conf_path import conf_dir

        say(help_page([*([] if folder is None else [folder]), conf_dir()]).rstrip())
        return True
    if "--version" in sys.argv[1:]:
        from titan_repro.cli.version import version_line

        say(version_line())
        return True
    return False


def _refuse(error: Exception) -> None:
    from titan_repro.cli.messages import one_line

    print(f"titan-run: {one_line(error)}", file=sys.stderr)
    _failures.append(error.exit_status if isinstance(error, UserError) else 2)


def _job(config: "DictConfig", sweep: "SweepJob | None" = None) -> None:
    """Run one job of the command line or of a sweep, which goes on after one that fails.

    sweep: set where a sweep, which names its failures itself, runs this job.
    """
    from titan_repro.cli.sweep_job import SweepJob

    if sweep is None and (current := SweepJob.current()) is not None:
        current.run(lambda: _job(config, current))
        return
    with nullcontext() if sweep is not None else _refusals():
        from titan_repro.config import validate

        validate(config)  # as `run` does, but before PyTorch is imported, which takes seconds

        from titan_repro.cli.run_summary import run_summary
        from titan_repro.costs.measure import is_measurement
        from titan_repro.runs.run import InterruptedRun, run

        if is_measurement(config):
            _measure(config)
            return
        try:
            outcome = run(config, sys.argv, _callbacks(config, sweep))
        except InterruptedRun as stop:
            say(run_summary(stop.outcome.summary, stop.outcome.folder))
            say("Stopped on request. The same command goes on from here.")
            sys.exit(128 + stop.signal)
        asked = config.rounds if outcome.already_there else None
        say(run_summary(outcome.summary, outcome.folder, asked))
        device = config.device.name
        if config.device.get("modelled") and outcome.summary.get("modelled_device") != device:
            say(
                f"  made with device={outcome.summary['device']}; titan-report replay "
                f"{config.paths.runs} device={device} gives its clock there"
            )


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in one line what an error inside is; Hydra would add lines of its own."""
    from omegaconf.errors import OmegaConfBaseException

    from titan_repro.failures import as_user_error

    try:
        yield
    except OmegaConfBaseException as error:
        _refuse(error)
    except Exception as error:
        _refuse(as_user_error(error))


def _check_statements() -> None:
    """Check the paper's statements, which needs neither data nor a run folder."""
    from titan_repro.figures.theory import theory_words

    say(theory_words())


def _measure(config: "DictConfig") -> None:
    """Measure instead of running; say every step, as a terminal and a log need."""

    def tell(step: str) -> None:
        if sys.stderr is not None:  # it was closed, 2>&-
            text = f"{config.task.name} {config.model.name}: {step} ..."
            print(text, file=sys.stderr, flush=True)

    match config.experiment.measurement:
        case "theory":
            _check_statements()
        case "variance":
            from titan_repro.cli.variance_summary import variance_summary
            from titan_repro.variance.measure import measure_variance

            say(variance_summary(measure_variance(config, sys.argv, tell)))
        case _:
            from titan_repro.cli.costs_summary import costs_summary
            from titan_repro.costs.measure import measure_costs

            measured = measure_costs(config, sys.argv, tell)
            known = measured.already_there
            say(costs_summary(measured.content, str(measured.folder), already_there=known))


def _callbacks(config: "DictConfig", job: "SweepJob | None") -> list[Any]:
    from titan_repro.binding import parameter
    from titan_repro.cli.notices import SlowRounds, warn_of_one_core
    from titan_repro.cli.progress import ProgressBar

    warn_of_one_core(config)
    title = f"{config.task.name} {config.model.name} {config.selector.name} seed {config.seed}"
    shown = ProgressBar(title) if job is None else job
    callbacks: list[Any] = [shown, SlowRounds(parameter(config, "stream.source", "velocity"))]
    if config.tensorboard:
        from titan_repro.cli.tensorboard import TensorBoardLog

        callbacks.append(TensorBoardLog())
    return callbacks


if __name__ == "__main__":
    main()
