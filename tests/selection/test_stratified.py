"""Stratified sampling: exact class counts, equal inclusion numbers, nothing else that is fixed.

Seeds are fixed. Bounds of 4 standard errors would fail a right policy with a chance of 6e-5 for
each number compared.
"""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selection import reference
from selection.builders import generator
from titan_repro.selection.base import Needs, Scores, Selection
from titan_repro.selection.stratified import StratifiedSampling

seeds = st.integers(0, 2**32)
thorough = settings(max_examples=300, deadline=None, derandomize=True)


def select(labels: Tensor, batch_size: int, source: torch.Generator) -> Selection:
    candidates = Scores(labels, torch.bincount(labels))
    return StratifiedSampling().select(candidates, batch_size, source)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Labels (N,) of up to 120 candidates in up to 12 classes, some of them missing; B <= N."""
    classes = draw(st.lists(st.integers(0, 11), min_size=1, max_size=12))
    labels = draw(st.lists(st.sampled_from(classes), min_size=1, max_size=120))
    return torch.tensor(labels), draw(st.integers(1, len(labels)))


def assert_stratified(labels: Tensor, batch_size: int, selection: Selection) -> None:
    """B different candidates, of every class its share rounded up or down."""
    assert selection.indices.unique().numel() == len(selection.indices) == batch_size
    counts, picked = (torch.bincount(y, minlength=12) for y in (labels, labels[selection.indices]))
    for n, m in zip(counts.tolist(), picked.tolist(), strict=True):
        assert n * batch_size // len(labels) <= m <= -(-n * batch_size // len(labels))


@thorough
@given(cases(), seeds)
def test_class_counts_are_the_shares_rounded(case: tuple[Tensor, int], seed: int) -> None:
    labels, batch_size = case
    selection = select(labels, batch_size, generator(seed))
    assert_stratified(labels, batch_size, selection)
    share = pytest.approx(batch_size / len(labels))
    assert selection.probabilities.tolist() == [share] * batch_size
    assert selection.weights.tolist() == [1] * batch_size
    assert selection.nonfinite == 0


@thorough
@given(cases(), seeds)
def test_equals_a_plain_reference(case: tuple[Tensor, int], seed: int) -> None:
    """The same draws, in fractions: the stretches of a line that hold the points u + k."""
    labels, batch_size = case
    size, source = len(labels), generator(seed)
    order = torch.randperm(size, generator=source).tolist()
    start = Fraction(int(torch.randint(size, (1,), generator=source)), size)
    lengths = [Fraction(batch_size, size)] * size
    points = [start + k for k in range(batch_size)]
    expected = reference.on_the_line(lengths, [int(labels[i]) for i in order], points)
    picks = select(labels, batch_size, generator(seed)).indices
    assert picks.tolist() == [order[place] for place in expected]


@pytest.mark.parametrize("labels", [[3] * 40, list(range(40)), [0] * 39 + [5]])
@pytest.mark.parametrize("batch_size", [1, 13, 39, 40])
def test_one_class_single_samples_and_everyone(labels: list[int], batch_size: int) -> None:
    for seed in range(20):
        picks = select(torch.tensor(labels), batch_size, generator(seed)).indices.tolist()
        assert len(set(picks)) == batch_size


@pytest.mark.parametrize(("size", "batch_size"), [(1000, 100), (3000, 1000), (10_000, 5000)])
@pytest.mark.parametrize("classes", [2, 5, 10])
def test_no_start_and_no_size_breaks_the_counts(
    monkeypatch: pytest.MonkeyPatch, size: int, batch_size: int, classes: int
) -> None:
    """Sizes at which sums of B/N in float64 put the end of a class on the wrong side of a point."""
    labels = torch.arange(size) % classes
    for start in (0, size - 1):
        monkeypatch.setattr(
            torch, "randint", lambda _, shape, start=start, **__: torch.full(shape, start)
        )
        assert_stratified(labels, batch_size, select(labels, batch_size, generator(0)))


def test_every_start_together_picks_every_place_b_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inclusion numbers are B/N exactly, not on average over draws."""
    labels, batch_size = torch.tensor([0, 2, 0, 0, 3, 2, 0, 2, 0, 0, 2]), 4
    size = len(labels)
    picked = torch.zeros(size, dtype=torch.int64)
    for start in range(size):
        monkeypatch.setattr(
            torch, "randint", lambda _, shape, start=start, **__: torch.full(shape, start)
        )
        picked += torch.bincount(select(labels, batch_size, generator(0)).indices, minlength=size)
    assert picked.tolist() == [batch_size] * size


def test_inclusion_frequencies_are_equal() -> None:
    """12 comparisons: a right policy would fail with other seeds in fewer than 1 of 1,000."""
    labels, batch_size, draws = torch.tensor([0, 2, 0, 0, 3, 2, 0, 2, 0, 0, 2, 0]), 5, 4000
    counts, source = torch.zeros(len(labels)), generator(0)
    for _ in range(draws):
        counts[select(labels, batch_size, source).indices] += 1
    share = batch_size / len(labels)
    error = (draws * share * (1 - share)) ** 0.5
    assert ((counts - draws * share).abs() < 4 * error).all()


def test_inside_the_classes_all_sets_are_equally_likely() -> None:
    """36 comparisons: two of four of one class with two of four of the other, all alike."""
    labels, draws, source = torch.tensor([1, 0, 0, 1, 0, 1, 1, 0]), 7200, generator(0)
    pairs = [itertools.combinations((labels == y).nonzero().flatten().tolist(), 2) for y in (0, 1)]
    seen = dict.fromkeys([tuple(sorted(a + b)) for a, b in itertools.product(*pairs)], 0)
    for _ in range(draws):
        seen[tuple(sorted(select(labels, 4, source).indices.tolist()))] += 1
    error = (draws / 36 * 35 / 36) ** 0.5
    assert all(abs(count - draws / 36) < 4 * error for count in seen.values())


def test_nothing_but_labels_is_needed() -> None:
    assert StratifiedSampling.needs is Needs.NOTHING
    assert StratifiedSampling().state_dict() == {}
