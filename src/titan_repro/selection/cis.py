"""C-IS: classified importance sampling (paper section 3.2, Lemma 2).

With g the gradient of a candidate's loss, Lemma 2 fills a batch of B in two steps:

    class y gets  B_y = B * I(y) / (sum of all I)      I(y) = |S_y| sqrt(V[g] - V[|g|])  Equation 2
    x in y gets   pi  = B_y * |g| / (sum of |g| in y)                                    Equation 3

and pi, the inclusion number, is how often x is expected in the batch. S_y are the candidates of
class y. Under the uniform distribution on S_y

    V[g] - V[|g|] = (E|g|^2 - |E g|^2) - (E|g|^2 - (E|g|)^2) = (E|g|)^2 - |E g|^2,

which is beta* - gamma of appendix A.3 (beta* is the least beta_y of Theorem 2); under another P it
holds only for gradients weighted as in A.2. Its root is called the spread below: zero if all
gradients of a class point the same way, however long they are. It takes two numbers of a class, the
mean norm E|g| and the norm of the mean |E g|; by default both come from the last layer in closed
form (`gradients`).

Not the paper's: the defaults `bessel`, which corrects Equation 2 for small classes, and
`systematic`, since the paper names no way to draw or to round B_y. The paper averages the batch's
gradients plainly (section 2.1, `none`), though A.2 weights them (`unbiased`).
"""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import torch

from titan_repro.choices import (
    ClassImportance,
    ClassMass,
    Gradient,
    Sampling,
    Weighting,
)
from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Scores, Selection, check_batch, check_choice
from titan_repro.selection.gradients import needs_of, norms_and_class_means
from titan_repro.selection.sampling import (
    distinct_inclusion_numbers,
    draw,
    inclusion_numbers,
    pick_weights,
    usable_scores,
)

RESOLUTION = 1e-3
"""RESOLUTION: spreads below this part of the class's mean norm cannot be told from zero: their
squares are differences of numbers that float32 gradients give to about six digits."""


