"""The coarse filter: from the samples of a round to a few candidates (paper section 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.models.inference.rows import flat_rows
from titan_repro.selection import class_statistics
from titan_repro.selection.base import check_choice
from titan_repro.selection.candidate_queue import CandidateQueue, kept_positions, kept_samples
from titan_repro.selection.class_quotas import (
    QUOTAS,
    class_masses,
    class_quotas,
    class_quotas_on_host,
)
from titan_repro.selection.class_statistics import ClassStatistics
from titan_repro.selection.coarse_scores import SCORES, coarse_scores
from titan_repro.selection.priority_order import priority_order

CPU = torch.device("cpu")
ADAPTIVE = "adaptive"
"""The budget that is not known before the round's candidates are scored."""


@dataclass(frozen=True)
class Admission:
    """What the filter made of one round.

    positions: (budget,) int64, the candidates' positions in the round, ascending; with an
        adaptive budget (v,), all positions, the most promising first.
    class_counts: (C,) int64, this round's arrivals of each class, kept or not.
    nonfinite: () int64, arrivals whose feature was NaN or infinite.
    """

    positions: Tensor
    class_counts: Tensor
    nonfinite: Tensor


class CoarseFilter:
    """Keeps the `budget` most promising samples of each round; memory does not grow with it.

    With an adaptive budget it puts all samples of the round in order instead, and whoever scores
    them says how many are candidates (`priority_order`).

    A round goes as follows, for samples in order of arrival, each with a feature f, the output
    of the network's first blocks, and a label y.

    1. The running sums of each class, n_y = sum 1, s_y = sum f and r_y = sum |f|^2, are
       multiplied by `decay`. Class quotas are computed from n_y (`class_quotas`).
    2. Each sample is added to its class's sums and scored then, with m = s_y / n_y and
       q = r_y / n_y, both including the sample itself.
    3. The candidates are kept by score and quota, equal scores in order of arrival
       (`candidate_queue`).

    Arguments, all named `filter.<argument>` in the configuration:
    budget: number of candidates kept, at least 1, or "adaptive". None in `self.budget` stands for
        the latter.
    score:
        `rep`: -|f - m|^2, closeness to the class centroid.
        `div`: |f|^2 + q - 2 <f, m>, mean squared distance to the samples of the class.
        `rep_plus_div`: their sum, the paper's score. It is q - |m|^2, the variance of the class:
            f cancels, so it ranks classes, not samples. Inside a class only the drift of the
            estimators during the round orders the samples: those are kept at whose arrival
            the class's running variance was highest, often neighbours in time, and with
            another order of arrival others would be.
        `rank_mix`: half the slots to the highest `rep`, half to the lowest, which inside a class
            is the highest `div`.
        `random`: a uniform draw for each sample; features are not looked at and may be None.
    quota: `per_class_proportional`, `per_class_equal` or `global`; see `class_quotas`.
    decay: above 0, at most 1; 1 keeps the paper's running sums over the whole stream, less
        forgets, since features drift while the model trains.

    A class's first sample is its own centroid: Rep = 0, the highest, Div = 0, the lowest.
    A sample whose feature is NaN or infinite changes no sum, is kept only for want of others,
    and is counted in `Admission.nonfinite`.

    `admit` takes a round at once; `start_round` takes it sample by sample in bounded memory, so
    not with an adaptive budget. Both give the same candidates. Raises ConfigurationError for a
    value that is not allowed.
    """

    def __init__(
        self, budget: int | str, score: str, quota: str, decay: float, *, num_classes: int
    ) -> None:
        if budget != ADAPTIVE and (isinstance(budget, str) or budget < 1):
            raise ConfigurationError(
                f"filter.budget: found {budget!r}; allowed: 1 or more, or {ADAPTIVE}"
            )
        if not 0 < decay <= 1:
            raise ConfigurationError(f"filter.decay: found {decay}; allowed: above 0, at most 1")
        check_choice("filter.score", score, SCORES)
        check_choice("filter.quota", quota, QUOTAS)
        self.budget = None if isinstance(budget, str) else budget
        self.score = score
        self.quota = quota
        self.statistics = ClassStatistics(num_classes, decay)

    @property
    def needs_features(self) -> bool:
        """Whether features must be given; if not, the forward pass can be saved."""
        return self.score != "random"

    @property
    def both_ends(self) -> bool:
        """Whether the lowest scores are kept along with the highest."""
        return self.score == "rank_mix"

    def admit(
        self, features: Tensor | None, labels: Tensor, generator: torch.Generator
    ) -> Admission:
        """Choose the candidates of a round and update the running sums.

        features: (v, *feature_shape) floating point; None is enough for `random`.
        labels: (v,) int64, on the features' device.
        generator: a CPU generator for this round, drawn from by `random` only.
        Nothing here waits for a GPU. Raises ValueError if v is less than the budget.
        """
        if self.budget is None:
            return self._all_in_order(features, labels, generator)
        if len(labels) < self.budget:
            raise ValueError(f"{self.budget} candidates cannot be kept of {len(labels)} samples")
        self.statistics.start_round(labels.device)
        counts = self.statistics.counts
        scores, finite = self._scores(features, labels, generator)
        members = self.statistics.memberships(labels)
        positions = self._kept(scores, finite, labels, members, counts, self.budget)
        return Admission(positions, members.sum(0), (~finite).sum())

    def start_round(
        self, generator: torch.Generator, device: torch.device = CPU
    ) -> "StreamingRound":
        """Begin a round whose samples are offered one by one; see `admit` for the generator.

        device: where the features will be. Raises ValueError for an adaptive budget, which leaves
        nothing to drop before the round's last sample.
        """
        if self.budget is None:
            raise ValueError(
                "a round of an adaptive budget has no bounded buffer; allowed: admit, all at once"
            )
        self.statistics.start_round(device)
        quotas = class_quotas(self.quota, self.statistics.counts, self.budget).tolist()
        return StreamingRound(self, self.budget, quotas, generator, device)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what is remembered between rounds: the running sums of each class."""
        return self.statistics.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        self.statistics.load_state_dict(state)

    def _all_in_order(
        self, features: Tensor | None, labels: Tensor, generator: torch.Generator
    ) -> Admission:
        """Do as `admit` with an adaptive budget; classes have their masses of before the round."""
        self.statistics.start_round(labels.device)
        if self.quota == "global":
            strata, masses = torch.zeros_like(labels), self.statistics.counts.new_ones(1)
        else:
            strata, masses = labels, class_masses(self.quota, self.statistics.counts)
        scores, finite = self._scores(features, labels, generator)
        positions = priority_order(scores, finite, strata, masses, self.both_ends)
        return Admission(positions, self.statistics.memberships(labels).sum(0), (~finite).sum())

    def _kept(
        self,
        scores: Tensor,
        finite: Tensor,
        labels: Tensor,
        members: Tensor,
        counts: Tensor,
        budget: int,
    ) -> Tensor:
        """Return the positions of the candidates, (budget,); quotas are of the counts before."""
        if class_statistics.on_arrays(labels):
            known = zip(scores.tolist(), finite.tolist(), strict=True)
            of_each = [score if is_finite else None for score, is_finite in known]
            shares = class_quotas_on_host(self.quota, counts, budget)
            kept_here = kept_positions(of_each, labels.tolist(), shares, budget, self.both_ends)
            return torch.tensor(kept_here)
        quotas = class_quotas(self.quota, counts, budget)
        kept = kept_samples(scores, finite, members, quotas, budget, self.both_ends)
        return kept.byte().argsort(descending=True, stable=True)[:budget]

    def _scores(
        self, features: Tensor | None, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Update the running sums; return scores (v,) and which of them are finite (v,)."""
        if not self.needs_features:
            self.statistics.count(labels)
            draws = torch.rand(len(labels), dtype=torch.float64, generator=generator)
            return draws.to(labels.device, non_blocking=True), torch.ones_like(labels).bool()
        if features is None or len(features) != len(labels):
            raise ValueError(f"filter.score {self.score} needs the feature of every sample")
        moments = self.statistics.observe(flat_rows(features), labels)
        return coarse_scores(self.score, moments), moments.finite


