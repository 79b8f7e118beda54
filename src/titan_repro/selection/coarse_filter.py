"""The coarse filter: from the samples of a round to a few candidates (paper section 3.3).

Samples arrive one after the other, each with a label y and a feature f, the output of the network's
first blocks (pooled over positions with `filter.pooling`). With each

1. the running sums of its class grow: n_y = sum 1, s_y = sum f, r_y = sum |f|^2 (`class_sums`);
2. it is scored by them, with m = s_y / n_y and q = r_y / n_y for the paper's two averages E f(x')
   and E |f(x')|^2, the sample itself included: Rep and Div below;
3. it is offered to a buffer that keeps the highest scores, the paper's priority queue (`queue`).

A round begins with an empty buffer and with two steps that are not the paper's: the sums are
multiplied by `decay`, and each class gets a quota of the buffer's slots, by default in proportion
to n_y of the rounds before, plus one (`queue.class_quotas`). Slots that a class cannot fill go to
the best of the rest. `decay` 1, the default, and quota `global` are the paper's filter.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from titan_repro.choices import Quota, Score
from titan_repro.errors import ConfigurationError
from titan_repro.models.inference.scoring import flat_rows
from titan_repro.selection.base import check_choice
from titan_repro.selection.class_sums import ClassSums, Moments
from titan_repro.selection.priority_order import priority_order
from titan_repro.selection.queue import DRAWN, QUOTAS, CandidateQueue, class_masses, class_quotas

ADAPTIVE = "adaptive"
"""ADAPTIVE: the budget that is not known before the round's candidates are scored."""

ROUNDING = 1e-12
"""ROUNDING: a squared distance below this share of its terms is their rounding error, and is 0."""


def representativeness(moments: Moments) -> np.ndarray:
    """Return Rep = -|f - m|^2 = -(|f|^2 - 2 <f, m> + |m|^2), (v,): closeness to the centroid."""
    distance = moments.feature_square - 2 * moments.product + moments.centroid_square
    return -_above_rounding(distance, moments)


def diversity(moments: Moments) -> np.ndarray:
    """Return Div = |f|^2 + q - 2 <f, m>, (v,): mean squared distance to the class's samples."""
    distance = moments.feature_square - 2 * moments.product + moments.class_square
    return _above_rounding(distance, moments)


def class_variance(moments: Moments) -> np.ndarray:
    """Return Rep + Div = q - |m|^2, (v,): the paper's score, which is the variance of the class.

    The sample's own feature cancels, so this ranks classes, not samples. Within a class the samples
    kept are those that arrived while the class's running variance was highest. They are often
    neighbours in time; another order of arrival would keep others. It is computed directly: in a
    sum of Rep and Div rounding errors would decide.
    """
    return _above_rounding(moments.class_square - moments.centroid_square, moments)


def _above_rounding(distance: np.ndarray, moments: Moments) -> np.ndarray:
    """Return distances or variances, (v,), with 0 for those that are only rounding error."""
    scale = moments.feature_square + moments.class_square
    return np.where(distance <= ROUNDING * scale, 0.0, distance)


SCORES: Mapping[str, Callable[[Moments], np.ndarray] | None] = {
    "rep_plus_div": class_variance,
    "rep": representativeness,
    "div": diversity,
    "rank_mix": representativeness,  # of which the highest are kept and the lowest
    "random": None,  # does not look at features
}
"""What ranks the samples of a round, by the value of `filter.score`."""


class Admission(NamedTuple):
    """What the filter made of one round.

    positions: (budget,) int64, the candidates' positions in the round, ascending; with an
        adaptive budget (v,), all positions, the most promising first.
    nonfinite: arrivals whose feature was NaN or infinite.
    """

    positions: Tensor
    nonfinite: int


