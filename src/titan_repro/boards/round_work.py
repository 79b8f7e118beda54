"""The work of each stage of a round, counted with the filter and policy that ran it.

Counted is their tensor code and the network as it is, every candidate scored from its input, which
is what the paper describes; the short cuts of a CPU (docs/design.md) are not.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from titan_repro.boards.work import (
    META,
    NO_WORK,
    Work,
    as_backward,
    count,
    meta_copy,
    scoring_work,
    shallow_work,
    training_work,
)
from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.selection.base import GradientMoments, Needs, Policy, Scores
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.full_gradients import full_gradient_moments
from titan_repro.selection.selector import Selector


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


class RoundCounter:
    """Counts rounds of one network under one selector.

    coarse_filter: None if the selector has none. Network, filter and policy are copied, never
        changed.
    input_shape: of one sample.
    blocks, pooling, scoring_norm: as of `pipeline.selector.Selector`.

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
    ) -> None:
        self.network = meta_copy(network)
        self.coarse_filter = coarse_filter
        self.policy = policy
        self.input_shape = tuple(input_shape)
        self.classes = network.classifier.out_features
        self.blocks = blocks
        self.pooling = pooling
        self.scoring_norm = scoring_norm
        self.filter = cache(self._filter)
        self.score = cache(self._score)
        self.select = cache(self._select)
        self.train = cache(self._train)

    @classmethod
    def of(
        cls, network: BlockNetwork, selector: Selector, input_shape: Sequence[int]
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
        )

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
        with torch.no_grad(), scoring_mode(self.network, self.scoring_norm):
            features = self.network.features(self._inputs(samples), self.blocks)
        average = self.pooling == "average" and features.ndim > 2
        return features.flatten(start_dim=2).mean(dim=2) if average else features

    def _filter(self, samples: int, at_once: int | None) -> Work:
        """Return the work of filtering a round: features, class statistics, ranking."""
        if self.coarse_filter is None or samples == 0:
            return NO_WORK
        batch = at_once or samples
        features = (
            shallow_work(self.network, self.input_shape, self.blocks, batch)
            if self.coarse_filter.needs_features
            else NO_WORK
        )
        if at_once is None:
            return features + _admission_work(self.coarse_filter, self.features(samples))
        per_sample = features + _arrival_work(self.coarse_filter, self.features(1).shape[1:])
        return per_sample * samples

    def _score(self, samples: int) -> Work:
        """Return the work of one scoring pass over samples at once."""
        needs = self.policy.needs
        if needs in (Needs.NOTHING, Needs.INPUTS):
            return NO_WORK
        if needs is Needs.FULL_GRADIENTS:  # computed sample after sample
            return self._full_gradient() * samples
        return scoring_work(self.network, self.input_shape, samples, self.scoring_norm)

    def _full_gradient(self) -> Work:
        """Return the work of one sample's gradient over all parameters."""
        sample, label = self._inputs(1), _labels(1)
        with scoring_mode(self.network, self.scoring_norm):
            total = count(lambda: full_gradient_moments(self.network, sample, label, self.classes))
        return as_backward(total, scoring_work(self.network, self.input_shape, 1).flops)

    def _select(self, candidates: int, batch_size: int) -> Work:
        """Return the work of the policy's own arithmetic; none where a batch is drawn at random."""
        if candidates == 0:
            return NO_WORK
        policy, known = copy.deepcopy(self.policy), self._candidates(candidates)
        with torch.no_grad():
            return count(lambda: policy.select(known, batch_size, torch.Generator()))

    def _train(self, batch_size: int) -> Work:
        """Return the work of one training step."""
        return training_work(self.network, self.input_shape, batch_size)

    def _candidates(self, candidates: int) -> Scores:
        """Return candidates without data, with everything that a policy may need of them."""
        width = self.network.classifier.in_features
        return Scores(
            labels=_labels(candidates),
            stream_counts=_labels(self.classes),
            inputs=self._inputs(candidates),
            logits=torch.empty(candidates, self.classes, device=META),
            embeddings=torch.empty(candidates, width, device=META),
            moments=GradientMoments(
                torch.empty(candidates, dtype=torch.float64, device=META),
                torch.empty(self.classes, dtype=torch.float64, device=META),
            ),
        )

    def _inputs(self, samples: int) -> Tensor:
        return torch.empty(samples, *self.input_shape, device=META)


def in_batches(samples: int, at_once: int, work: Callable[[int], Work]) -> Work:
    """Return the work of `samples` taken `at_once` at a time; `work` says that of one batch."""
    if samples == 0:
        return NO_WORK
    full, rest = divmod(samples, at_once)
    total = work(at_once) * full
    return total + work(rest) if rest else total


def _admission_work(coarse_filter: CoarseFilter, features: Tensor) -> Work:
    """Return the work of scoring and ranking a whole round, given its features."""
    trial, labels = copy.deepcopy(coarse_filter), _labels(len(features))
    trial.admit(features, labels, torch.Generator())  # the first call makes room for the sums
    with torch.no_grad():
        return count(lambda: trial.admit(features, labels, torch.Generator()))


def _arrival_work(coarse_filter: CoarseFilter, feature_shape: Sequence[int]) -> Work:
    """Return the work of scoring and queueing one sample on its arrival, given its feature.

    On real memory, because the sample-by-sample form reads each score back. The queue is not made
    of tensors, so how many samples it keeps, or whether it keeps all, changes nothing.
    """
    feature = torch.zeros(*feature_shape)
    trial = copy.deepcopy(coarse_filter)
    trial.budget = trial.budget or 1
    arriving = trial.start_round(torch.Generator())
    with torch.no_grad():
        arriving.offer(feature, 0)  # the first call makes room for the sums
        return count(lambda: arriving.offer(feature, 0))


def _labels(samples: int) -> Tensor:
    return torch.empty(samples, dtype=torch.int64, device=META)
