"""The coarse filter against its plain reference, and what the paper and the issue ask of it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selection.reference_filter import ReferenceFilter, Sample
from titan_repro.errors import ConfigurationError
from titan_repro.seeds import generator
from titan_repro.selection import class_sums
from titan_repro.selection.class_sums import ClassSums, Moments
from titan_repro.selection.coarse_filter import (
    SCORES,
    Admission,
    CoarseFilter,
    class_variance,
    diversity,
    representativeness,
)
from titan_repro.selection.queue import (
    DRAWN,
    QUOTAS,
    CandidateQueue,
    class_quotas,
    largest_remainder,
)
from titan_repro.selection.sampling import points

UNUSED = generator(0, "unused")


def random_round(size: int, length: int = 6, classes: int = 5, seed: int = 0) -> tuple[Any, Any]:
    g = generator(seed, "test")
    labels = torch.randint(classes, (size,), generator=g)
    return torch.randn(size, length, generator=g) + labels[:, None], labels


def stream(
    coarse: CoarseFilter, features: Tensor | None, labels: Tensor, g: torch.Generator
) -> Admission:
    """Offer a round sample by sample, checking at each offer what the buffer holds."""
    queue, held, nonfinite = coarse.start_round(g), set[int](), 0
    for position, label in enumerate(labels.tolist()):
        row = None if features is None else features[position, None]
        [score] = coarse.add_and_score(row, labels[position, None], g)
        nonfinite += score is None
        held = (held | {position}) - {queue.offer(label, score)}
        assert len(held) == len(queue) == min(position + 1, coarse.budget)
        assert sorted(held) == queue.positions()
    return Admission(torch.tensor(queue.positions()), nonfinite)


def same(one: Admission, other: Admission) -> bool:
    return torch.equal(one.positions, other.positions) and one.nonfinite == other.nonfinite


def moments_of(features: Tensor, labels: Tensor, classes: int) -> Moments:
    sums = ClassSums(classes, 1.0)
    sums.start_round()
    return sums.add(features, labels.numpy())


def rep_scores(coarse: CoarseFilter, features: Tensor, labels: Tensor) -> Tensor:
    return torch.tensor(coarse.add_and_score(features, labels, generator(0, "g")))


# Against the reference.


@dataclass
class Case:
    arguments: dict[str, Any]
    rounds: list[tuple[Tensor, Tensor]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to three rounds with ties, duplicates, rare classes and features that are not finite."""
    classes, length = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(1, 14), min_size=1, max_size=3))
    arguments = {
        "budget": draw(st.integers(1, min(sizes))),
        "score": draw(st.sampled_from(list(SCORES))),
        "quota": draw(st.sampled_from(QUOTAS)),
        "decay": draw(st.sampled_from([1.0, 0.9, 0.5])),
        "num_classes": classes,
    }
    gaussian = draw(st.booleans())
    special = st.sampled_from([0.0, 0.0, math.nan, math.inf, -math.inf])
    grid = st.sampled_from([0.0, 0.5, 1.0, 1.0, -1.0, 3.0, 0.1, draw(special)])
    label = st.one_of(st.just(0), st.integers(0, classes - 1))
    rounds = []
    for t, size in enumerate(sizes):
        labels = torch.tensor(draw(st.lists(label, min_size=size, max_size=size)))
        row = st.lists(grid, min_size=length, max_size=length)
        features = torch.tensor(draw(st.lists(row, min_size=size, max_size=size)))
        if gaussian:
            noise = torch.randn(size, length, generator=generator(draw(st.integers(0, 99)), "f", t))
            features = features + noise
        rounds.append((features, labels))
    return Case(arguments, rounds)