class CoarseFilter:
    """Keeps the `budget` most promising samples of each round.

    With an adaptive budget (section 3.4) it puts all samples of the round in order instead
    (`priority_order`), and how many are candidates is known when time for scoring is up.

    Arguments, all named `filter.<argument>` in the configuration:
    budget: number of candidates kept, at least 1, or "adaptive". None in `self.budget` stands for
        the latter.
    score: `rep`, `div` or their sum `rep_plus_div`, the paper's, which ranks classes only (see
        `class_variance`); `rank_mix`: half the slots to the highest `rep`, half to the lowest,
        which inside a class is nearly the highest `div` (q - |m|^2 drifts a little in a round);
        `random`: a uniform draw for each sample, whose feature is not looked at and may be None.
    quota: `per_class_proportional`, `per_class_drawn` (not with an adaptive budget),
        `per_class_equal` or `global`; see `class_quotas`.
    decay: above 0, at most 1; 1 keeps the paper's running sums over the whole stream, less
        forgets, since features drift while the model trains.

    A class's first sample is its own centroid: Rep = 0, the highest, Div = 0, the lowest.
    A sample whose feature is NaN or infinite changes no sum, is kept only for want of others,
    and is counted in `Admission.nonfinite`.

    `admit` takes a round at once. Samples can as well be taken one by one, as they arrive: offer
    the score (`add_and_score`) of each to the queue that `start_round` returns, which says whose
    slot is free again. The candidates are the same. Not with an adaptive budget, which needs all
    of a round to rank them.

    Raises ConfigurationError for a value that is not allowed.
    """

    def __init__(
        self,
        budget: int | str = 30,
        score: Score = "rep_plus_div",
        quota: Quota = "per_class_proportional",
        decay: float = 1.0,
        *,
        num_classes: int,
    ) -> None:
        if budget != ADAPTIVE and (isinstance(budget, str) or budget < 1):
            raise ConfigurationError(
                f"filter.budget: found {budget!r}; allowed: 1 or more, or {ADAPTIVE}"
            )
        if not 0 < decay <= 1:
            raise ConfigurationError(f"filter.decay: found {decay}; allowed: above 0, at most 1")
        check_choice("filter.score", score, get_args(Score))
        check_choice("filter.quota", quota, QUOTAS)
        if budget == ADAPTIVE and quota == DRAWN:
            others = ", ".join(name for name in QUOTAS if name != DRAWN)
            raise ConfigurationError(
                f"filter.quota: found {DRAWN}; allowed with filter.budget={ADAPTIVE}: {others}"
            )
        self.budget = None if isinstance(budget, str) else budget
        self.score: str = score
        self.quota: str = quota
        self.class_sums = ClassSums(num_classes, decay)

    def admit(
        self, features: Tensor | None, labels: Tensor, generator: torch.Generator
    ) -> Admission:
        """Add a round's samples to the running sums and return which of them are candidates.

        features: (v, *feature_shape) floating point, on any device; None is enough for `random`.
        labels: (v,) int64, on any device.
        generator: a CPU generator for this round, drawn from by score `random` and quota
            `per_class_drawn` only.
        Raises ValueError if v is less than the budget.
        """
        if self.budget is None:
            return self._all_in_order(features, labels, generator)
        if len(labels) < self.budget:
            raise ValueError(f"{self.budget} candidates cannot be kept of {len(labels)} samples")
        queue = self.start_round(generator)
        scores = self.add_and_score(features, labels, generator)  # steps 1, 2, sample after sample
        for label, score in zip(labels.tolist(), scores, strict=True):  # step 3
            queue.offer(label, score)
        return Admission(torch.tensor(queue.positions()), scores.count(None))

    def start_round(self, generator: torch.Generator) -> CandidateQueue:
        """Begin a round: let the sums forget, fix the class quotas, return the empty buffer.

        generator: a CPU generator for this round, drawn from by quota `per_class_drawn` only.
        Raises ValueError for an adaptive budget, which leaves nothing to drop before the round's
        last sample.
        """
        if self.budget is None:
            raise ValueError(
                "a round of an adaptive budget has no bounded buffer; allowed: admit, all at once"
            )
        self.class_sums.start_round()
        quotas = class_quotas(self.quota, self.class_sums.counts, self.budget, generator)
        return CandidateQueue(self.budget, quotas, self.both_ends)

    def add_and_score(
        self, features: Tensor | None, labels: Tensor, generator: torch.Generator
    ) -> list[float | None]:
        """Add samples to the running sums; return the score to rank each by, None: not finite.

        Each sample is scored by the sums as of its own arrival. Scores are rounded to single
        precision, about that of the features, so that the order of additions in double precision
        cannot decide a ranking; equal scores tie, and the earlier arrival wins.
        """
        classes, rule = labels.cpu().numpy(), SCORES[self.score]
        if rule is None:
            self.class_sums.count(classes)
            draws = torch.rand(len(labels), dtype=torch.float64, generator=generator)
            return list(draws.tolist())
        if features is None or len(features) != len(labels):
            raise ValueError(f"filter.score {self.score} needs the feature of every sample")
        moments = self.class_sums.add(flat_rows(features).cpu(), classes)
        with np.errstate(all="ignore"):  # of what is not finite
            single = rule(moments).astype(np.float32).tolist()
        finite = moments.finite.tolist()
        return [score if usable else None for score, usable in zip(single, finite, strict=True)]

    def _all_in_order(
        self, features: Tensor | None, labels: Tensor, generator: torch.Generator
    ) -> Admission:
        """Do as `admit` with an adaptive budget: all samples, in `priority_order`.

        Slots are shared out by the masses that classes have before the round.
        """
        self.class_sums.start_round()
        if self.quota == "global":
            classes, masses = [0] * len(labels), [1.0]
        else:
            classes = labels.tolist()
            masses = class_masses(self.quota, self.class_sums.counts).tolist()
        scores = self.add_and_score(features, labels, generator)
        order = priority_order(scores, classes, masses, self.both_ends)
        return Admission(torch.tensor(order), scores.count(None))

    @property
    def needs_features(self) -> bool:
        """Whether features must be given; if not, the forward pass can be saved."""
        return SCORES[self.score] is not None

    @property
    def both_ends(self) -> bool:
        """Whether the lowest scores are kept along with the highest."""
        return self.score == "rank_mix"

    def state_dict(self) -> dict[str, Tensor]:
        """Return what is remembered between rounds: the running sums of each class."""
        return self.class_sums.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        self.class_sums.load_state_dict(state)
