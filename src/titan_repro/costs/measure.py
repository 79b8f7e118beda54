"""Costs measured side by side for one (task, model): what `experiment=fig6` does instead of a run.

Leaves `<runs>/<task>/<model>/<experiment.name>/<id>/` with config.yaml, provenance.json and, once
everything is measured, costs.json. A finished one is not measured again.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from titan_repro.binding import bound_selector, parameter, plain
from titan_repro.config import SETTING_KEYS, identity, one_of, real, validate, whole
from titan_repro.costs.modelled import board_of
from titan_repro.costs.record import costs_record
from titan_repro.costs.rounds import run_side_by_side
from titan_repro.devices.process import AUTO, prepare_process
from titan_repro.errors import ConfigurationError
from titan_repro.keys import check_known
from titan_repro.records.identity import run_id
from titan_repro.records.measured import COSTS, Measurement, MeasurementFolder
from titan_repro.runs.build import build_loader, build_network, build_workers, load_task
from titan_repro.tasks.base import Source, Task, locate

RULES = (
    one_of("experiment.measurement", "costs", "theory", "variance"),
    whole("experiment.rounds", 2),
    real("experiment.latency_seconds", 0, 600),
    whole("experiment.memory_rounds", 1),
)


def is_measurement(config: DictConfig) -> bool:
    """Return whether a configuration asks for something to be measured instead of a run."""
    return OmegaConf.select(config, "experiment.measurement") is not None


def measure_costs(
    config: DictConfig,
    command: Sequence[str] = (),
    tell: Callable[[str], None] = lambda step: None,
) -> Measurement:
    """Measure what `config` describes, or return what has been measured.

    tell: is called with the name of every step that begins.
    Raises ConfigurationError, DataError, RunFolderError or PipelineError with one line.
    """
    check_measurable(config)
    prepare_process(config.device.tensors, config.device.threads, config.executor.name)
    build_network(config)
    board_of(config)
    starting = build_workers(config)
    loader = build_loader(config)
    source = locate(loader, Path(config.paths.data).expanduser())
    name = run_id(_identity(config, source))
    parts = (config.task.name, config.model.name, config.experiment.name, name)
    folder = MeasurementFolder(Path(config.paths.runs, *parts).expanduser(), COSTS)
    if (before := folder.finished()) is not None:
        return before
    with folder.claim():
        if (before := folder.finished()) is not None:  # another process was faster
            return before
        with starting as workers:
            assert workers is not None
            tell("loading")
            task = load_task(config, loader, source)
            data = {"source": task.source, "fingerprint": task.fingerprint}
            folder.begin(OmegaConf.to_yaml(config, resolve=True), command, data)
            load = os.getloadavg()[0]
            tell("rounds side by side")
            rounds = run_side_by_side(config, workers, task, config.experiment.rounds)
        about = {**_about(config, task, name), "load_before": load}
        return folder.finish({**about, **costs_record(config, task, rounds, tell)})


def check_measurable(config: DictConfig) -> None:
    """Raise ConfigurationError for what cannot be measured side by side, or not here."""
    validate(config)
    check_known(config)
    for rule in RULES:
        rule.check(config)
    if config.executor.name != "processes":
        raise ConfigurationError(
            f"executor: found {config.executor.name} with experiment.measurement=costs; allowed "
            "there: processes"
        )
    if config.federation.settings is not None:
        raise ConfigurationError(
            f"federation: found {config.federation.name} with experiment.measurement=costs; "
            "allowed there: none"
        )
    if config.device.tensors != "cpu":
        raise ConfigurationError(
            f"device.tensors: found {config.device.tensors} with experiment.measurement=costs; "
            "allowed there: cpu, as what is compared are rounds in sequence on one core and "
            "pipelined ones on two"
        )
    if config.selector.filter is None or type(_filter_budget(config)) is not int:
        raise ConfigurationError(
            f"selector: found {config.selector.name}, filter.budget={config.filter.budget}, with "
            "experiment.measurement=costs; allowed there: a selector with a coarse filter of "
            "fixed budget, such as titan"
        )
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        raise ConfigurationError(
            f"experiment.measurement: found costs on {cores} processor core; allowed: on two or "
            "more, as a pipelined round trains on one and selects on another"
        )


def _filter_budget(config: DictConfig) -> Any:
    return parameter(config, "selector.filter", "budget")


def _identity(config: DictConfig, source: Source) -> dict[str, Any]:
    """Return all that the numbers depend on but the machine."""
    facts = identity(config, source.form, scoring=True)
    schedule = set(SETTING_KEYS) - {"batch_size"}  # of runs: nothing is trained to an end here
    setting = {key: value for key, value in facts["setting"].items() if key not in schedule}
    experiment = {key: value for key, value in plain(config.experiment).items() if key != "name"}
    for node in experiment["selectors"].values():
        node["selector"] = bound_selector(config, node["selector"])
    cores = plain(OmegaConf.select(config, "device.cores"))
    if cores is not None:  # named as on the first machine: a measurement is not repeated elsewhere
        first = {"train": [0], "filter": [1], "select": [1]}
        cores = {stage: first[stage] if named == AUTO else named for stage, named in cores.items()}
    return {**facts, "setting": setting, "experiment": experiment, "cores": cores}


def _about(config: DictConfig, task: Task, name: str) -> dict[str, Any]:
    return {
        "format": 1,
        "measurement": config.experiment.measurement,
        "id": name,
        "task": config.task.name,
        "model": config.model.name,
        "data_source": task.source,
        "data_fingerprint": task.fingerprint,
        "velocity": parameter(config, "stream.source", "velocity"),
        "filter_budget": _filter_budget(config),
        "filter_blocks": config.filter.blocks,
        "batch_size": config.batch_size,
        "board": config.experiment.board.name,
    }