@settings(max_examples=250, derandomize=True, deadline=None)
@given(cases())
def test_all_at_once_and_sample_by_sample_keep_what_the_reference_keeps(case: Case) -> None:
    reference = ReferenceFilter(**case.arguments)
    ways = [CoarseFilter.admit, stream]
    filters = [CoarseFilter(**case.arguments) for _ in ways]
    for t, (features, labels) in enumerate(case.rounds):
        g, start = generator(0, "d", t), 0.5
        if reference.quota == DRAWN:
            start = float(points("systematic", 1, g)[0])
        draws = torch.rand(len(labels), dtype=torch.float64, generator=g)
        expected = reference.admit(features.tolist(), labels.tolist(), draws.tolist(), start)
        for admit, coarse in zip(ways, filters, strict=True):
            admission = admit(coarse, features, labels, generator(0, "d", t))
            assert admission.positions.tolist() == expected
            assert admission.positions.dtype == torch.int64
            bad = int((~features.isfinite()).any(1).sum()) if coarse.needs_features else 0
            assert admission.nonfinite == bad


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("quota", QUOTAS)
def test_both_forms_agree_on_rounds_of_the_papers_size(score: str, quota: str) -> None:
    one = CoarseFilter(30, score, quota, 0.99, num_classes=10)
    other = CoarseFilter(30, score, quota, 0.99, num_classes=10)
    for t in range(5):
        features, labels = random_round(100, length=700, classes=10, seed=t)
        first = one.admit(features, labels, generator(0, "g", t))
        assert same(first, stream(other, features, labels, generator(0, "g", t)))


def test_features_in_several_pieces_give_the_same_as_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, labels = random_round(100, length=2 * class_sums.PIECE + 1)
    features[3, 5] = math.nan
    results = []
    for piece in (class_sums.PIECE, 10**6, 100):
        monkeypatch.setattr(class_sums, "PIECE", piece)
        sums = ClassSums(5, 1.0)
        sums.start_round()
        moments = [sums.add(features, labels.numpy()) for _ in range(2)][-1]
        results.append([*sums.state_dict().values(), *map(torch.from_numpy, moments)])
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


# The scores.


def test_rep_plus_div_is_constant_inside_a_class() -> None:
    """The paper's score as printed, Rep + Div, does not depend on the sample (section 3.3)."""
    features, labels = random_round(200, classes=3)
    sums = ClassSums(3, 1.0)
    sums.start_round()
    sums.add(features, labels.numpy())
    frozen = sums.state_dict()
    by_class: dict[int, list[Tensor]] = {}
    for feature, label in zip(features, labels, strict=True):
        y = int(label)
        m, q = frozen["sums"][y] / frozen["counts"][y], frozen["squares"][y] / frozen["counts"][y]
        f = feature.double()
        rep = -(f - m).square().sum()
        div = f.square().sum() + q - 2 * f @ m
        torch.testing.assert_close(rep + div, q - m.square().sum())
        by_class.setdefault(y, []).append(rep + div)
    for y, values in by_class.items():
        spread = torch.stack(values).std()
        variance = features[labels == y].double().var(0, correction=0).sum()
        assert spread < 1e-12 * variance
        torch.testing.assert_close(values[0], variance)


def test_the_scores_are_the_papers_definitions_at_each_samples_arrival() -> None:
    features, labels = random_round(60, classes=4)
    moments = moments_of(features, labels, 4)
    scores = [representativeness(moments), diversity(moments), class_variance(moments)]
    found = [torch.from_numpy(each) for each in scores]
    for i in range(60):
        so_far = features[: i + 1][labels[: i + 1] == labels[i]].double()
        f = features[i].double()
        rep = -(f - so_far.mean(0)).square().sum()
        div = (f - so_far).square().sum(1).mean()
        torch.testing.assert_close(found[0][i], rep)
        torch.testing.assert_close(found[1][i], div)
        torch.testing.assert_close(found[2][i], rep + div, atol=1e-12, rtol=1e-7)


def test_rank_mix_keeps_both_ends_of_the_representativeness_ranking() -> None:
    features, labels = random_round(40, classes=1)
    coarse = CoarseFilter(7, "rank_mix", "per_class_equal", 1.0, num_classes=1)
    kept = coarse.admit(features, labels, generator(0, "g")).positions
    fresh = CoarseFilter(7, "rep", "global", 1.0, num_classes=1)
    ranking = rep_scores(fresh, features, labels).argsort(descending=True)
    assert set(kept.tolist()) == {*ranking[:4].tolist(), *ranking[-3:].tolist()}


