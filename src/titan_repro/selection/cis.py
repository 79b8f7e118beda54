"""C-IS: classified importance sampling (paper section 3.2, Lemma 2).

The batch is allocated to classes in proportion to class importance I(y) and inside a class to
candidates in proportion to their gradient norm:

    I(y) = mass_y * sqrt((mean |g|)^2 - |mean g|^2)        (Equation 2, see ClassStatistics)
"""

from collections.abc import Mapping
from typing import Any, get_args

import torch
from torch import Tensor

from titan_repro.choices import (
    ClassImportance,
    ClassMass,
    Gradient,
    Sampling,
    Weighting,
)
from titan_repro.errors import ConfigurationError
from titan_repro.selection import cis_arrays
from titan_repro.selection.base import Candidates, Selection, check_batch, check_choice
from titan_repro.selection.inclusion import clean, first_positive, inclusion_numbers
from titan_repro.selection.sampling import draw, pick_weights
from titan_repro.selection.statistics import (
    RESOLUTION,
    ClassStatistics,
    class_statistics,
    gradient_moments,
    needs_of,
)


def plugin_spread(statistics: ClassStatistics) -> Tensor:
    """Return the squared spread of each class as Equation 2 states it, (C,).

    Zero for a class of one candidate or of equal gradients, down to RESOLUTION.
    """
    squared = statistics.squared_spread
    noise = squared < (RESOLUTION * statistics.mean_norms).square()
    return squared.masked_fill(noise, 0.0)


def bessel_spread(statistics: ClassStatistics) -> Tensor:
    """Return the unbiased squared spread of each class, (C,), also for a class of one candidate.

    Over draws of n candidates of a class the plug-in value has the expectation (n - 1) / n of the
    class's true one, so it is multiplied by n / (n - 1). For a single candidate the true value is
    at most |g|^2, and the spread relative to the mean norm is taken to be that of the other
    classes of the round: |g|^2 times their ratio of squared spread to squared mean norm, pooled
    with n - 1 degrees of freedom each and at most 1; 1 if all classes have one candidate.
    """
    counts, squared_means = statistics.counts, statistics.mean_norms.square()
    freedom = (counts - 1).clamp_min(0.0)
    spread = plugin_spread(statistics) * counts / freedom.clamp_min(1.0)
    pooled = (freedom * squared_means).sum()
    ratio = (freedom * spread).sum() / pooled.masked_fill(pooled == 0, 1.0)
    ratio = ratio.clamp_max(1.0).masked_fill(pooled == 0, 1.0)
    return torch.where(counts == 1, ratio * squared_means, spread)


class ClassifiedImportanceSampling:
    """Draws candidates by class importance, then by gradient norm.

    gradient: last_layer (default) | logits | full.
    class_importance: plugin (Equation 2 literally; a class of one candidate gets nothing) |
        bessel (default; see `bessel_spread`) | ema (the bessel spread of classes with two or more
        candidates, averaged over rounds; classes not seen so keep their memory).
    class_mass: candidates (default) | stream, what |S_y| counts. With stream the mass of classes
        without a candidate is lost to the estimate.
    weighting: none (default) | unbiased | self_normalised. Unbiased for the mean gradient of the
        candidates, or for the class means weighted by the stream's class frequencies. So that every
        class can be drawn, spreads are then at least RESOLUTION of the class's mean norm.
    sampling: systematic (default) | multinomial | without_replacement.
    memory: weight of the past in the moving average, per round.

    If no class has importance, classes share by mass times mean norm, which is plain importance
    sampling; if all gradients are zero, or none is finite, the draw is uniform. A stream that
    counted none of the candidates' classes is replaced by the candidates' counts.
    """

    def __init__(
        self,
        gradient: Gradient = "last_layer",
        class_importance: ClassImportance = "bessel",
        class_mass: ClassMass = "candidates",
        weighting: Weighting = "none",
        sampling: Sampling = "systematic",
        memory: float = 0.9,
    ) -> None:
        self.needs = needs_of(gradient)
        check_choice("class_importance", class_importance, get_args(ClassImportance))
        check_choice("class_mass", class_mass, get_args(ClassMass))
        check_choice("weighting", weighting, get_args(Weighting))
        check_choice("sampling", sampling, get_args(Sampling))
        if not 0 <= memory < 1:
            raise ConfigurationError(f"memory: found {memory}; allowed: 0 to below 1")
        self.gradient: str = gradient
        self.class_importance: str = class_importance
        self.class_mass: str = class_mass
        self.weighting: str = weighting
        self.sampling: str = sampling
        self.memory = memory
        self._average: Tensor | None = None  # (C,) squared spread; NaN: never measured

    def select(
        self, candidates: Candidates, batch_size: int, generator: torch.Generator
    ) -> Selection:
        """Draw `batch_size` candidates; with `ema` also take this round into the average."""
        check_batch(candidates, batch_size)
        if cis_arrays.serves(candidates, self.sampling):
            selection, self._average = cis_arrays.select(
                self, self._average, candidates, batch_size, generator
            )
            return selection
        moments = gradient_moments(candidates, self.gradient)
        scores = clean(moments.norms)
        classes = class_statistics(
            moments, candidates.labels, candidates.stream_counts.shape[0], scores.usable
        )
        mass = self._mass(classes, candidates.stream_counts)
        numbers = inclusion_numbers(
            scores,
            candidates.labels,
            self._importance(classes, mass),
            batch_size,
            distinct=self.sampling == "without_replacement",
        )
        indices = draw(numbers, candidates.labels, batch_size, self.sampling, generator)
        share = mass / mass.sum() / classes.counts.clamp_min(1.0)  # (C,)
        target = share[candidates.labels] * scores.usable
        return Selection(
            indices=indices,
            weights=pick_weights(numbers, target, indices, self.weighting),
            probabilities=numbers[indices].float(),
            nonfinite=scores.nonfinite,
        )

    def _mass(self, classes: ClassStatistics, stream_counts: Tensor) -> Tensor:
        """Return |S_y|, (C,), including classes without a candidate."""
        if self.class_mass == "candidates":
            return classes.counts
        mass = stream_counts.double()
        return torch.where((mass * classes.counts).sum() > 0, mass, classes.counts)

    def _importance(self, classes: ClassStatistics, mass: Tensor) -> Tensor:
        """Return I(y), (C,), zero for classes without a candidate."""
        if self.class_importance == "plugin":
            squared = plugin_spread(classes)
        else:
            squared = bessel_spread(classes)
            if self.class_importance == "ema":
                squared = self._averaged(squared, classes.counts)
        spread = squared.sqrt()
        if self.weighting != "none":
            spread = torch.maximum(spread, RESOLUTION * classes.mean_norms)
        present = mass * (classes.counts > 0)
        return first_positive(present * spread, present * classes.mean_norms, classes.counts)

    def _averaged(self, squared: Tensor, counts: Tensor) -> Tensor:
        """Take this round into the moving average and return it, or `squared` where it is empty."""
        average = self._average
        if average is None:
            average = torch.full_like(squared, torch.nan)
        average = average.to(squared.device, non_blocking=True)
        empty = average.isnan()
        moved = self.memory * average + (1 - self.memory) * squared
        updated = torch.where(empty, squared, moved)
        self._average = torch.where(counts > 1, updated, average)
        return torch.where(self._average.isnan(), squared, self._average)

    def state_dict(self) -> Mapping[str, Any]:
        """Return the moving average of squared spreads, {} before the first round or without."""
        return {} if self._average is None else {"average": self._average.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        average = state.get("average")
        self._average = None if average is None else average.clone()
