"""The priority order against a plain reference, and what its prefixes are good for."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from selection.reference_filter import ReferenceFilter, Sample
from titan_repro.errors import ConfigurationError
from titan_repro.seeds import generator
from titan_repro.selection.coarse_filter import SCORES, CoarseFilter
from titan_repro.selection.priority_order import priority_order
from titan_repro.selection.queue import class_masses


@dataclass(frozen=True)
class Case:
    arrivals: list[tuple[int, float | None]]  # class and score
    masses: list[int]
    both_ends: bool

    def order(self) -> list[int]:
        strata, scores = zip(*self.arrivals, strict=True)
        return priority_order(scores, strata, self.masses, self.both_ends)

    def samples(self, label: int | None = None) -> list[Sample]:
        return [
            Sample(position, y, s)
            for position, (y, s) in enumerate(self.arrivals)
            if s is not None and label in (None, y)
        ]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Few classes and scores, so that most things tie."""
    masses = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    label = st.integers(0, len(masses) - 1)
    score = st.none() | st.sampled_from([-2.0, -1.0, 0.0, 2.0])
    arrivals = draw(st.lists(st.tuples(label, score), min_size=1, max_size=25))
    return Case(arrivals, masses, draw(st.booleans()))


def best(samples: list[Sample], slots: int, both_ends: bool) -> list[int]:
    """Return the positions that a queue of so many slots keeps, by the definition."""
    reference = ReferenceFilter(slots, "rank_mix" if both_ends else "rep", "global", 1.0, 0)
    return [sample.position for sample in reference.best(samples, slots)]


def merged(case: Case) -> list[int]:
    """Return the order by hand: slot after slot to the class whose next one comes first."""
    waiting = {}
    for y in range(len(case.masses)):
        samples, taken = case.samples(y), []
        for k in range(1, len(samples) + 1):
            taken += [p for p in best(samples, k, case.both_ends) if p not in taken]
        waiting[y] = taken
    given_slots, order = dict.fromkeys(waiting, 0), []
    while any(waiting.values()):
        next_slots = [
            (
                Fraction(2 * given_slots[y] + 1, case.masses[y]) if case.masses[y] else math.inf,
                given_slots[y],
                y,
            )
            for y in waiting
            if waiting[y]
        ]
        y = min(next_slots)[-1]
        order.append(waiting[y].pop(0))
        given_slots[y] += 1
    return order + [p for p, (_, score) in enumerate(case.arrivals) if score is None]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(cases())
def test_the_order_is_the_one_made_by_hand(case: Case) -> None:
    assert case.order() == merged(case)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(cases())
def test_a_class_gets_whom_its_queue_would_keep_however_many_slots_it_has(case: Case) -> None:
    order = case.order()
    for y in range(len(case.masses)):
        samples = case.samples(y)
        mine = [p for p in order if p in {sample.position for sample in samples}]
        for k in range(len(mine) + 1):
            assert set(mine[:k]) == set(best(samples, k, case.both_ends))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.lists(st.integers(0, 5), min_size=1, max_size=120),
)
def test_every_prefix_shares_out_its_slots_as_websters_rule_guarantees(
    masses: list[int], labels: list[int]
) -> None:
    classes = len(masses)
    assume(max(labels) < classes)
    order = Case([(y, 0.0) for y in labels], masses, False).order()
    slots = [0] * classes
    for k, position in enumerate(order, start=1):
        slots[labels[position]] += 1
        if any(slots[y] == labels.count(y) for y in range(classes)):
            break  # a class has run out: the others share what is left
        for y, mass in enumerate(masses):
            share = Fraction(mass, sum(masses))
            bound = Fraction(1, 2) + share * max(classes - 2, 0) / 2
            assert abs(slots[y] - k * share) <= bound
            if share * (classes - 2) < 1:
                assert abs(slots[y] - k * share) < 1


