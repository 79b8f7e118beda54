"""The error of batches at real training states: what `experiment=fig5` and `why` do.

Leaves `<runs>/<task>/<model>/<experiment.name>/<id>/` with config.yaml, provenance.json and, once
everything is measured, variance.json. A finished one is not measured again. A selector trains on
the way, in this process; one that is stopped begins anew.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from titan_repro.adaptive_config import is_adaptive
from titan_repro.binding import bound_selector, parameter, plain
from titan_repro.config import Rule, identity, one_of, validate, whole
from titan_repro.devices.process import prepare_process
from titan_repro.errors import ConfigurationError
from titan_repro.keys import check_known
from titan_repro.records.identity import run_id
from titan_repro.records.measured import VARIANCE, Measurement, MeasurementFolder
from titan_repro.records.variance import Findings, Stability
from titan_repro.runs.build import (
    build_loader,
    build_network,
    build_selector,
    build_stream,
    check_stream,
    load_task,
    with_selector,
)
from titan_repro.selection.base import Needs
from titan_repro.tasks.base import Source, Task, locate
from titan_repro.variance.stability import importance, stability
from titan_repro.variance.state import measure_state
from titan_repro.variance.states import training_states
from titan_repro.variance.trained import has_batch_norm


def _ascending(key: str, least: int, *, empty: bool = False) -> Rule:
    allowed = f"whole numbers of at least {least}, ascending" + (", or none" if empty else "")

    def holds(value: Any) -> bool:
        numbers = plain(value)
        if not isinstance(numbers, list) or any(type(n) is not int for n in numbers):
            return False
        ordered = numbers == sorted(set(numbers)) and all(n >= least for n in numbers)
        return ordered and (empty or bool(numbers))

    return Rule(key, allowed, holds)


RULES = (
    _ascending("experiment.states", 0),
    _ascending("experiment.batch_sizes", 1),
    _ascending("experiment.lags", 1, empty=True),
    whole("experiment.rounds", 1),
    whole("experiment.draws", 3),
    whole("experiment.full_rounds", 0),
    whole("experiment.trained_draws", 0),
    whole("experiment.warm_up", 0),
    whole("experiment.megabytes", 1),
    one_of("executor.name", "inline"),
    one_of("device.tensors", "cpu"),
    one_of("scoring_norm", "running"),
    one_of("gradient", "last_layer", "logits"),
)
"""Scores of all arrivals serve every selector, so what changes them from one to the next is out."""


def measure_variance(
    config: DictConfig,
    command: Sequence[str] = (),
    tell: Callable[[str], None] = lambda step: None,
) -> Measurement:
    """Measure what `config` describes, or return what has been measured.

    tell: is called with the name of every step that begins.
    Raises ConfigurationError, DataError or RunFolderError with one line.
    """
    check_settings(config)
    prepare_process(config.device.tensors, config.device.threads, config.executor.name)
    network = build_network(config)
    trains = build_selector(config)
    check_stream(config)
    loader = build_loader(config)
    source = locate(loader, Path(config.paths.data).expanduser())
    name = run_id(_identity(config, source, scoring=trains.runs_network))
    parts = (config.task.name, config.model.name, config.experiment.name, name)
    folder = MeasurementFolder(Path(config.paths.runs, *parts).expanduser(), VARIANCE)
    if (before := folder.finished()) is not None:
        return before
    with folder.claim():
        if (before := folder.finished()) is not None:  # another process was faster
            return before
        tell("loading")
        task = load_task(config, loader, source)
        data = {"source": task.source, "fingerprint": task.fingerprint}
        folder.begin(OmegaConf.to_yaml(config, resolve=True), command, data)
        about = _about(config, task, name, batch_norm=has_batch_norm(network))
        return folder.finish({**about, **findings_along(config, task, tell).record()})


def findings_along(config: DictConfig, task: Task, tell: Callable[[str], None]) -> Findings:
    """Train, and measure at every state and lag on the way."""
    asked = config.experiment
    states, lags = set(plain(asked.states)), plain(asked.lags)
    stream = build_stream(config, task)
    scorer = build_selector(with_selector(config, "cis"))
    at = sorted(states | {state + lag for state in states for lag in lags})
    known: dict[int, np.ndarray] = {}
    found, rows = Findings(), list[Stability]()
    for done, network in training_states(config, task, at, tell):
        for state in sorted(states):
            if done - state in lags:
                later = importance(scorer, network, stream, state, asked.rounds)
                rows.append(stability(state, done - state, known[state], later))
        if done in states:
            known[done] = importance(scorer, network, stream, done, asked.rounds)
            found += measure_state(config, done, network, stream, tell)
    return found + Findings(stability=tuple(sorted(rows, key=lambda row: (row.state, row.lag))))


def check_settings(config: DictConfig) -> None:
    """Raise ConfigurationError for what cannot be measured at training states."""
    validate(config)
    check_known(config)
    for rule in RULES:
        rule.check(config)
    velocity = parameter(config, "stream.source", "velocity")
    largest = max(config.experiment.batch_sizes)
    if largest > velocity:
        raise ConfigurationError(
            f"experiment.batch_sizes: found {largest}; allowed: at most the {velocity} samples of "
            f"a round (stream.velocity={velocity})"
        )
    if config.experiment.trained_draws in (1, 2):
        raise ConfigurationError(
            f"experiment.trained_draws: found {config.experiment.trained_draws}; allowed: 0 for "
            "none, or at least 3"
        )
    if config.federation.settings is not None:
        raise ConfigurationError(
            f"federation: found {config.federation.name} with experiment.measurement=variance; "
            "allowed there: none"
        )
    _check_selectors(config)


def _check_selectors(config: DictConfig) -> None:
    missing = {"rs", "cis"} - set(config.experiment.selectors)
    if missing:
        raise ConfigurationError(
            f"experiment.selectors: found no {', '.join(sorted(missing))}; allowed: any selectors, "
            "rs among them, to which all are relative, and cis, whose scores all use"
        )
    for name in config.experiment.selectors:
        selector = with_selector(config, name)
        if is_adaptive(selector):
            raise ConfigurationError(
                "filter.budget: found adaptive with experiment.measurement=variance; allowed "
                "there: whole numbers"
            )
        if build_selector(selector).policy.needs is Needs.FULL_GRADIENTS:
            raise ConfigurationError(
                f"experiment.selectors.{name}.selector.policy.gradient: found full; allowed: "
                "last_layer, logits"
            )


def _identity(config: DictConfig, source: Source, *, scoring: bool) -> dict[str, Any]:
    """Return all that the numbers depend on."""
    facts = identity(config, source.form, scoring=scoring)
    evaluations = ("evaluate_every", "evaluation_samples")
    setting = {key: value for key, value in facts["setting"].items() if key not in evaluations}
    left_out = ("name", "selectors", "megabytes")  # the last costs time alone
    experiment = {k: v for k, v in plain(config.experiment).items() if k not in left_out}
    nodes = plain(config.experiment.selectors)
    selectors = {name: bound_selector(config, node["selector"]) for name, node in nodes.items()}
    features = {key: config.filter[key] for key in ("blocks", "pooling")}
    return {
        **facts,
        "setting": setting,
        "experiment": experiment,
        "selectors": selectors,
        "features": features,
    }


def _about(config: DictConfig, task: Task, name: str, *, batch_norm: bool) -> dict[str, Any]:
    asked = plain(config.experiment)
    kept = ("states", "batch_sizes", "lags", "rounds", "draws", "full_rounds", "trained_draws")
    return {
        "format": 1,
        "measurement": "variance",
        "experiment": asked["name"],
        "id": name,
        "task": config.task.name,
        "model": config.model.name,
        "seed": config.seed,
        "trained_by": config.selector.name,
        "data_source": task.source,
        "data_fingerprint": task.fingerprint,
        "velocity": parameter(config, "stream.source", "velocity"),
        "batch_size": config.batch_size,
        "filter_budget": config.filter.budget,
        "filter_blocks": config.filter.blocks,
        "batch_norm": batch_norm,
        **{key: asked[key] for key in kept},
    }
