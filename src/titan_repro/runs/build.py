"""From configuration nodes to objects: the last place where configuration is seen.

A node with `_target_` names a class or function; `construct_bound` calls it with its parameters.
Classes never receive configuration objects.
"""

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from titan_repro.adaptive_config import has_modelled_clock, is_adaptive
from titan_repro.binding import construct, construct_bound, plain, target_of
from titan_repro.contracts import check_attribute, check_methods
from titan_repro.devices.process import check_cores, place
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.pipeline.processes import ProcessesExecutor, share_task
from titan_repro.pipeline.round import Executor
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.runs.candidate_budget import build_budget
from titan_repro.seeds import global_generator
from titan_repro.selection.base import Needs, Policy
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.tasks.base import Loader, Source, Task
from titan_repro.training import Schedule, Trainer


def build_network(config: DictConfig) -> BlockNetwork:
    """Build the model for the task's declared input with weights drawn from the run's seed."""
    with global_generator(config.seed, "weights"):
        network: BlockNetwork = construct_bound(
            config,
            "model.network",
            input_shape=tuple(config.task.input_shape),
            num_classes=config.task.num_classes,
        )
    if not isinstance(network, BlockNetwork):
        raise ConfigurationError(
            f"model.network: found a {type(network).__name__}; allowed: a function that returns, "
            "or a class that is, a titan_repro.models.base.BlockNetwork"
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
            f"{config.model.get('norm')} and task={config.task.name}: at least 2, as BatchNorm "
            "cannot norm a single value"
        ) from error


def with_selector(config: DictConfig, name: str) -> DictConfig:
    """Return the configuration with one of its `experiment.selectors`."""
    other, node = copy.deepcopy(config), config.experiment.selectors[name]
    other.selector, other.delay = node.selector, node.delay
    return other


def build_selector(config: DictConfig) -> Selector:
    """Compose filter and policy.

    Raises ConfigurationError for parameters and combinations that cannot be.
    """
    classes = config.task.num_classes
    policy: Policy = construct_bound(config, "selector.policy")
    options = ", ".join(map(str, Needs))
    check_attribute("selector.policy", policy, "needs", Needs, options)
    check_methods("selector.policy", policy, Policy)
    _check_full_gradients(config, policy)
    return Selector(
        None
        if config.selector.filter is None
        else construct_bound(config, "selector.filter", num_classes=classes),
        policy,
        classes=classes,
        blocks=config.filter.blocks,
        pooling=config.filter.pooling,
        scoring_norm=config.scoring_norm,
    )


def _check_full_gradients(config: DictConfig, policy: Policy) -> None:
    """Gradients over all parameters come one sample at a time, and class means need them all."""
    if policy.needs is not Needs.FULL_GRADIENTS:
        return
    if config.scoring_norm == "batch":
        raise ConfigurationError(
            "scoring_norm: found batch with gradient=full; allowed there: running, as gradients "
            "over all parameters are computed one sample at a time"
        )
    if is_adaptive(config) and not has_modelled_clock(config):
        raise ConfigurationError(
            "gradient: found full with filter.budget=adaptive on a measured clock; allowed there: "
            "last_layer, logits, as mean gradients of classes are made of all candidates at once"
        )


def build_loader(config: DictConfig) -> Loader:
    """Build the task's loader, which has not looked at any file yet."""
    loader: Loader = construct("task.loader", config.task.loader)
    check_attribute("task.loader", loader, "name", str, "text, as the file in conf/task is called")
    check_methods("task.loader", loader, Loader)
    return loader


_loaded: dict[tuple[Any, ...], Task] = {}


def load_task(config: DictConfig, loader: Loader, source: Source) -> Task:
    """Load the task and hold it against the shape and classes that its configuration declares.

    It is on the device that trains or, where other processes work on it, in host memory that all
    map. The last task is kept in memory, so that a sweep loads its data once.
    """
    key = (loader, source)
    if key not in _loaded:
        cache = config.paths.cache
        _loaded.clear()
        _loaded[key] = loader.load(source, None if cache is None else Path(cache).expanduser())
    _check(config, _loaded[key])
    if config.executor.name == "processes" or (config.federation.get("workers") or 1) > 1:
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


def check_stream(config: DictConfig) -> None:
    """Raise ConfigurationError if the stream's class, where it is one, is not a stream.

    A function is held to that when it is called, with the data.
    """
    target = target_of("stream.source", config.stream.source)
    if isinstance(target, type):
        check_methods("stream.source", target, Stream)


def build_stream(config: DictConfig, task: Task) -> Stream:
    """Build the stream over the task's training split."""
    stream: Stream = construct_bound(config, "stream.source", task=task, seed=config.seed)
    return stream


def build_schedule(config: DictConfig) -> Schedule:
    """Build the learning rate's schedule."""
    return Schedule(
        config.learning_rate,
        config.learning_rate_decay,
        config.learning_rate_every,
        config.learning_rate_floor,
    )


def build_trainer(config: DictConfig, network: BlockNetwork) -> Trainer:
    """Build the trainer with its schedule."""
    return Trainer(network, build_schedule(config))


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
