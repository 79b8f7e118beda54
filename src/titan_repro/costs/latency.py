"""What one sample of the stream costs each way of looking at it, in this process."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from statistics import median
from time import perf_counter
from typing import NamedTuple

import torch
from omegaconf import DictConfig

from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.folding import FoldedNetwork
from titan_repro.runs.build import build_network, build_selector, build_stream, with_selector
from titan_repro.seeds import generator
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples
from titan_repro.tasks.base import Task

LEAST, MOST, WARM_UP = 5, 1000, 3
"""Repetitions of one timing."""


@dataclass(frozen=True)
class Latency:
    """Medians, in milliseconds for one sample.

    arriving: each sample by itself when it arrives, with BatchNorm folded into the weights once
        beforehand, as they stand still during a round; what only a whole round makes possible, the
        policy's choice, is divided among the round's samples. bulk: a round at once.
    repetitions: of whichever timing had the fewest.
    """

    arriving: float
    bulk: float
    repetitions: int


class _Timing(NamedTuple):
    milliseconds: float
    repetitions: int


def latencies(config: DictConfig, task: Task, seconds: float) -> dict[str, Latency]:
    """Time the coarse filter and every selector of `experiment.selectors` that looks at samples.

    The selectors look at every sample of a round, so "cis" is C-IS on everything. Gathering and
    normalising a sample is part of looking at it. seconds: to spend on one timing.
    """
    bench, titan = _Bench(config, task, seconds), build_selector(config)
    found = {} if titan.filter is None else {"filter": bench.filter(titan, titan.filter)}
    for name in config.experiment.selectors:
        selector = build_selector(with_selector(config, str(name)))
        if selector.reads_inputs:
            found[str(name)] = bench.selector(selector)
    return found


def filter_latencies(config: DictConfig, task: Task, seconds: float) -> dict[int, Latency]:
    """Time the coarse filter on features of the first n blocks, for every n that there is."""
    bench, other, found = _Bench(config, task, seconds), deepcopy(config), {}
    for blocks in range(1, len(bench.network.blocks) + 1):
        other.filter.blocks = blocks
        titan = build_selector(other)
        if titan.filter is not None:
            found[blocks] = bench.filter(titan, titan.filter)
    return found


class _Bench:
    """A network, a round of samples, and a watch."""

    def __init__(self, config: DictConfig, task: Task, seconds: float) -> None:
        self.network = build_network(config)
        folds = config.scoring_norm == "running"
        self.still = FoldedNetwork(self.network).refresh() if folds else self.network
        self.stream = build_stream(config, task)
        self.arrivals = self.stream.round(0)
        self.batch_size: int = config.batch_size
        self.draws = generator(config.seed, "latency")
        self.seconds = seconds

    def filter(self, selector: Selector, coarse: CoarseFilter) -> Latency:
        """Time the coarse filter alone."""
        samples = len(self.arrivals)
        bulk = self._time(
            lambda: selector.admit(self.network, self.stream, self.arrivals, self.draws)
        )
        offers = cycle([self.arrivals.take(torch.tensor([i])) for i in range(samples)])
        queue = coarse.start_round(self.draws)

        def offer() -> None:
            sample = next(offers)
            features = selector.features(self.still, self.stream.inputs(sample))
            [score] = coarse.add_and_score(features, sample.labels, self.draws)
            queue.offer(int(sample.labels), score)

        return _latency(self._time(offer), _each(bulk, samples))

    def selector(self, selector: Selector) -> Latency:
        """Time scoring and choosing among all samples of a round."""
        samples = len(self.arrivals)
        admitted = selector.admit(self.network, self.stream, self.arrivals, self.draws)
        candidates = selector.score(self.network, admitted)
        first = self.arrivals.take(torch.tensor([0]))
        one = self._time(partial(self._score, selector, self.still, first))
        everything = self._time(partial(self._score, selector, self.network, self.arrivals))
        choice = self._time(
            lambda: selector.select(admitted, candidates, self.batch_size, self.draws)
        )
        chosen = _each(choice, samples)
        return _latency(_sum(one, chosen), _sum(_each(everything, samples), chosen))

    def _score(self, selector: Selector, network: BlockNetwork, arrivals: Samples) -> None:
        admitted = selector.admit(network, self.stream, arrivals, self.draws)
        selector.score(network, admitted)

    @torch.no_grad()
    def _time(self, call: Callable[[], object]) -> _Timing:
        """Return the median time of a call."""
        for _ in range(WARM_UP):
            call()
        times: list[float] = []
        began = perf_counter()
        while len(times) < LEAST or (len(times) < MOST and perf_counter() - began < self.seconds):
            start = perf_counter()
            call()
            times.append(1e3 * (perf_counter() - start))
        return _Timing(median(times), len(times))


def _each(timing: _Timing, samples: int) -> _Timing:
    return _Timing(timing.milliseconds / samples, timing.repetitions)


def _sum(a: _Timing, b: _Timing) -> _Timing:
    return _Timing(a.milliseconds + b.milliseconds, min(a.repetitions, b.repetitions))


def _latency(arriving: _Timing, bulk: _Timing) -> Latency:
    fewest = min(arriving.repetitions, bulk.repetitions)
    return Latency(arriving.milliseconds, bulk.milliseconds, fewest)
