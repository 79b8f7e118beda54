"""Policies of the field pick what the plain per-sample reference picks."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selection import reference, reference_field
from selection.builders import generator, grid_candidates, random_candidates
from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Policy, Scores, Selection
from titan_repro.selection.craig import Craig
from titan_repro.selection.divbs import DiversifiedBatchSelection
from titan_repro.selection.gradient_norm import GradientNormRanking
from titan_repro.selection.gradmatch import GradientMatching, matching_weights
from titan_repro.selection.k_center import KCenter
from titan_repro.selection.rho_loss import ReducibleLossRanking, is_held_out
from titan_repro.selection.rs2 import RepeatedRandomSubsets, smallest_chances
from titan_repro.selection.sampling import completed
from titan_repro.selection.uds import UtilityDiversitySampling

thorough = settings(max_examples=100, deadline=None, derandomize=True)
kinds = st.sampled_from(["last_layer", "logits"])
seeds = st.integers(0, 2**32)


def gradients_of(candidates: Scores, kind: str) -> list[reference.Vector]:
    rows = zip(
        candidates.logits.tolist(),
        candidates.embeddings.tolist(),
        candidates.labels.tolist(),
        strict=True,
    )
    return [reference.gradient(z, h, y, kind) for z, h, y in rows]


def assert_completed(selection: Selection, picks: list[int], count: int, size: int) -> None:
    """The batch begins with `picks`; the rest is drawn uniformly from the others."""
    found = selection.indices.tolist()
    assert found[: len(picks)] == picks
    assert len(set(found)) == size
    share = (size - len(picks)) / max(count - len(picks), 1)
    expected = [1.0] * len(picks) + [share] * (size - len(picks))
    assert selection.probabilities.tolist() == pytest.approx(expected)


@thorough
@given(grid_candidates(), kinds)
def test_gradient_norm_ranking(case: tuple[Scores, int], kind: str) -> None:
    candidates, size = case
    norms = [reference.norm(g) for g in gradients_of(candidates, kind)]
    selection = GradientNormRanking(kind).select(candidates, size, generator(0))
    assert selection.indices.tolist() == reference.highest(norms, size)
    assert selection.weights.tolist() == selection.probabilities.tolist() == [1.0] * size


@thorough
@given(grid_candidates(), kinds)
def test_craig(case: tuple[Scores, int], kind: str) -> None:
    """CRAIG is facility location, of which `reference.camel` is the form for any vectors."""
    candidates, size = case
    picks, weights = reference.camel(gradients_of(candidates, kind), size)
    selection = Craig(kind).select(candidates, size, generator(0))
    assert selection.indices.tolist() == picks
    assert selection.weights.tolist() == pytest.approx(weights)


@thorough
@given(grid_candidates())
def test_k_center(case: tuple[Scores, int]) -> None:
    candidates, size = case
    picks = reference_field.farthest_first(candidates.embeddings.tolist(), size)
    selection = KCenter().select(candidates, size, generator(0))
    assert selection.indices.tolist() == picks
    assert selection.weights.tolist() == selection.probabilities.tolist() == [1.0] * size


@pytest.mark.parametrize("seed", range(5))
def test_k_center_leaves_no_one_more_than_twice_as_far_as_can_be(seed: int) -> None:
    candidates = random_candidates(seed, size=12)
    points = candidates.embeddings.double()
    between = torch.cdist(points, points)

    def radius(picks: list[int]) -> float:
        return between[picks].min(dim=0).values.max().item()

    least = min(radius(list(some)) for some in itertools.combinations(range(12), 3))
    found = KCenter().select(candidates, 3, generator(0)).indices.tolist()
    assert radius(found) <= 2 * least


@thorough
@given(grid_candidates(), kinds, seeds)
def test_diversified_batch_selection(case: tuple[Scores, int], kind: str, seed: int) -> None:
    candidates, size = case
    picks = reference_field.diversified(gradients_of(candidates, kind), size)
    selection = DiversifiedBatchSelection(kind).select(candidates, size, generator(seed))
    assert_completed(selection, picks, len(candidates), size)
    assert selection.weights.tolist() == [1.0] * size


@pytest.mark.parametrize("seed", range(5))
def test_each_pick_of_divbs_leaves_the_least_of_the_sum_outside_the_span(seed: int) -> None:
    """By least squares on explicit vectors; 5 classes and 7 numbers: no two are dependent."""
    candidates = random_candidates(seed, size=20)
    rows = np.array(gradients_of(candidates, "last_layer")).T
    total = rows.sum(axis=1)
    picks = DiversifiedBatchSelection().select(candidates, 6, generator(0)).indices.tolist()

    def outside(some: list[int]) -> float:
        own = rows[:, some]
        return float(np.linalg.norm(total - own @ np.linalg.lstsq(own, total)[0]))

    for k in range(6):
        rest = [i for i in range(20) if i not in picks[:k]]
        least = min(outside([*picks[:k], i]) for i in rest)
        assert outside(picks[: k + 1]) == pytest.approx(least, rel=1e-6)


@thorough
@given(grid_candidates(), kinds, st.sampled_from([0.5, 0.01, 20.0]), seeds)
def test_gradient_matching(
    case: tuple[Scores, int], kind: str, regulariser: float, seed: int
) -> None:
    candidates, size = case
    gradients = gradients_of(candidates, kind)
    picks, weights = reference_field.matching_pursuit(gradients, size, regulariser)
    selection = GradientMatching(kind, regulariser).select(candidates, size, generator(seed))
    assert_completed(selection, picks, len(candidates), size)
    expected = np.array([*weights, *[1.0] * (size - len(picks))])
    assert selection.weights.tolist() == pytest.approx(expected / expected.mean(), abs=1e-5)


def test_matching_weights_are_the_optimum_and_not_negative() -> None:
    """Two gradients, (1, 0) and (1, 1), and the target (2, -1): the second has no use."""
    products, target = np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([2.0, 1.0])
    assert matching_weights(products, target, 0.5) == pytest.approx([2 / 1.5, 0])


def test_matching_copes_with_copies_of_enormous_gradients() -> None:
    some = random_candidates(0, size=20)
    huge = replace(
        some,
        labels=some.labels[:5].repeat(4),
        logits=some.logits[:5].repeat(4, 1),
        embeddings=some.embeddings[:5].repeat(4, 1) * 1e15,
    )
    selection = GradientMatching().select(huge, 10, generator(0))
    assert len(set(selection.indices.tolist())) == 10
    assert selection.weights.isfinite().all()
    assert (selection.weights >= 0).all()


def test_matching_all_candidates_with_no_regulariser_weighs_them_equally() -> None:
    candidates = random_candidates(3, size=10)
    selection = GradientMatching(regulariser=1e-9).select(candidates, 10, generator(0))
    assert selection.weights.tolist() == pytest.approx([1] * 10, abs=1e-3)


@thorough
@given(
    st.lists(grid_candidates(), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(1, 8),
)
def test_utility_and_diversity(cases: list[tuple[Scores, int]], alpha: float, memory: int) -> None:
    policy = UtilityDiversitySampling(alpha, memory)
    before: list[reference.Vector] = []
    for candidates, size in cases:
        logits = candidates.logits.tolist()
        scores = reference_field.utility_and_diversity(logits, before, alpha)
        picks = reference.highest(scores, size)
        assert policy.select(candidates, size, generator(0)).indices.tolist() == picks
        before = [*before, *(logits[i] for i in picks)][-memory:]


@thorough
@given(st.lists(st.tuples(grid_candidates(), seeds), min_size=1, max_size=4))
def test_repeated_random_subsets(cases: list[tuple[tuple[Scores, int], int]]) -> None:
    policy = RepeatedRandomSubsets()
    chosen: dict[int, int] = {}
    for (candidates, size), seed in cases:
        positions = candidates.positions.tolist()
        order = torch.randperm(len(candidates), generator=generator(seed)).tolist()
        picks = reference_field.least_chosen(positions, chosen, order)[:size]
        assert policy.select(candidates, size, generator(seed)).indices.tolist() == picks
        for i in picks:
            chosen[positions[i]] = chosen.get(positions[i], 0) + 1


def test_rs2_chooses_every_sample_once_before_any_twice() -> None:
    policy, seen = RepeatedRandomSubsets(), []
    for t in range(6):  # 20 samples that all come in every round, 5 of which are chosen
        positions = torch.randperm(20, generator=generator(t))
        known = Scores(torch.zeros(20, dtype=torch.int64), torch.tensor([20]), positions=positions)
        seen += positions[policy.select(known, 5, generator(100 + t)).indices].tolist()
    assert sorted(seen[:20]) == list(range(20))
    assert len(set(seen[20:])) == 10


def test_rs2_says_how_likely_each_pick_was() -> None:
    """Frequencies over 4,000 draws, four standard errors: 7 comparisons, 1 in 2,000 by chance."""
    positions, draws, size = torch.tensor([0, 1, 2, 2, 3, 4, 4]), 4000, 3
    known = Scores(torch.zeros(7, dtype=torch.int64), torch.tensor([7]), positions=positions)
    before = {"chosen": torch.tensor([1, 0, 0, 1, 1], dtype=torch.int32)}
    counts, said = torch.zeros(7), torch.zeros(7)
    for seed in range(draws):
        policy = RepeatedRandomSubsets()
        policy.load_state_dict(before)
        selection = policy.select(known, size, generator(seed))
        counts.index_add_(0, selection.indices, torch.ones(size))
        said[selection.indices] = selection.probabilities
    # never chosen: 1 and 2; for the third place 0, the second 2, 3 and the first 4 are equals
    assert said.tolist() == pytest.approx([0.25, 1, 1, 0.25, 0.25, 0.25, 0])
    error = (draws * said * (1 - said)).sqrt()
    assert ((counts - draws * said).abs() <= 4 * error).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.data())
@settings(deadline=None, derandomize=True)
def test_chances_of_being_among_the_smallest_add_up_to_the_batch(
    values: list[int], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(values)))
    chances = smallest_chances(np.array(values), size)
    assert chances.sum() == pytest.approx(size)
    assert (np.diff(chances[np.argsort(values, kind="stable")]) <= 1e-12).all()


@thorough
@given(st.lists(grid_candidates(), min_size=1, max_size=4), st.sampled_from([0.5, 1.0, 4.0]))
def test_reducible_loss(cases: list[tuple[Scores, int]], rate: float) -> None:
    policy, model = ReducibleLossRanking(0.3, rate), reference_field.LinearSoftmax(3, 4)
    for candidates, wanted in cases:
        apart = is_held_out(candidates.positions, 0.3).tolist()
        others = [i for i, held in enumerate(apart) if not held]
        size = min(wanted, len(others))
        inputs = candidates.inputs.flatten(1).tolist()
        logits, labels = candidates.logits.tolist(), candidates.labels.tolist()
        if size == 0:
            with pytest.raises(ConfigurationError, match="batch_size: found 1; allowed: at most 0"):
                policy.select(candidates, 1, generator(0))
            continue
        held = [i for i, held in enumerate(apart) if held]
        model.step([inputs[i] for i in held], [labels[i] for i in held], rate)
        scores = [
            reference.cross_entropy(logits[i], labels[i]) - model.loss(inputs[i], labels[i])
            for i in others
        ]
        found = policy.select(candidates, size, generator(0)).indices.tolist()
        # Gradient descent carries rounding on, so equal scores may differ in their last digits.
        near = dict(zip(others, scores, strict=True))
        assert sorted(near[i] for i in found) == pytest.approx(sorted(scores)[-size:], abs=1e-6)


def test_the_held_out_part_is_fixed_and_of_the_size_that_is_asked_for() -> None:
    everyone = torch.arange(50_000)
    apart = is_held_out(everyone, 0.1)
    assert abs(apart.sum().item() - 5000) < 4 * (50_000 * 0.09) ** 0.5
    some = torch.randperm(50_000, generator=generator(0))[:1000]
    assert torch.equal(is_held_out(some, 0.1), apart[some])
    assert not (is_held_out(everyone, 0.05) & ~apart).any()


def test_held_out_samples_teach_the_small_model_and_are_never_chosen() -> None:
    """Labels that inputs tell are learned, so that their losses are irreducible no longer."""
    draws, policy = generator(0), ReducibleLossRanking(held_out=0.5)
    for _ in range(300):
        labels = torch.randint(2, (40,), generator=draws)
        inputs = torch.randn(40, 3, generator=draws) + 3 * labels.unsqueeze(1)
        positions = torch.randint(1000, (40,), generator=draws)
        known = Scores(
            labels, torch.tensor([20, 20]), inputs, torch.zeros(40, 2), positions=positions
        )
        picks = policy.select(known, 5, draws).indices
        assert not is_held_out(positions[picks], 0.5).any()
    weights = policy.state_dict()["weights"]
    errors = (inputs.double() @ weights[:, :-1].T + weights[:, -1]).argmax(dim=1) != labels
    assert errors.double().mean() < 0.1


def remembering() -> list[Policy]:
    return [ReducibleLossRanking(), UtilityDiversitySampling(memory=15), RepeatedRandomSubsets()]


@pytest.mark.parametrize("number", range(3))
def test_what_a_policy_remembers_is_in_its_state_and_later_rounds_leave_that_alone(
    number: int,
) -> None:
    rounds = [
        replace(random_candidates(seed, size=30), positions=torch.arange(30) + seed)
        for seed in range(6)
    ]
    straight, again = remembering()[number], remembering()[number]
    again.load_state_dict(copy.deepcopy(straight.state_dict()))
    for t, candidates in enumerate(rounds):
        state = straight.state_dict()
        kept = copy.deepcopy(dict(state))
        again = remembering()[number]
        again.load_state_dict(copy.deepcopy(state))
        one, other = (p.select(candidates, 5, generator(t)) for p in (straight, again))
        assert torch.equal(one.indices, other.indices)
        assert kept.keys() == state.keys()
        assert all(torch.equal(kept[key], state[key]) for key in kept)
        ours, theirs = straight.state_dict(), again.state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("policy", [RepeatedRandomSubsets(), ReducibleLossRanking()])
def test_who_knows_samples_again_must_be_told_which_they_are(policy: Policy) -> None:
    candidates = replace(random_candidates(0), positions=None)
    with pytest.raises(ValueError, match="ids: are missing; this selector knows samples"):
        policy.select(candidates, 3, generator(0))


def test_a_batch_is_filled_from_finite_candidates_before_others() -> None:
    finite = np.array([True, False, True, True, False])
    lottery = np.array([4, 0, 1, 3, 2])
    selection = completed([2], finite, 4, lottery)
    assert selection.indices.tolist() == [2, 3, 0, 1]
    assert selection.probabilities.tolist() == [1, 1, 1, 0.5]
    assert selection.nonfinite == 2
