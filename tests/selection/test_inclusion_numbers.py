"""Inclusion numbers: what the draws are made from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selection import reference
from titan_repro.selection.sampling import (
    capped_shares,
    distinct_inclusion_numbers,
    inclusion_numbers,
    usable_scores,
)

CLASSES = 3
levels = st.sampled_from([0.0, 1e-6, 0.5, 1.0, 1.0, 2.0, 7.0, 1e6])


@st.composite
def scored(draw: st.DrawFn) -> tuple[list[float], list[int], list[float], int]:
    """Scores, labels, importance of the classes present and a batch size."""
    size = draw(st.integers(1, 12))
    scores = draw(st.lists(levels, min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=size, max_size=size))
    given_to = draw(st.lists(levels, min_size=CLASSES, max_size=CLASSES))
    importance = [w if y in labels else 0.0 for y, w in enumerate(given_to)]
    if sum(importance) == 0:
        importance[labels[0]] = 1.0
    return scores, labels, importance, draw(st.integers(1, size))


def numbers_of(
    scores: Tensor, labels: list[int], importance: list[float], size: int, distinct: bool
) -> Tensor:
    allot = distinct_inclusion_numbers if distinct else inclusion_numbers
    values, usable = usable_scores(scores.numpy())
    return torch.from_numpy(allot(values, usable, np.array(labels), np.array(importance), size))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(scored())
def test_equal_the_reference(case: tuple[list[float], list[int], list[float], int]) -> None:
    scores, labels, importance, size = case
    present = {y: importance[y] for y in sorted(set(labels))}
    for distinct, compute in (
        (False, reference.inclusion_numbers),
        (True, reference.distinct_inclusion_numbers),
    ):
        numbers = numbers_of(
            torch.tensor(scores, dtype=torch.float64), labels, importance, size, distinct
        )
        expected = torch.tensor(compute(scores, labels, present, size), dtype=torch.float64)
        torch.testing.assert_close(numbers, expected, rtol=1e-9, atol=1e-12)
        assert float(numbers.sum()) == pytest.approx(size, rel=1e-12)
        assert not distinct or float(numbers.max()) <= 1


def test_excess_goes_to_the_class_first_then_to_other_classes() -> None:
    scores = torch.tensor([9.0, 1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    labels = [0, 0, 0, 1, 1, 1]
    inside = numbers_of(scores, labels, [2.0, 1.0], 3, True)  # quotas 2 and 1
    torch.testing.assert_close(inside, torch.tensor([1, 0.5, 0.5, 1 / 3, 1 / 3, 1 / 3]).double())
    beyond = numbers_of(scores, labels, [8.0, 1.0], 4, True)  # 3.56 of 4 do not fit into class 0
    torch.testing.assert_close(beyond, torch.tensor([1, 1, 1, 1 / 3, 1 / 3, 1 / 3]).double())


def test_nonfinite_candidates_are_never_included_unless_needed() -> None:
    scores = torch.tensor([torch.nan, 1.0, torch.inf, 0.0, 3.0], dtype=torch.float64)
    labels = [0, 0, 1, 1, 1]
    repeated = numbers_of(scores, labels, [1.0, 1.0], 4, False)
    assert repeated.tolist() == [0, 2, 0, 0, 2]
    assert numbers_of(scores, labels, [1.0, 1.0], 2, True).tolist() == [0, 1, 0, 0, 1]
    assert numbers_of(scores, labels, [1.0, 1.0], 3, True).tolist() == [0, 1, 0, 1, 1]
    assert numbers_of(scores, labels, [1.0, 1.0], 4, True).tolist() == [0.5, 1, 0.5, 1, 1]


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf])
def test_without_any_usable_score_all_are_equal(distinct: bool, value: float) -> None:
    scores = torch.full((5,), value, dtype=torch.float64)
    numbers = numbers_of(scores, [0, 0, 0, 1, 1], [3.0, 2.0], 2, distinct)
    torch.testing.assert_close(numbers, torch.full((5,), 0.4, dtype=torch.float64))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(levels, st.integers(1, 4)), min_size=1, max_size=8), st.data())
def test_capped_shares_are_capped_proportional_and_complete(
    entries: list[tuple[float, int]], data: st.DataObject
) -> None:
    weights = torch.tensor([w for w, _ in entries], dtype=torch.float64)
    capacities = torch.tensor([float(c) for _, c in entries], dtype=torch.float64)
    room = float((capacities * (weights > 0)).sum())
    total = data.draw(st.floats(0, room))
    shares = torch.from_numpy(capped_shares(weights.numpy(), capacities.numpy(), total))
    assert float(shares.sum()) == pytest.approx(total, rel=1e-9, abs=1e-9)
    assert (shares <= capacities).all()
    assert (shares >= 0).all()
    free = (shares < capacities * (1 - 1e-9)) & (weights > 0)
    factors = shares[free] / weights[free]
    if len(factors):
        torch.testing.assert_close(factors, factors[:1].expand_as(factors), rtol=1e-6, atol=1e-12)
        lowest = (
            (shares[~free & (weights > 0)] / weights[~free & (weights > 0)]).max()
            if (~free & (weights > 0)).any()
            else 0
        )
        assert float(lowest) <= float(factors[0]) * (1 + 1e-6) + 1e-12