class StreamingRound:
    """One round of a `CoarseFilter`, sample by sample, as they arrive.

    Holds the positions and scores of at most `budget` samples. The caller keeps the samples
    themselves in as many slots: `offer` says whose slot is free again.
    """

    def __init__(
        self,
        coarse_filter: CoarseFilter,
        budget: int,
        quotas: list[int],
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.queue = CandidateQueue(budget, quotas, coarse_filter.both_ends)
        self._filter = coarse_filter
        self._budget = budget
        self._generator = generator
        self._device = device
        self._class_counts = [0] * len(quotas)
        self._nonfinite = 0

    def offer(self, feature: Tensor | None, label: int) -> int | None:
        """Consider the next sample; return the position of the one that lost its slot, if any.

        feature: (*feature_shape), None is enough for `random`. Positions count the offers from 0;
        the sample offered now may itself be the one without a slot.
        """
        position = sum(self._class_counts)
        self._class_counts[label] += 1
        row = None if feature is None else feature[None]
        labels = torch.tensor([label], device=self._device)
        scores, finite = self._filter._scores(row, labels, self._generator)
        score = scores.item() if finite.item() else None
        self._nonfinite += score is None
        return self.queue.offer(position, label, score)

    def finish(self) -> Admission:
        """Return what `CoarseFilter.admit` returns for the same samples."""
        positions = self.queue.positions()
        if len(positions) < self._budget:
            raise ValueError(
                f"{self._budget} candidates cannot be kept of {len(positions)} samples"
            )
        results = positions, self._class_counts, self._nonfinite
        return Admission(*(torch.tensor(result, device=self._device) for result in results))