class ClassifiedImportanceSampling:
    """Draws candidates by class importance, then by gradient norm.

    gradient: last_layer (default) | logits | full.
    class_importance: plugin (Equation 2 literally; a class of one candidate gets nothing) |
        bessel (default; see `bessel_squared_spread`) | ema (the squared bessel spread of classes
        with two or more usable candidates, averaged over rounds; other classes keep their memory).
    class_mass: candidates (default) | stream, what |S_y| counts: the candidates of the class with a
        finite gradient, or all arrivals of the class in this round. With stream the mass of classes
        without a candidate is lost to the estimate.
    weighting: none (default) | unbiased | self_normalised. Unbiased for the mean gradient of the
        candidates, or for the class means weighted by the stream's class frequencies. So that every
        class can be drawn, spreads are then at least RESOLUTION of the class's mean norm.
    sampling: systematic (default) | multinomial | without_replacement (pi is then at most 1).
    memory: weight of the past in the moving average, per round.

    If no class has importance, classes share by mass times mean norm, which with class_mass
    candidates is plain importance sampling; if all gradients are zero, or none is finite, by mass
    alone and each candidate of a class alike (an `ema` goes on sharing by what it remembers). If
    the stream counted no class that has a candidate, the candidates' counts are used instead.
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
        self._average: np.ndarray | None = None  # (C,) squared spread; NaN: never measured

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Draw `batch_size` candidates; with `ema` also take this round into the average."""
        check_batch(candidates, batch_size)
        labels, classes = candidates.labels.numpy(), len(candidates.stream_counts)
        norms, norms_of_means = norms_and_class_means(candidates, self.gradient)  # |g|, |E g|
        sample_importance, usable = usable_scores(norms)  # I(x, y) of Equation 3
        counts = np.bincount(labels, usable, classes)
        sums = np.bincount(labels, sample_importance, classes)
        mean_norms = sums / np.maximum(counts, 1.0)  # E|g|

        mass = self._mass(counts, candidates.stream_counts.double().numpy())  # |S_y|
        measured = np.bincount(labels, np.isfinite(norms), classes)  # counts, but if none is finite
        squared_spread = self._squared_spread(measured, mean_norms, norms_of_means)  # V[g] - V[|g|]
        importance = self._importance(counts, mass, squared_spread, mean_norms)  # Equation 2

        # Both steps of Lemma 2 at once: pi. A class's sum of it, B_y, need not be a whole number.
        distinct = self.sampling == "without_replacement"
        allot = distinct_inclusion_numbers if distinct else inclusion_numbers
        numbers = allot(sample_importance, usable, labels, importance, batch_size)
        picks = draw(numbers, labels, batch_size, self.sampling, generator)
        # (C,) what one candidate of a class counts for in the mean gradient that is estimated.
        share = mass / mass.sum() / np.maximum(counts, 1.0)
        return Selection(
            indices=torch.from_numpy(picks),
            weights=pick_weights(numbers, share[labels] * usable, picks, self.weighting),
            probabilities=torch.from_numpy(numbers[picks].astype(np.float32)),  # pi, may exceed 1
            nonfinite=int(np.count_nonzero(~np.isfinite(norms))),
        )

    def _mass(self, counts: np.ndarray, stream_counts: np.ndarray) -> np.ndarray:
        """Return |S_y|, (C,), including classes without a candidate."""
        if self.class_mass == "stream" and (stream_counts * counts).any():
            return stream_counts
        return counts

    def _squared_spread(
        self, measured: np.ndarray, mean_norms: np.ndarray, norms_of_means: np.ndarray
    ) -> np.ndarray:
        """Return V[g] - V[|g|] of each class, (C,), estimated as `class_importance` says.

        measured: (C,) how many finite gradients there are of each class.
        """
        plugin = plugin_squared_spread(mean_norms, norms_of_means)
        if self.class_importance == "plugin":
            return plugin
        bessel = bessel_squared_spread(plugin, measured, mean_norms)
        return self._averaged(bessel, measured) if self.class_importance == "ema" else bessel

    def _importance(
        self, counts: np.ndarray, mass: np.ndarray, squared: np.ndarray, mean_norms: np.ndarray
    ) -> np.ndarray:
        """Return I(y) = |S_y| spread_y, (C,), zero for classes without a candidate."""
        spread = np.sqrt(squared)
        if self.weighting != "none":
            spread = np.maximum(spread, RESOLUTION * mean_norms)
        importance: np.ndarray = mass * spread * (counts > 0)
        if not importance.any():
            importance = mass * mean_norms
        return importance if importance.any() else counts

    def _averaged(self, squared: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Take this round into the moving average and return it, or `squared` where it is empty."""
        before = np.full_like(squared, np.nan) if self._average is None else self._average
        moved = self.memory * before + (1 - self.memory) * squared
        moved = np.where(np.isnan(before), squared, moved)
        self._average = np.where(measured > 1, moved, before)
        return np.where(np.isnan(self._average), squared, self._average)

    def state_dict(self) -> Mapping[str, Any]:
        """Return the moving average of squared spreads; {} without `ema` or before round 0."""
        return {} if self._average is None else {"average": torch.tensor(self._average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        average = state.get("average")
        self._average = None if average is None else average.cpu().numpy().copy()


def plugin_squared_spread(mean_norms: np.ndarray, norms_of_means: np.ndarray) -> np.ndarray:
    """Return (E|g|)^2 - |E g|^2 of each class, (C,): V[g] - V[|g|] of Equation 2 as it stands.

    Zero for a class of one candidate or of equal gradients, down to RESOLUTION.
    """
    squared: np.ndarray = (mean_norms - norms_of_means) * (mean_norms + norms_of_means)
    squared[squared < (RESOLUTION * mean_norms) ** 2] = 0.0
    return squared


def bessel_squared_spread(
    plugin: np.ndarray, counts: np.ndarray, mean_norms: np.ndarray
) -> np.ndarray:
    """Return the squared spread of each class, (C,), corrected for the size of the class.

    Over independent draws of n candidates of a class the plug-in value has the expectation
    (n - 1) / n of the class's true one, so it is multiplied by n / (n - 1), which is unbiased. A
    single candidate says nothing of a spread, so its class is given a guess: its spread relative to
    its mean norm is that of the other classes of the round. That is |g|^2 times their ratio of
    squared spread to squared mean norm, pooled with n - 1 degrees of freedom each and at most 1,
    since a squared spread is at most (E|g|)^2; 1 if all classes have one candidate.
    """
    squared_means = mean_norms**2
    freedom = np.maximum(counts - 1, 0.0)
    squared = plugin * counts / np.maximum(freedom, 1.0)
    pooled = freedom.dot(squared_means)
    ratio = min(freedom.dot(squared) / pooled, 1.0) if pooled > 0 else 1.0
    return np.where(counts == 1, ratio * squared_means, squared)
