"""The work of each stage of a round of one network under one selector, by formula."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod

import torch
from torch import Tensor

from titan_repro.boards import steps
from titan_repro.boards.layers import META, Layer, walk
from titan_repro.boards.work import NO_WORK, Work
from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import pooled, scoring_mode
from titan_repro.selection.base import Policy
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.selector import Selector

COLOURS = 3
"""Channels of the images that published networks take."""


@dataclass(frozen=True)
class RoundWork:
    """The work of one round by stage; NO_WORK where the selector has no such stage."""

    filter: Work
    score: Work
    select: Work
    train: Work


@dataclass(frozen=True)
class RoundSize:
    """How many samples each stage of a round touched, as rounds.parquet records it.

    Without candidates nothing was filtered or scored, and the batch was drawn at random.
    """

    filtered: int
    scored: int
    candidates: int
    trained: int


@dataclass(frozen=True)
class StandIns:
    """Published networks that a board's figures are of, by the names of the models (conf/model).

    size: pixels of a side of the images that they are given.
    """

    size: int
    networks: dict[str, Callable[[Sequence[int], int], BlockNetwork]]


class RoundCounter:
    """Counts rounds of one network under one selector.

    coarse_filter: None if the selector has none. Of filter and policy no code is run: what counts
        is whether there is a filter that looks at features, and which policy it is.
    input_shape: of one sample.
    blocks, pooling, scoring_norm: as of `selection.selector.Selector`.
    model: the network's name in conf/model, for `on`.

    Not counted: gathering and normalising inputs, and the stream's own bookkeeping; on a device
    samples come from a sensor.
    """

    def __init__(
        self,
        network: BlockNetwork,
        coarse_filter: CoarseFilter | None,
        policy: Policy,
        *,
        input_shape: Sequence[int],
        blocks: int = 1,
        pooling: str = "none",
        scoring_norm: str = "running",
        model: str = "",
    ) -> None:
        self.network = copy.deepcopy(network).to(META)
        self.coarse_filter = coarse_filter
        self.policy = policy
        self.input_shape = tuple(input_shape)
        self.classes = network.classifier.out_features
        self.blocks = blocks
        self.pooling = pooling
        self.scoring_norm = scoring_norm
        self.model = model
        self.filter = cache(self._filter)
        self.score = cache(self._score)
        self.select = cache(self._select)
        self.train = cache(self._train)
        self._standing_in: dict[tuple[object, int], RoundCounter] = {}

    @classmethod
    def of(
        cls,
        network: BlockNetwork,
        selector: Selector,
        input_shape: Sequence[int],
        model: str = "",
    ) -> "RoundCounter":
        """Return what counts rounds of a network under a selector as it is composed."""
        return cls(
            network,
            selector.filter,
            selector.policy,
            input_shape=input_shape,
            blocks=selector.blocks,
            pooling=selector.pooling,
            scoring_norm=selector.scoring_norm,
            model=model,
        )

    def on(self, stand_ins: StandIns | None) -> "RoundCounter":
        """Return what counts the same rounds of the published network that stands for this one.

        Itself without stand-ins, for a model that has none, and for other data than colour images.
        """
        images = len(self.input_shape) == 3 and self.input_shape[0] == COLOURS
        build = stand_ins.networks.get(self.model) if stand_ins is not None and images else None
        if build is None or stand_ins is None:
            return self
        key = (build, stand_ins.size)
        if key not in self._standing_in:
            shape = (COLOURS, stand_ins.size, stand_ins.size)
            with torch.device(META):
                network = build(shape, self.classes)
            self._standing_in[key] = RoundCounter(
                network,
                self.coarse_filter,
                self.policy,
                input_shape=shape,
                blocks=self.blocks,
                pooling=self.pooling,
                scoring_norm=self.scoring_norm,
            )
        return self._standing_in[key]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The network's layers."""
        return walk(self.network, self.input_shape)

    @cached_property
    def state(self) -> tuple[int, int]:
        """Bytes of weights and running statistics, and in how many tensors."""
        tensors = [t for t in self.network.state_dict().values() if t.is_floating_point()]
        return sum(t.numel() * t.element_size() for t in tensors), len(tensors)

    def round(
        self, size: RoundSize, *, filter_at_once: int | None, score_at_once: int | None
    ) -> RoundWork:
        """Return the work of a round.

        filter_at_once: 1, each sample is filtered as it arrives, or None, a whole round at once.
        score_at_once: samples in one forward pass of scoring; None for all of them.
        """
        return RoundWork(
            filter=self.filter(size.filtered, filter_at_once),
            score=in_batches(size.scored, score_at_once or size.scored, self.score),
            select=self.select(size.candidates, size.trained),
            train=self.train(size.trained),
        )

    def features(self, samples: int) -> Tensor:
        """Return the filter's features of samples at once, (samples, *feature_shape), no data."""
        with torch.no_grad(), scoring_mode(self.network, "running"):
            inputs = torch.empty(samples, *self.input_shape, device=META)
            return pooled(self.network.features(inputs, self.blocks), self.pooling)

    def _filter(self, samples: int, at_once: int | None) -> Work:
        """Return the work of filtering a round; a filter that draws at random does none."""
        if self.coarse_filter is None or samples == 0 or not self.coarse_filter.needs_features:
            return NO_WORK
        length, batch = prod(self.features(1).shape[1:]), at_once or samples
        one = steps.filter_work(self.layers, self.blocks, length, batch)
        return one * (samples / batch)

    def _score(self, samples: int) -> Work:
        """Return the work of one scoring pass over samples at once."""
        width = self.network.classifier.in_features
        needs = self.policy.needs
        return steps.scoring_work(self.layers, needs, width, self.classes, samples)

    def _select(self, candidates: int, batch_size: int) -> Work:
        """Return the work of the policy's own arithmetic; none where a batch is drawn at random."""
        width = self.network.classifier.in_features
        inputs = prod(self.input_shape)
        return steps.selection_work(self.policy, candidates, width, self.classes, inputs)

    def _train(self, batch_size: int) -> Work:
        """Return the work of one training step."""
        weights = [weight.numel() for weight in self.network.parameters()]
        return steps.training_work(self.layers, sum(weights), len(weights), batch_size)


def in_batches(samples: int, at_once: int, work: Callable[[int], Work]) -> Work:
    """Return the work of `samples` taken `at_once` at a time; `work` says that of one batch."""
    if samples == 0:
        return NO_WORK
    full, rest = divmod(samples, at_once)
    total = work(at_once) * full if full else NO_WORK
    return total + work(rest) if rest else total
