"""Batches drawn again and again from one round, by the filter and the policy that runs use."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from titan_repro.selection.base import Scores, Selection
from titan_repro.selection.selector import Selector


@dataclass(frozen=True)
class ScoredRound:
    """A round as a selector sees it. scores: of all N arrivals, with everything that policies need.

    inputs: (N, *input_shape). products: (N, N), <g_i, g_j> of the last layer.
    """

    number: int
    labels: Tensor
    inputs: Tensor
    scores: Scores
    products: np.ndarray


@dataclass(frozen=True)
class DrawnBatch:
    """Positions in the round, (B,), and the loss weight of each, (B,)."""

    positions: Tensor
    weights: Tensor


def draw_batches(
    selector: Selector,
    features: Tensor | None,
    seen: ScoredRound,
    sizes: Sequence[int],
    draws: int,
    random: Callable[[str], torch.Generator],
) -> dict[int, list[DrawnBatch]]:
    """Return `draws` batches of every size that the candidates allow.

    features: of all arrivals, as the filter wants them. random: gives the generator of a purpose.
    Filter and policy start every draw from what they remember now, and remember one round more
    afterwards. A policy that draws nothing is asked twice, and gives one batch.
    """
    memory = selector.policy.state_dict()
    generators = {size: random(f"batch of {size}") for size in sizes}
    drawn: dict[int, list[DrawnBatch]] = {size: [] for size in sizes}
    settled: dict[int, bool] = dict.fromkeys(sizes, False)
    for number, positions in enumerate(_candidates(selector, features, seen, random, draws)):
        scores = _of(seen.scores, positions)
        for size in sizes:
            if size > len(positions) or settled[size]:
                continue
            selector.policy.load_state_dict(memory)
            selection = selector.policy.select(scores, size, generators[size])
            batch = DrawnBatch(positions[selection.indices], selection.weights)
            if number == 1 and _is_fixed(selection, batch, drawn[size][0]):
                settled[size] = True
            else:
                drawn[size].append(batch)
        if number == 1 and all(settled[size] for size in sizes if size <= len(positions)):
            break
    return {size: batches for size, batches in drawn.items() if batches}


def coefficients(batches: Sequence[DrawnBatch], count: int) -> np.ndarray:
    """Return a_i of every batch gradient sum_i a_i g_i = mean of weight x gradient, (R, count)."""
    found = np.zeros((len(batches), count))
    for row, batch in zip(found, batches, strict=True):
        shares = batch.weights.double().numpy() / len(batch.weights)
        np.add.at(row, batch.positions.numpy(), shares)
    return found


def _candidates(
    selector: Selector,
    features: Tensor | None,
    seen: ScoredRound,
    random: Callable[[str], torch.Generator],
    draws: int,
) -> Iterator[Tensor]:
    """Yield the candidates' positions, (n,), once a draw; a filter that draws draws anew."""
    if selector.filter is None:
        for _ in range(draws):
            yield torch.arange(len(seen.labels))
        return
    memory, generator = selector.filter.state_dict(), random("filter")
    first: Tensor | None = None
    fixed = False
    for number in range(draws):
        if first is not None and fixed:
            yield first
            continue
        selector.filter.load_state_dict(memory)
        positions, _ = selector.filter.admit(features, seen.labels, generator)
        if number == 1 and first is not None:
            fixed = torch.equal(first, positions)
        first = positions if first is None else first
        yield positions


def _of(scores: Scores, positions: Tensor) -> Scores:
    """Return the scores of some of the arrivals."""

    def some(rows: Tensor | None) -> Tensor | None:
        return None if rows is None else rows[positions]

    return replace(
        scores,
        labels=scores.labels[positions],
        inputs=some(scores.inputs),
        logits=some(scores.logits),
        embeddings=some(scores.embeddings),
        positions=some(scores.positions),
    )


def _is_fixed(selection: Selection, batch: DrawnBatch, before: DrawnBatch) -> bool:
    """Whether a policy draws nothing: it says that all its picks are certain, and repeats them."""
    same = torch.equal(batch.positions, before.positions)
    return same and bool((selection.probabilities == 1).all())
