"""A run as objects: `build` is the last to see configuration; the loop gets a `Job`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from titan_repro.config import validate
from titan_repro.devices.process import place, prepare_process
from titan_repro.federated.pool import ClientPool
from titan_repro.keys import check_known
from titan_repro.pipeline.pool import ProcessPool
from titan_repro.pipeline.round import Executor
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.records.folder import RunFolder
from titan_repro.runs.build import (
    build_executor,
    build_loader,
    build_network,
    build_schedule,
    build_selector,
    build_workers,
    check_stream,
    load_task,
)
from titan_repro.runs.candidate_budget import budget_choices
from titan_repro.runs.federation import (
    build_client_pool,
    build_federated_executor,
    build_federation,
)
from titan_repro.runs.modelled_clock import modelled_board, modelled_record
from titan_repro.runs.naming import result_in_export, run_facts, run_folder
from titan_repro.tasks.base import Task, locate


@dataclass(frozen=True)
class Job:
    """Everything that a run needs. No data are loaded yet, no process is started.

    folder: of the run. exported: its summary, if an export has the result that is asked for.
    facts: its identity. about: what its summary says of its configuration.
    text: the configuration as config.yaml holds it.
    workers: starts and ends the processes beside this one; None comes of it without any.
    load: loads the data. executor: makes what runs the rounds, from workers and data.
    modelled: gives the entries `modelled_*` of the summary, from what reads rounds.parquet.
    """

    folder: RunFolder
    exported: Mapping[str, Any] | None
    facts: Mapping[str, Any]
    about: Mapping[str, Any]
    text: str
    rounds: int
    evaluate_every: int
    evaluation_samples: int
    checkpoint_seconds: float
    workers: AbstractContextManager[ProcessPool | None]
    load: Callable[[], Task]
    executor: Callable[[ProcessPool | None, Task], Executor]
    modelled: Callable[[Callable[[], pd.DataFrame]], dict[str, Any]]


def build(config: DictConfig) -> Job:
    """Build the run that a configuration describes.

    Everything that can be refused without its data is refused here: raises ConfigurationError, or
    DataError where no data are found, with one line.
    """
    validate(config)
    check_known(config)
    prepare_process(config.device.tensors, config.device.threads, config.executor.name)
    network = build_network(config)
    selector = build_selector(config)
    check_stream(config)
    federation = build_federation(config)
    workers: AbstractContextManager[ProcessPool | None] = build_workers(config)
    if federation is not None:
        workers = build_client_pool(config, federation) or nullcontext()
    modelled_board(config)  # refused now rather than after the last round
    budget = budget_choices(config)
    loader = build_loader(config)
    source = locate(loader, Path(config.paths.data).expanduser())
    facts = run_facts(config, selector, source, budget)
    exported = result_in_export(config, facts)

    def executor(workers: ProcessPool | None, task: Task) -> Executor:
        if federation is None:
            assert workers is None or isinstance(workers, WorkerPool)
            return build_executor(config, workers, network, selector, task)
        assert workers is None or isinstance(workers, ClientPool)
        network.to(place(config.device.tensors).train)
        schedule = build_schedule(config)
        return build_federated_executor(
            config, federation, workers, network, selector, schedule, task
        )

    return Job(
        folder=run_folder(config, facts),
        exported=exported,
        facts=facts,
        about=_about(config),
        text=OmegaConf.to_yaml(config, resolve=True),
        rounds=config.rounds,
        evaluate_every=config.evaluate_every,
        evaluation_samples=config.evaluation_samples,
        checkpoint_seconds=config.checkpoint_seconds,
        workers=workers,
        load=lambda: load_task(config, loader, source),
        executor=executor,
        modelled=partial(modelled_record, config),
    )


def _about(config: DictConfig) -> dict[str, Any]:
    groups = ("task", "model", "selector", "stream", "budget", "device", "executor")
    return {**{group: config[group].name for group in groups}, "seed": config.seed}
