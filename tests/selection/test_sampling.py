"""Draws hit their inclusion numbers; rankings are stable."""

import numpy as np
import pytest
import torch
from torch import Tensor

from selection import reference
from selection.builders import generator
from titan_repro.selection import sampling as drawing
from titan_repro.selection.sampling import (
    GRID,
    distinct_inclusion_numbers,
    hit,
    inclusion_numbers,
    pick_weights,
    select_highest,
    usable_scores,
)

DRAWS = {"systematic": 20_000, "without_replacement": 5_000, "multinomial": 5_000}
BATCH = 7
LABELS = torch.tensor([2, 0, 1, 0, 0, 3, 2, 0, 1, 0, 4, 0, 2, 0])
IMPORTANCE = torch.tensor([3.1, 0.8, 2.0, 0.05, 1.05], dtype=torch.float64)
SCORES = torch.tensor([1, 2, 0.1, 3, 0.5, 1, 2, 0.7, 4, 0, 1.5, 9, 0.3, 1], dtype=torch.float64)


def numbers(sampling: str) -> Tensor:
    distinct = sampling == "without_replacement"
    allot = distinct_inclusion_numbers if distinct else inclusion_numbers
    scores, usable = usable_scores(SCORES.numpy())
    return torch.from_numpy(allot(scores, usable, LABELS.numpy(), IMPORTANCE.numpy(), BATCH))


def draw(pi: Tensor, labels: Tensor, size: int, sampling: str, source: torch.Generator) -> Tensor:
    return torch.from_numpy(drawing.draw(pi.numpy(), labels.numpy(), size, sampling, source))


def picks(sampling: str, draws: int) -> Tensor:
    """How often each candidate was picked in each of many batches, (draws, N)."""
    source, pi = generator(0), numbers(sampling)
    indices = torch.stack([draw(pi, LABELS, BATCH, sampling, source) for _ in range(draws)])
    return torch.zeros(draws, len(pi)).scatter_add_(1, indices, torch.ones(indices.shape))


@pytest.mark.parametrize("sampling", DRAWS)
def test_mean_number_of_picks_is_the_inclusion_number(sampling: str) -> None:
    draws, pi = DRAWS[sampling], numbers(sampling)
    counts = picks(sampling, draws).double()
    assert (counts.sum(dim=1) == BATCH).all()
    rest = pi / BATCH if sampling == "multinomial" else pi.frac()
    variances = (pi if sampling == "multinomial" else rest) * (1 - rest)
    # systematic counts are one of the two whole numbers around pi
    errors = (variances / draws).sqrt()
    assert ((counts.mean(dim=0) - pi).abs() <= 4 * errors + 1e-12).all()
    assert (errors > 0).sum() >= 8
    if sampling == "without_replacement":
        assert counts.max() == 1
    if sampling != "multinomial":
        quotas = torch.zeros(5, dtype=torch.float64).scatter_add(0, LABELS, pi)
        by_class = torch.zeros(draws, 5).double().index_add_(1, LABELS, counts)
        assert ((by_class - quotas).abs() < 1 + 1e-9).all()


def test_multinomial_class_counts_do_leave_the_quota() -> None:
    """The test above can fail: independent draws do not keep class counts within one."""
    by_class = torch.zeros(500, 5).index_add_(1, LABELS, picks("multinomial", 500))
    quotas = torch.zeros(5, dtype=torch.float64).scatter_add(0, LABELS, numbers("multinomial"))
    assert ((by_class - quotas).abs() > 1).any()


