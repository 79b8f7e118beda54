"""Everything that is measured at one training state, as rows of variance.json."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from omegaconf import DictConfig

from titan_repro.models.base import BlockNetwork
from titan_repro.records.variance import (
    AS_TRAINED,
    FULL,
    GREEDY,
    GREEDY_WEIGHTED,
    LAST_LAYER,
    BatchError,
    Findings,
    StateVariance,
)
from titan_repro.runs.build import build_selector, with_selector
from titan_repro.seeds import generator
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.theory.decomposition import Decomposition, decompose
from titan_repro.theory.lemma2 import quotas
from titan_repro.variance.draws import DrawnBatch, ScoredRound, coefficients, draw_batches
from titan_repro.variance.errors import (
    ErrorParts,
    combined,
    error_of,
    greedy_batch,
    weighted_greedy_batch,
)
from titan_repro.variance.gram import full_products, rows_of
from titan_repro.variance.states import every_score, warm_up
from titan_repro.variance.trained import has_batch_norm, trained_errors

ORACLES = {GREEDY: greedy_batch, GREEDY_WEIGHTED: weighted_greedy_batch}
"""Batches picked by who knows the mean gradient: what bounds the selectors, not selectors."""


@dataclass
class _Tables:
    """What the rounds of a state gave, by gradients."""

    splits: dict[str, list[tuple[Decomposition, float, np.ndarray]]] = field(default_factory=dict)
    errors: dict[tuple[str, int, str], list[ErrorParts]] = field(default_factory=dict)

    def add(self, gradients: str, size: int, selector: str, parts: ErrorParts) -> None:
        self.errors.setdefault((gradients, size, selector), []).append(parts)


def measure_state(
    config: DictConfig,
    state: int,
    network: BlockNetwork,
    stream: Stream,
    tell: Callable[[str], None],
) -> Findings:
    """Measure the errors of all selectors at a state, on rounds state, state + 1, ...

    network: after `state` rounds of training. tell: is called with each step that begins.
    """
    asked = config.experiment
    tell(f"state {state:,}: batches of {len(asked.selectors)} selectors")
    scorer = build_selector(with_selector(config, "cis"))
    selectors = {name: build_selector(with_selector(config, name)) for name in asked.selectors}
    before = range(max(0, state - asked.warm_up), state)
    warm_up(selectors, network, stream, before, config.batch_size)
    tables = _Tables()
    for place in range(asked.rounds):
        seen = every_score(scorer, network, stream, state + place)
        drawn = _draw(config, selectors, network, seen)
        _add_products(tables, LAST_LAYER, seen.products, seen, drawn, asked.batch_sizes)
        if place >= asked.full_rounds:
            continue
        tell(f"state {state:,}: gradients over all parameters, round {place + 1}")
        products = full_products(network, seen.inputs, seen.labels, asked.megabytes)
        _add_products(tables, FULL, products, seen, drawn, asked.batch_sizes)
        if asked.trained_draws and has_batch_norm(network):
            _add_trained(tables, network, seen, drawn, config.batch_size, asked.trained_draws)
    return _rows(tables, state, stream.velocity, config.batch_size)


Drawn = Mapping[str, Mapping[int, Sequence[DrawnBatch]]]
"""Batches by selector and size."""


@torch.no_grad()
def _draw(
    config: DictConfig,
    selectors: Mapping[str, Selector],
    network: BlockNetwork,
    seen: ScoredRound,
) -> Drawn:
    asked = config.experiment
    sizes = sorted({*asked.batch_sizes, config.batch_size})
    drawn = {}
    for name, selector in selectors.items():
        random = partial(_generator, config.seed, seen.number, name)
        drawn[name] = draw_batches(
            selector,
            selector.features(network, seen.inputs),
            seen,
            sizes,
            asked.draws,
            random,
        )
    return drawn


def _generator(seed: int, number: int, selector: str, purpose: str) -> torch.Generator:
    """Return the generator of a purpose of a selector in round `number`, apart from runs' own."""
    return generator(seed, f"variance {selector} {purpose}", number)


def _add_products(
    tables: _Tables,
    gradients: str,
    products: np.ndarray,
    seen: ScoredRound,
    drawn: Drawn,
    sizes: Sequence[int],
) -> None:
    """Add what inner products tell: the decomposition, the errors of batches and of the greedy."""
    count, labels = len(products), seen.labels.cpu().numpy()
    rows = rows_of(products)
    classes = [rows[labels == y] for y in np.unique(labels)]
    shares = quotas(classes, 1)
    split = (decompose(classes), float(products.mean()), shares)
    tables.splits.setdefault(gradients, []).append(split)
    for name, by_size in drawn.items():
        for size, batches in by_size.items():
            parts = error_of(coefficients(batches, count), products)
            tables.add(gradients, size, name, parts)
    for size in sizes:
        for name, pick in ORACLES.items():
            tables.add(gradients, size, name, error_of(pick(products, size), products))


def _add_trained(
    tables: _Tables,
    network: BlockNetwork,
    seen: ScoredRound,
    drawn: Drawn,
    size: int,
    draws: int,
) -> None:
    names = [name for name, by_size in drawn.items() if size in by_size]
    few = [drawn[name][size][:draws] for name in names]
    for name, parts in zip(names, trained_errors(network, seen, few), strict=True):
        tables.add(AS_TRAINED, size, name, parts)


def _rows(tables: _Tables, state: int, samples: int, batch_size: int) -> Findings:
    splits = []
    for gradients, rounds in tables.splits.items():
        every = [split for split, _, _ in rounds]
        means = {
            name: float(np.mean([getattr(split, name) for split in every]))
            for name in ("rs", "stratified", "importance_sampling", "cis")
        }
        unfilled = float(np.mean([(batch_size * shares < 1).sum() for _, _, shares in rounds]))
        squared = float(np.mean([mean for _, mean, _ in rounds]))
        splits.append(
            StateVariance(
                state,
                gradients,
                **means,
                squared_mean=squared,
                samples=samples,
                batch_size=batch_size,
                unfilled=unfilled,
            )
        )
    errors = [
        BatchError(state, gradients, size, name, **vars(combined(parts)))
        for (gradients, size, name), parts in tables.errors.items()
    ]
    return Findings(tuple(splits), tuple(errors))
