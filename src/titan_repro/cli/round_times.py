"""How long a round of a run should take, as far as the runs folder knows."""

from pathlib import Path
from statistics import median

from omegaconf import DictConfig

from titan_repro.errors import RunFolderError
from titan_repro.records.folder import RunFolder
from titan_repro.records.measured import COSTS
from titan_repro.records.storage import read_json


def seconds_per_round(config: DictConfig) -> float | None:
    """Return the expected time of a round of the run `config` describes, None if not known.

    From an `experiment=fig6` measurement of its task and model if that timed its selector, else
    the median of runs of its task, model and selector, ended or interrupted. Files that cannot be
    read tell nothing here: they are refused where they are needed.
    """
    model = Path(config.paths.runs, config.task.name, config.model.name).expanduser()
    if config.federation.settings is not None:
        times = _of_runs(model, config.selector.name, config.executor.name, federated=True)
        return median(times) if times else None
    times = _measured(model, config.selector.name, config.executor.name)
    return median(times) if times else None


def _measured(model: Path, selector: str, executor: str) -> list[float]:
    way = {
        ("rs", "inline"): "rs_ms",
        ("titan", "inline"): "titan_sequential_ms",
        ("titan", "processes"): "titan_pipelined_ms",
    }.get((selector, executor))
    costs = [] if way is None else [_costs(path, way) for path in model.glob(f"*/*/{COSTS}")]
    known = [seconds for seconds in costs if seconds is not None]
    return known or _of_runs(model, selector, executor, federated=False)


def _of_runs(model: Path, selector: str, executor: str, *, federated: bool) -> list[float]:
    return [
        seconds
        for path in model.glob(f"{selector}/*/summary.json")
        if (seconds := _of_run(path.parent, executor, federated)) is not None
    ]


def _costs(path: Path, way: str) -> float | None:
    try:
        costs = read_json(path)
        return None if costs is None else costs["rounds"]["measured"][way]["median"] / 1000
    except (RunFolderError, KeyError, TypeError):
        return None


def _of_run(folder: Path, executor: str, federated: bool) -> float | None:
    try:
        summary = RunFolder(folder).summary()
    except RunFolderError:
        return None
    if summary is None or summary["rounds_done"] == 0 or summary.get("executor") != executor:
        return None
    if federated != ("federation" in summary):
        return None
    return float(summary["seconds_per_round"])