def test_a_dominant_class_among_many_may_be_more_than_one_slot_ahead() -> None:
    """Webster's rule does not keep every quota; what it may miss by is what the page says."""
    labels = [0] * 60 + list(range(1, 10)) * 2
    order = Case([(y, 0.0) for y in labels], [81, *[1] * 9], False).order()
    assert [labels[p] for p in order[:40]] == [0] * 40  # the exact quota is 36
    assert 40 - 36 <= 0.5 + 0.9 * 8 / 2


# Through the filter.


def adaptive(**arguments: Any) -> CoarseFilter:
    given = {"score": "rep", "quota": "per_class_proportional", "decay": 1.0, "num_classes": 5}
    return CoarseFilter("adaptive", **(given | arguments))


def random_round(size: int, classes: int = 5, seed: int = 0) -> tuple[Any, Any]:
    g = generator(seed, "test")
    labels = torch.randint(classes, (size,), generator=g)
    return torch.randn(size, 6, generator=g) + labels[:, None], labels


@pytest.mark.parametrize("score", SCORES)
def test_in_one_global_queue_every_prefix_is_what_that_budget_would_keep(score: str) -> None:
    for budget in (1, 2, 7, 30, 39, 40):
        ranked = adaptive(score=score, quota="global", decay=0.9)
        fixed = CoarseFilter(budget, score, "global", 0.9, num_classes=5)
        for t in range(3):
            features, labels = random_round(40, seed=t)
            features[[3, 11], 0] = math.nan
            order = ranked.admit(features, labels, generator(0, "g", t))
            kept = fixed.admit(features, labels, generator(0, "g", t))
            assert sorted(order.positions[:budget].tolist()) == kept.positions.tolist()
            assert order.nonfinite == kept.nonfinite


@pytest.mark.parametrize("quota", ["per_class_proportional", "per_class_equal"])
def test_masses_are_those_of_before_the_round(quota: str) -> None:
    coarse = adaptive(quota=quota)
    coarse.admit(*random_round(60, classes=3), generator(0, "g"))
    before = coarse.class_sums.counts.copy()
    features, labels = random_round(60, classes=5, seed=1)
    positions = coarse.admit(features, labels, generator(0, "g", 1)).positions
    masses = torch.from_numpy(class_masses(quota, before))
    slots = torch.zeros(5)
    for k, y in enumerate(labels[positions][:20].tolist(), start=1):
        slots[y] += 1
        exact = k * masses / masses.sum()
        assert ((slots - exact).abs() <= 0.5 + masses / masses.sum() * 1.5).all()


def test_classes_not_seen_before_come_last_with_equal_quotas_and_take_turns() -> None:
    coarse = adaptive(quota="per_class_equal", score="random")
    coarse.admit(None, torch.tensor([0, 0, 1]), generator(0, "g"))
    labels = torch.tensor([2, 2, 2, 0, 1, 0, 3, 3])
    positions = coarse.admit(None, labels, generator(0, "g", 1)).positions
    assert labels[positions].tolist() == [0, 1, 0, 2, 3, 2, 3, 2]


def test_the_running_sums_are_those_of_a_fixed_budget() -> None:
    ranked, fixed = adaptive(), CoarseFilter(9, "rep", "global", 1.0, num_classes=5)
    for t in range(3):
        for coarse in (ranked, fixed):
            coarse.admit(*random_round(30, seed=t), generator(0, "g", t))
    for name, value in fixed.state_dict().items():
        assert torch.equal(ranked.state_dict()[name], value)


def test_the_form_of_bounded_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="no bounded buffer; allowed: admit, all at once"):
        adaptive().start_round(generator(0, "g"))


@pytest.mark.parametrize("budget", [0, "many", ""])
def test_other_budgets_are_refused(budget: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^filter\.budget: found .*or adaptive$"):
        CoarseFilter(budget, "rep", "global", 1.0, num_classes=2)