def test_one_global_queue_of_the_literal_score_keeps_the_most_varied_classes() -> None:
    """Register note 1: Rep + Div ranks classes, so a narrow class never gets in."""
    g = generator(0, "features")
    labels = torch.arange(100) % 4
    spread = torch.tensor([0.1, 1.0, 0.2, 3.0])[labels]
    literal = CoarseFilter(30, "rep_plus_div", "global", 1.0, num_classes=4)
    stratified = CoarseFilter(30, "rep_plus_div", "per_class_proportional", 1.0, num_classes=4)
    for _ in range(5):
        features = torch.randn(100, 50, generator=g) * spread[:, None]
        kept = labels[literal.admit(features, labels, g).positions]
        fair = labels[stratified.admit(features, labels, g).positions]
    assert torch.bincount(kept, minlength=4).tolist() == [0, 5, 0, 25]
    assert torch.bincount(fair, minlength=4).tolist() == [8, 8, 7, 7]


@pytest.mark.parametrize("score", ["rep_plus_div", "rep", "div"])
def test_samples_of_equal_features_keep_their_order_of_arrival(score: str) -> None:
    """Equal means equal: no rounding error of the estimators decides."""
    features = torch.randn(700, generator=generator(0, "f")).expand(20, 700)
    labels = torch.arange(20) % 2
    coarse = CoarseFilter(6, score, "global", 0.9, num_classes=2)
    for t in range(3):
        kept = coarse.admit(features, labels, generator(0, "g", t)).positions
        assert kept.tolist() == [0, 1, 2, 3, 4, 5]
    assert (rep_scores(coarse, features, labels) == 0).all()


@pytest.mark.parametrize("score", ["rep_plus_div", "rep", "div"])
def test_rounding_errors_of_double_precision_do_not_rank(score: str) -> None:
    shaken = 1 + 1e-15 * torch.randn(4, 20, dtype=torch.float64, generator=generator(0, "noise"))
    values = shaken * torch.tensor([[9.1], [7.3], [6.7], [8.4]], dtype=torch.float64)
    scores = SCORES[score](Moments(np.ones(20, dtype=bool), *values.numpy())).astype(np.float32)
    assert (scores == scores[0]).all()


# Classes.


def test_a_class_never_seen_gets_a_slot_in_proportional_quotas() -> None:
    counts = np.array([0.0, 1000.0, 500.0])
    assert class_quotas("per_class_proportional", counts, 1503, UNUSED) == [1, 1001, 501]
    features, labels = torch.randn(6, 4, generator=generator(0, "f")), torch.tensor([0, 1] * 3)
    with_it = torch.tensor([0, 1, 0, 2, 0, 1])  # its Div is 0 at first, the lowest of all
    for quota, enters in [("per_class_proportional", True), ("global", False)]:
        coarse = CoarseFilter(5, "div", quota, 1.0, num_classes=3)  # shares 2.2, 2.2 and 0.6
        coarse.admit(features, labels, generator(0, "g"))
        kept = coarse.admit(features, with_it, generator(0, "g", 1)).positions
        assert (3 in kept.tolist()) == enters


def test_equal_quotas_are_for_classes_seen_before_and_for_all_at_first() -> None:
    counts = np.array([0.0, 3.0, 0.0, 0.1])
    assert class_quotas("per_class_equal", counts, 7, UNUSED) == [0, 4, 0, 3]
    assert class_quotas("per_class_equal", np.zeros(4), 7, UNUSED) == [2, 2, 2, 1]


RARE = np.array([999.0, 399.0] + [19.0] * 30)  # shares of 30 slots: 15, 6 and thirty times 0.3


def test_drawn_quotas_are_the_share_rounded_up_or_down_and_the_share_on_average() -> None:
    """4,000 draws: a mean is off by over 5 standard errors once in a million (32 classes)."""
    g = generator(0, "quotas")
    found = np.array([class_quotas(DRAWN, RARE, 30, g) for _ in range(4000)])
    shares = 30 * (RARE + 1) / (RARE + 1).sum()
    assert (found.sum(1) == 30).all()
    assert (np.abs(found - shares) < 1).all()
    error = np.sqrt(shares % 1 * (1 - shares % 1) / len(found))
    assert (np.abs(found.mean(0) - shares) <= 5 * error + 1e-9).all()


def test_quotas_rounded_the_same_way_in_every_round_leave_rare_classes_without_a_slot() -> None:
    """What `per_class_drawn` is for: nine slots are left for thirty equal shares of 0.3."""
    quotas = class_quotas("per_class_proportional", RARE, 30, UNUSED)
    assert quotas == [15, 6] + [1] * 9 + [0] * 21