@pytest.mark.parametrize("sampling", ["systematic", "without_replacement"])
@pytest.mark.parametrize("start", [0, GRID - 1])
def test_extreme_points_hit_candidates_of_positive_number(
    monkeypatch: pytest.MonkeyPatch, sampling: str, start: int
) -> None:
    def scripted(high: int, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.full(size, start)

    monkeypatch.setattr(torch, "randint", scripted)
    pi = torch.tensor([0, 0.3, 0.7, 0, 0.1, 0.2, 0.7, 1, 0], dtype=torch.float64)
    labels = torch.zeros(9, dtype=torch.int64)
    chosen = draw(pi, labels, 3, sampling, generator(0))
    assert (pi[chosen] > 0).all()
    assert len(set(chosen.tolist())) == 3


@pytest.mark.parametrize("value", [0.0, 1.0 - 2.0**-53])
def test_extreme_independent_points_hit_candidates_of_positive_number(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def scripted(size: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        return torch.full((size,), value, dtype=dtype)

    monkeypatch.setattr(torch, "rand", scripted)
    pi = torch.tensor([0.0] + [0.1] * 10 + [0.0], dtype=torch.float64)  # adds up to just below 1
    chosen = draw(pi, torch.zeros(12, dtype=torch.int64), 1, "multinomial", generator(0))
    assert chosen.tolist() == [1 if value == 0 else 10]


def test_rounding_cannot_make_a_candidate_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randint", lambda high, size, generator: torch.zeros(size))
    pi = torch.tensor([1 + 1e-9, 1 - 1e-9, 1.0], dtype=torch.float64)
    labels = torch.zeros(3, dtype=torch.int64)
    assert draw(pi, labels, 3, "without_replacement", generator(0)).tolist() == [0, 1, 2]
    assert draw(pi, labels, 3, "systematic", generator(0)).tolist() == [0, 0, 2]


def test_ends_of_intervals_belong_to_the_next_one_that_is_not_empty() -> None:
    lengths = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    assert hit(lengths, np.array([0.0, 1.0, 1.5, 2.0])).tolist() == [1, 2, 2, 4]
    assert hit(lengths, np.array([2.5, 3.0])).tolist() == [4, 4]  # 3.0 as rounding may put it


def test_whole_numbers_are_hit_exactly() -> None:
    pi = torch.tensor([1.0, 2.0, 0.0, 3.0], dtype=torch.float64)
    for seed in range(50):
        chosen = draw(pi, torch.tensor([1, 0, 0, 1]), 6, "systematic", generator(seed))
        assert sorted(chosen.tolist()) == [0, 1, 1, 3, 3, 3]


def test_all_candidates_are_drawn_when_the_batch_is_everyone() -> None:
    pi = torch.ones(50, dtype=torch.float64) * (1 - 1e-16)
    labels = torch.arange(50) % 7
    for seed in range(50):
        chosen = draw(pi, labels, 50, "without_replacement", generator(seed))
        assert sorted(chosen.tolist()) == list(range(50))


def test_points_fall_where_the_reference_says() -> None:
    pi = numbers("systematic")
    for seed in range(100):
        cell = int(torch.randint(GRID, (1,), generator=generator(seed)))
        points = [(cell + 0.5) / GRID + k for k in range(BATCH)]
        expected = reference.on_the_line(pi.tolist(), LABELS.tolist(), points)
        assert draw(pi, LABELS, BATCH, "systematic", generator(seed)).tolist() == expected


def test_weights() -> None:
    pi, target = np.array([0.5, 1.5, 1.0]), np.array([0.2, 0.3, 0.5])
    indices = np.array([1, 1, 2])
    assert pick_weights(pi, target, indices, "none").tolist() == [1, 1, 1]
    unbiased = pick_weights(pi, target, indices, "unbiased")
    torch.testing.assert_close(unbiased, torch.tensor([0.6, 0.6, 1.5]))
    normalised = pick_weights(pi, target, indices, "self_normalised")
    torch.testing.assert_close(normalised, unbiased / 0.9)
    zero = pick_weights(pi, np.zeros(3), indices, "self_normalised")
    assert zero.tolist() == [0, 0, 0]


def test_ranking_keeps_the_earlier_of_equal_scores() -> None:
    third = torch.tensor(1.0, dtype=torch.float64) / 3
    scores = torch.stack([third, third + 1e-15, third * 0, third - 1e-15, third * 2])
    selection = select_highest(scores, 3, generator(0))
    assert selection.indices.tolist() == [4, 0, 1]
    assert selection.probabilities.tolist() == [1, 1, 1]
    assert selection.nonfinite == 0


def test_ranking_fills_up_with_nonfinite_scores_uniformly() -> None:
    scores = torch.tensor([torch.nan, -5.0, torch.inf, -torch.inf, 2.0]).double()
    first = select_highest(scores, 2, generator(0))
    assert first.indices.tolist() == [4, 1]
    seen = set()
    for seed in range(100):
        selection = select_highest(scores, 4, generator(seed))
        assert selection.indices[:2].tolist() == [4, 1]
        torch.testing.assert_close(selection.probabilities, torch.tensor([1, 1, 2 / 3, 2 / 3]))
        assert selection.nonfinite == 3
        seen.add(tuple(selection.indices[2:].tolist()))
    assert len(seen) == 6  # every ordered pair of the three
