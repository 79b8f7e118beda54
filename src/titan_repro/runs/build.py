"""From configuration nodes to objects: the last place where configuration is seen.

A node with `_target_` names a class or function and its plain parameters; `construct` calls it.
Classes never receive configuration objects.
"""

import copy
import inspect
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from titan_repro.config import plain
from titan_repro.devices.process import check_cores, place
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.pipeline.processes import ProcessesExecutor, share_task
from titan_repro.pipeline.round import Executor
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.runs.candidate_budget import build_budget
from titan_repro.seeds import global_generator
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.tasks.base import Loader, Source, Task
from titan_repro.training import Schedule, Trainer


def construct(key: str, node: Any, **arguments: Any) -> Any:
    """Call the node's `_target_` with its other entries and `arguments`.

    Raises ConfigurationError naming `key` if the parameters do not fit the target's signature or
    the target refuses their values with ValueError or TypeError.
    """
    parameters = {**plain(node), **arguments}
    try:
        target = resolve_name(parameters.pop("_target_"))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{key}._target_: {error}") from None
    try:
        inspect.signature(target).bind(**parameters)
    except TypeError as error:
        raise ConfigurationError(f"{key}: {error} of {target.__name__}") from None
    try:
        return target(**parameters)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{key}: {error}") from error


def build_network(config: DictConfig) -> BlockNetwork:
    """Build the model for the task's declared input with weights drawn from the run's seed."""
    with global_generator(config.seed, "weights"):
        network: BlockNetwork = construct(
            "model",
            config.model.network,
            input_shape=tuple(config.task.input_shape),
            num_classes=config.task.num_classes,
        )
    blocks = len(network.blocks)
    if config.selector.filter is not None and config.filter.blocks > blocks:
        raise ConfigurationError(
            f"filter.blocks: found {config.filter.blocks}; allowed: 1 to {blocks}, the blocks of "
            f"model={config.model.name}"
        )
    if config.batch_size == 1:
        _check_batch_of_one(config, network)
    return network


def _check_batch_of_one(config: DictConfig, network: BlockNetwork) -> None:
    """Whether BatchNorm has more than one value of a channel to norm depends on the shapes."""
    sample = torch.empty(1, *config.task.input_shape, device="meta")
    try:
        copy.deepcopy(network).to("meta").train()(sample)
    except ValueError as error:
        raise ConfigurationError(
            f"batch_size: found 1; allowed with model={config.model.name}, model.norm="
            f"{config.model.norm} and task={config.task.name}: at least 2, as BatchNorm cannot "
            "norm a single value"
        ) from error


def build_selector(config: DictConfig) -> Selector:
    """Compose filter and policy."""
    classes = config.task.num_classes
    node = config.selector.filter
    return Selector(
        None if node is None else construct("filter", node, num_classes=classes),
        construct("selector", config.selector.policy),
        classes=classes,
        blocks=config.filter.blocks,
        pooling=config.filter.pooling,
        scoring_norm=config.scoring_norm,
    )


def build_loader(config: DictConfig) -> Loader:
    """Build the task's loader, which has not looked at any file yet."""
    loader: Loader = construct("task", config.task.loader)
    return loader


_loaded: dict[tuple[Any, ...], Task] = {}


def load_task(config: DictConfig, loader: Loader, source: Source) -> Task:
    """Load the task and hold it against the shape and classes that its configuration declares.

    It is on the device that trains or, with executor=processes, in host memory that all map. The
    last task is kept in memory, so that a sweep loads its data once.
    """
    key = (loader, source)
    if key not in _loaded:
        cache = config.paths.cache
        _loaded.clear()
        _loaded[key] = loader.load(source, None if cache is None else Path(cache).expanduser())
    _check(config, _loaded[key])
    if config.executor.name == "processes":
        _loaded[key] = share_task(_loaded[key])
        return _loaded[key]
    return _loaded[key].to(place(config.device.tensors).train)


def _check(config: DictConfig, task: Task) -> None:
    declared: Mapping[str, Any] = {
        "task.input_shape": tuple(config.task.input_shape),
        "task.num_classes": config.task.num_classes,
    }
    loaded = {"task.input_shape": task.input_shape, "task.num_classes": len(task.classes)}
    for key, value in declared.items():
        if value != loaded[key]:
            raise DataError(
                f"{key}: the configuration says {value}, the data ({task.source}) has {loaded[key]}"
            )
    for part, samples in (("training", task.train), ("test", task.test)):
        if len(samples) == 0:
            raise DataError(f"{task.source}: found 0 {part} samples; allowed: at least 1")


def build_stream(config: DictConfig, task: Task) -> Stream:
    """Build the stream over the task's training split."""
    stream: Stream = construct("stream", config.stream.source, task=task, seed=config.seed)
    return stream


def build_trainer(config: DictConfig, network: BlockNetwork) -> Trainer:
    """Build the trainer with its schedule."""
    schedule = Schedule(
        config.learning_rate,
        config.learning_rate_decay,
        config.learning_rate_every,
        config.learning_rate_floor,
    )
    return Trainer(network, schedule)


def build_workers(config: DictConfig) -> AbstractContextManager[WorkerPool | None]:
    """Return a context manager that starts and stops the worker processes.

    It gives None for executor=inline. Enter it early: they take seconds to start.
    """
    if config.executor.name == "inline":
        return nullcontext()
    return WorkerPool(
        config.executor.timeout_seconds,
        config.device.threads,
        check_cores(plain(OmegaConf.select(config, "device.cores"))),
    )


def build_executor(
    config: DictConfig,
    workers: WorkerPool | None,
    network: BlockNetwork,
    selector: Selector,
    task: Task,
) -> Executor:
    """Build what runs the rounds: in this process, or in three if there are workers.

    The network is moved to the device that trains; the task is where `load_task` has it.
    """
    placement = place(config.device.tensors)
    network.to(placement.train)
    trainer, stream = build_trainer(config, network), build_stream(config, task)
    budget = build_budget(config, network, selector, stream.velocity)
    sizes = {"batch_size": config.batch_size, "seed": config.seed}
    if workers is None:
        return InlineExecutor(
            network, selector, stream, trainer, delay=config.delay, budget=budget, **sizes
        )
    places = vars(placement)
    return ProcessesExecutor(
        workers, network, selector, stream, trainer, budget=budget, **sizes, **places
    )