def test_drawn_quotas_need_a_budget_that_is_known() -> None:
    with pytest.raises(ConfigurationError, match=r"filter\.quota: found per_class_drawn; allowed "):
        CoarseFilter("adaptive", "div", DRAWN, 1.0, num_classes=2)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("quota", QUOTAS)
def test_a_class_seen_once_and_rounds_of_a_single_class_fill_the_buffer(
    score: str, quota: str
) -> None:
    coarse = CoarseFilter(5, score, quota, 1.0, num_classes=4)
    features, labels = random_round(10, classes=1)
    labels[7] = 3
    for t, these in enumerate([labels, labels * 0 + 2, labels * 0]):
        admission = coarse.admit(features, these, generator(0, "g", t))
        assert len(set(admission.positions.tolist())) == 5
        assert admission.positions.tolist() == sorted(admission.positions.tolist())


def test_slots_a_class_cannot_fill_go_to_the_best_of_the_rest() -> None:
    features = torch.tensor([[0.0], [0.0], [9.0], [1.0], [0.0], [0.0]])
    labels = torch.tensor([0, 0, 0, 0, 0, 1])
    coarse = CoarseFilter(4, "rep", "per_class_equal", 1.0, num_classes=2)
    # Two slots a class, but class 1 has one sample; of class 0, after 0 and 1, the best are:
    # 3 with Rep -(1 - 2.5)^2, 4 with -(0 - 2)^2 and 2 with -(9 - 3)^2.
    kept = coarse.admit(features, labels, generator(0, "g")).positions
    assert kept.tolist() == [0, 1, 3, 5]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=12), st.integers(1, 60))
def test_quotas_add_up_and_stay_within_one_of_the_share(counts: list[int], budget: int) -> None:
    masses = [count + 1.0 for count in counts]
    quotas = largest_remainder(masses, budget)
    assert sum(quotas) == budget
    for quota, mass in zip(quotas, masses, strict=True):
        assert abs(quota - budget * mass / sum(masses)) < 1


# What is not finite.


@pytest.mark.parametrize("score", [score for score in SCORES if score != "random"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite_come_last_and_change_nothing(score: str, bad: float) -> None:
    features, labels = random_round(10, classes=2)
    features[[0, 4, 9], 2] = bad
    coarse = CoarseFilter(8, score, "per_class_proportional", 1.0, num_classes=2)
    admission = coarse.admit(features, labels, generator(0, "g"))
    assert admission.positions.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]  # the earliest of the bad ones
    assert admission.nonfinite == 3
    clean = ClassSums(2, 1.0)
    clean.start_round()
    good = features.isfinite().all(1)
    clean.add(features[good], labels[good].numpy())
    for name, value in clean.state_dict().items():
        torch.testing.assert_close(coarse.state_dict()[name], value)


def test_a_round_without_any_finite_feature_keeps_the_earliest() -> None:
    coarse = CoarseFilter(3, "rank_mix", "per_class_equal", 1.0, num_classes=2)
    labels = torch.tensor([0, 1, 0, 1, 1])
    for admit in (CoarseFilter.admit, stream):
        admission = admit(coarse, torch.full((5, 4), math.nan), labels, generator(0, "g"))
        assert admission.positions.tolist() == [0, 1, 2]


# State, determinism, memory, errors.


@pytest.mark.parametrize("score", SCORES)
def test_a_restored_filter_goes_on_as_the_uninterrupted_one(score: str) -> None:
    def rounds(coarse: CoarseFilter, ts: range) -> list[Admission]:
        return [coarse.admit(*random_round(50, seed=t), generator(0, "g", t)) for t in ts]

    arguments: dict[str, Any] = {"score": score, "quota": "per_class_proportional", "decay": 0.9}
    uninterrupted = CoarseFilter(10, **arguments, num_classes=5)
    first = CoarseFilter(10, **arguments, num_classes=5)
    expected = rounds(uninterrupted, range(6))
    done = rounds(first, range(3))
    state = first.state_dict()
    rounds(first, range(3, 4))  # a state that was returned is not changed later
    second = CoarseFilter(10, **arguments, num_classes=5)
    second.load_state_dict(state)
    done += rounds(second, range(3, 6))
    assert all(same(a, b) for a, b in zip(expected, done, strict=True))
    for name, value in uninterrupted.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_a_state_of_other_classes_and_features_of_another_length_are_refused() -> None:
    coarse = CoarseFilter(2, "rep", "global", 1.0, num_classes=5)
    coarse.admit(*random_round(8), generator(0, "g"))
    with pytest.raises(ValueError, match="5 classes, not 3"):
        CoarseFilter(2, "rep", "global", 1.0, num_classes=3).load_state_dict(coarse.state_dict())
    with pytest.raises(ValueError, match="length 7, after length 6"):
        coarse.admit(*random_round(8, length=7), generator(0, "g"))


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("budget", 0),
        ("score", "rep+div"),
        ("quota", "per_class"),
        ("decay", 0.0),
        ("decay", 1.5),
        ("decay", math.nan),
    ],
)
def test_a_wrong_value_is_refused_by_name(key: str, wrong: Any) -> None:
    arguments: dict[str, Any] = {"budget": 3, "score": "rep", "quota": "global", "decay": 1.0}
    with pytest.raises(ConfigurationError, match=f"filter.{key}: found") as caught:
        CoarseFilter(**(arguments | {key: wrong}), num_classes=3)
    assert str(wrong) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fewer_samples_than_candidates_are_refused() -> None:
    coarse = CoarseFilter(9, "rep", "global", 1.0, num_classes=5)
    with pytest.raises(ValueError, match="9 candidates cannot be kept of 8 samples"):
        coarse.admit(*random_round(8), generator(0, "g"))


