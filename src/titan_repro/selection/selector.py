"""A selector is a composition: a coarse filter or none, one scoring pass, a policy.

`admit`, `score` and `select` are steps 2 to 4 of a round; every executor calls exactly these on the
same tensors, which is why they agree to the last bit. The network and a round's rows may be on any
device; what the policy is given, and what the filter ranks, is on the host.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import (
    ScoringNetwork,
    pooled,
    scoring_mode,
    take_rows,
)
from titan_repro.selection.base import Batch, Candidates, Needs, Policy, Scores, Selection
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.full_gradients import full_gradient_moments
from titan_repro.streams.base import Samples, Stream


class Selector:
    """Chooses a training batch from the samples of a round.

    coarse_filter: None: all samples of a round are candidates.
    classes: C. blocks: how many of the network's first blocks make the filter's features.
    pooling: none | average, over positions, of those features.
    scoring_norm: running | batch, BatchNorm's statistics in both passes.
    """

    def __init__(
        self,
        coarse_filter: CoarseFilter | None,
        policy: Policy,
        *,
        classes: int,
        blocks: int,
        pooling: str,
        scoring_norm: str,
    ) -> None:
        self.filter = coarse_filter
        self.policy = policy
        self.classes = classes
        self.blocks = blocks
        self.pooling = pooling
        self.scoring_norm = scoring_norm
        self._scoring: ScoringNetwork | None = None

    @torch.no_grad()
    def admit(
        self,
        network: BlockNetwork,
        stream: Stream,
        arrivals: Samples,
        draws: torch.Generator,
        keep: int | None = None,
    ) -> Candidates:
        """Filter a round's arrivals to the candidate set; without a filter all are candidates.

        keep: how many of the samples that the filter gives; None: all of them.
        """
        labels = arrivals.labels.cpu()
        counts = labels.new_zeros(self.classes).scatter_add(0, labels, torch.ones_like(labels))
        if self.filter is None:
            inputs = stream.inputs(arrivals) if self.reads_inputs else None
            return Candidates(arrivals, counts, inputs)
        rows, features, passed = stream.inputs(arrivals), None, self.blocks_passed
        if self.needs_features:
            scoring = self._scoring_network(network)
            scoring.refresh()
            maps = scoring.features(rows, self.blocks)
            features = pooled(maps, self.pooling)
            rows = maps if passed > 0 else rows
        positions, nonfinite = self.filter.admit(features, arrivals.labels, draws)
        kept = positions[:keep].to(rows.device)
        return Candidates(arrivals.take(kept), counts, take_rows(rows, kept), nonfinite, passed)

    @torch.no_grad()
    def score(
        self, network: BlockNetwork, admitted: Candidates, *, same_weights: bool = False
    ) -> Scores:
        """Run the network once over the candidates for what the policy needs of them.

        same_weights: the network's are those of the last call, which saves folding them again.
        """
        arrivals, inputs, needs = admitted.arrivals, admitted.inputs, self.policy.needs
        known = Scores(
            arrivals.labels.cpu(), admitted.stream_counts.cpu(), positions=arrivals.indices.cpu()
        )
        if needs is Needs.NOTHING or inputs is None:
            return known
        if needs is Needs.INPUTS:
            return replace(known, inputs=inputs.cpu())
        if needs is Needs.FULL_GRADIENTS:
            with scoring_mode(network, self.scoring_norm):
                moments = full_gradient_moments(network, inputs, arrivals.labels, self.classes)
            return replace(known, moments=moments.cpu())
        scoring = self._scoring_network(network)
        if not same_weights:
            scoring.refresh()
        logits, embeddings = scoring.outputs(inputs, admitted.passed)
        scored = replace(known, logits=logits.cpu(), embeddings=embeddings.cpu())
        return replace(scored, inputs=inputs.cpu()) if needs is Needs.INPUTS_AND_LOGITS else scored

    @torch.no_grad()
    def select(
        self, admitted: Candidates, scored: Scores, batch_size: int, draws: torch.Generator
    ) -> tuple[Batch, Selection]:
        """Let the policy choose; return the batch and what the policy says of it."""
        selection = self.policy.select(scored, batch_size, draws)
        return selection.batch(admitted.arrivals), selection

    def state_dict(self) -> dict[str, Any]:
        """Return what filter and policy remember between rounds."""
        return {
            "filter": None if self.filter is None else dict(self.filter.state_dict()),
            "policy": dict(self.policy.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if self.filter is not None:
            self.filter.load_state_dict(state["filter"])
        self.policy.load_state_dict(state["policy"])

    # What others must know before a round: who needs the network, who the inputs.

    @property
    def runs_network(self) -> bool:
        """Whether the network may be run on samples to choose among them."""
        return self.filter is not None or self.scores_candidates

    @property
    def needs_features(self) -> bool:
        """Whether the filter runs the network's first blocks on all arrivals."""
        return self.filter is not None and self.filter.needs_features

    @property
    def scores_candidates(self) -> bool:
        """Whether the policy runs the network on all candidates."""
        return self.policy.needs not in (Needs.NOTHING, Needs.INPUTS)

    @property
    def reads_inputs(self) -> bool:
        """Whether the inputs of all arrivals are needed to choose among them."""
        return self.filter is not None or self.policy.needs is not Needs.NOTHING

    @property
    def blocks_passed(self) -> int:
        """How many blocks of the network candidates have been through when they are scored.

        Scoring goes on from the filter's features, where it is a forward pass. Not with a batch's
        own statistics: a round's arrivals have others than its candidates. Nor with an adaptive
        budget: most of the round's features would be handed on for nothing.
        """
        forward = self.policy.needs in (Needs.LOGITS, Needs.EMBEDDINGS)
        if self.filter is None or not self.filter.needs_features or self.filter.budget is None:
            return 0
        return self.blocks if forward and self.scoring_norm == "running" else 0

    def features(self, network: BlockNetwork, inputs: Tensor) -> Tensor | None:
        """Return the features of single samples, (v, *feature_shape), if they are needed.

        With the weights of the last round that began with `admit`.
        """
        if not self.needs_features:
            return None
        maps = self._scoring_network(network).features(inputs, self.blocks)
        return pooled(maps, self.pooling)

    def _scoring_network(self, network: BlockNetwork) -> ScoringNetwork:
        """Return the forward passes of `network`, kept as long as it is this one that is given."""
        if self._scoring is None or self._scoring.network is not network:
            self._scoring = ScoringNetwork(network, self.scoring_norm)
        return self._scoring
