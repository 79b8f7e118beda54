"""RHO-LOSS: the largest reducible losses (Mindermann et al., ICML 2022).

The score of a sample is its loss less its irreducible loss, which is that of a small model trained
on held-out samples: what is noisy is hard for both, what is known is easy for both.

They train that model before, on a held-out set. A stream gives none, so a fixed part of the
training set is held out here: those samples are never chosen, and whenever some arrive, the small
model, softmax regression on the inputs, takes a step on them first.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.seeds import generator as derived
from titan_repro.selection.base import (
    Needs,
    Scores,
    Selection,
    check_batch,
    known_positions,
    required,
)
from titan_repro.selection.linear_model import LinearModel
from titan_repro.selection.loss import cross_entropies
from titan_repro.selection.sampling import select_highest

BLOCK = 1024
"""Positions whose lots are drawn together."""


class ReducibleLossRanking:
    """Keeps the B candidates, of those not held out, of highest loss less irreducible loss.

    held_out: part of the training set that is held out, between 0 and 1. Which samples, is the
        same in all runs, whatever their seed, as a test set is.
    rate: of the small model's steps, above 0, at most 4 (`LinearModel.learn`).

    With a delay of one round, the batch of round 0, which no policy chooses, may hold some.
    """

    needs = Needs.INPUTS_AND_LOGITS

    def __init__(self, held_out: float = 0.1, rate: float = 1.0) -> None:
        if not 0 < held_out < 1:
            raise ConfigurationError(
                f"held_out: found {held_out}; allowed: numbers between 0 and 1"
            )
        if not 0 < rate <= 4:
            raise ConfigurationError(f"rate: found {rate}; allowed: numbers above 0, at most 4")
        self.held_out = held_out
        self.rate = rate
        self._model: LinearModel | None = None

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Train the small model on what is held out; rank the others, of equals the earlier.

        Raises ConfigurationError where fewer than a batch are not held out.
        """
        check_batch(candidates, batch_size)
        apart = is_held_out(known_positions(candidates), self.held_out)
        others = (~apart).nonzero().squeeze(1)
        if batch_size > len(others):
            raise ConfigurationError(
                f"batch_size: found {batch_size}; allowed: at most {len(others)}, the candidates "
                f"of the round that are not held out (held_out={self.held_out})"
            )
        inputs = required(candidates.inputs, "inputs").flatten(1).double()  # (N, D)
        logits, labels = required(candidates.logits, "logits"), candidates.labels
        if self._model is None:
            self._model = LinearModel.untrained(inputs.shape[1], logits.shape[1])
        usable = apart & inputs.sum(dim=1).isfinite()
        self._model.learn(inputs[usable], labels[usable], self.rate)
        irreducible = cross_entropies(self._model.logits(inputs[others]), labels[others])
        reducible = cross_entropies(logits[others], labels[others]) - irreducible
        chosen = select_highest(reducible, batch_size, generator)
        return replace(chosen, indices=others[chosen.indices])

    def state_dict(self) -> Mapping[str, Any]:
        """Return the small model's weights, {} before the first round."""
        return {} if self._model is None else {"weights": self._model.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        weights = state.get("weights")
        self._model = None if weights is None else LinearModel(weights.cpu().clone())


def is_held_out(positions: Tensor, part: float) -> Tensor:
    """Return whether each sample belongs to the part that is held out, (n,) bool.

    Each position has a lot in [0, 1) of its own; those with a lot below `part` are held out.
    """
    places = positions.numpy()
    lots = np.empty(len(places))
    for block in np.unique(places // BLOCK):
        own = places // BLOCK == block
        lots[own] = _lots(int(block))[places[own] % BLOCK]
    return torch.from_numpy(lots < part)


@cache
def _lots(block: int) -> np.ndarray:
    """Return the lots of the positions of a block, (BLOCK,)."""
    drawn = torch.rand(BLOCK, dtype=torch.float64, generator=derived(0, "held out", block))
    return np.asarray(drawn)
