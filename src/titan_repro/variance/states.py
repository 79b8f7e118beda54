"""Training that stops at given rounds to be looked at, and the rounds that are looked at there."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from omegaconf import DictConfig

from titan_repro.errors import ConfigurationError
from titan_repro.models.base import BlockNetwork
from titan_repro.runs.build import build_executor, build_network, build_selector
from titan_repro.selection.gradients import gradient_products
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.tasks.base import Task
from titan_repro.variance.draws import ScoredRound

STEP = 500
"""Rounds between two lines of progress."""


def training_states(
    config: DictConfig, task: Task, at: Sequence[int], tell: Callable[[str], None]
) -> Iterator[tuple[int, BlockNetwork]]:
    """Train as titan-run would, in this process; yield the network after each of `at` rounds.

    The network is the one that is trained on: it is not to be changed, and not to be kept.
    Raises ConfigurationError if the training diverges.
    """
    network = build_network(config)
    executor = build_executor(config, None, network, build_selector(config), task)
    done, last = 0, max(at)
    for state in sorted(set(at)):
        for t in range(done, state):
            if t % STEP == 0:
                tell(f"{config.selector.name} trains, round {t:,} of {last:,}")
            if not math.isfinite(executor.run(t).loss):
                raise ConfigurationError(
                    f"learning_rate: found {config.learning_rate}; training diverged in round {t}: "
                    "allowed: one that trains until the last of experiment.states"
                )
        done = state
        yield state, network


def every_score(
    scorer: Selector, network: BlockNetwork, stream: Stream, number: int
) -> ScoredRound:
    """Score all arrivals of round `number` for whatever a policy may ask of them.

    scorer: `a selector without a filter` whose policy needs embeddings.
    """
    arrivals = stream.round(number)
    inputs = stream.inputs(arrivals)
    admitted = scorer.admit(network, stream, arrivals, torch.Generator())
    scores = scorer.score(network, admitted)
    whole = replace(scores, inputs=inputs)
    products = gradient_products(whole, "last_layer")
    return ScoredRound(number, arrivals.labels, inputs, whole, products)


def warm_up(
    selectors: Mapping[str, Selector],
    network: BlockNetwork,
    stream: Stream,
    rounds: Sequence[int],
    size: int,
) -> None:
    """Let those selectors that remember something see the rounds before the one that is drawn from.

    A filter's running sums are then those of features of the network as it is. size: of batches.
    """
    for selector in selectors.values():
        for number in rounds:
            arrivals, draws = stream.round(number), torch.Generator().manual_seed(number)
            admitted = selector.admit(network, stream, arrivals, draws)
            scores = selector.score(network, admitted)
            selector.select(admitted, scores, min(size, len(scores)), draws)
            if selector.filter is None and not selector.policy.state_dict():
                break