def test_missing_features_are_refused_unless_scores_are_random() -> None:
    _, labels = random_round(8)
    with pytest.raises(ValueError, match="rep needs the feature of every sample"):
        CoarseFilter(2, "rep", "global", 1.0, num_classes=5).admit(None, labels, generator(0, "g"))
    random = CoarseFilter(2, "random", "global", 1.0, num_classes=5)
    assert not random.needs_features
    admissions = [
        random.admit(None, labels, generator(0, "g")),
        stream(random, None, labels, generator(0, "g")),
    ]
    assert same(*admissions)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.data())
def test_the_keep_rule_on_many_ties_and_never_more_than_the_budget(
    data: st.DataObject,
) -> None:
    quotas = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    budget = sum(quotas) + data.draw(st.integers(0, 3))
    both_ends = data.draw(st.booleans())
    queue = CandidateQueue(budget, quotas, both_ends)
    label, score = st.integers(0, len(quotas) - 1), st.none() | st.sampled_from([-1.0, 0.0, 2.0])
    arrivals = data.draw(st.lists(st.tuples(label, score), min_size=max(budget, 1), max_size=30))
    held: set[int] = set()
    for position, (y, s) in enumerate(arrivals):
        held = (held | {position}) - {queue.offer(y, s)}
        assert sorted(held) == queue.positions()
        assert len(held) == len(queue) == min(position + 1, budget)

    reference = ReferenceFilter(budget, "rank_mix" if both_ends else "rep", "global", 1.0, 0)
    samples = [Sample(position, y, s) for position, (y, s) in enumerate(arrivals)]
    assert queue.positions() == reference.keep(samples, quotas)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_taken_as_they_are(dtype: torch.dtype) -> None:
    features, labels = random_round(30)
    features = (features * 1000).to(dtype)  # sums beyond the range of float16
    coarse = CoarseFilter(10, "rep", "global", 1.0, num_classes=5)
    same_in_double = CoarseFilter(10, "rep", "global", 1.0, num_classes=5)
    admission = coarse.admit(features, labels, generator(0, "g"))
    assert admission.nonfinite == 0
    assert same(admission, same_in_double.admit(features.double(), labels, generator(0, "g")))


@pytest.mark.parametrize("quota", QUOTAS)
def test_random_scores_keep_every_sample_equally_often(quota: str) -> None:
    """Within 4 standard errors; classes are equal, so the rate is budget / v for every quota."""
    budget, size, repeats = 30, 100, 1000
    labels = torch.arange(size) % 10
    kept = torch.zeros(size)
    coarse = CoarseFilter(budget, "random", quota, 1.0, num_classes=10)
    for t in range(repeats):
        positions = coarse.admit(None, labels, generator(1, "random", t)).positions
        kept[positions] += 1
        if quota != "global":
            assert torch.bincount(labels[positions]).tolist() == [3] * 10
    rate = budget / size
    standard_error = math.sqrt(rate * (1 - rate) / repeats)
    assert ((kept / repeats - rate).abs() < 4 * standard_error).all()
