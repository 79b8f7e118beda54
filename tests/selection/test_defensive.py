"""Defensive importance sampling: a slow reference, the bounds that it promises, and shares drawn.

Seeds are fixed. Bounds of 4 standard errors would fail a right policy with a chance of 6e-5 for
each number compared; a systematic draw deviates no more than independent ones.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selection import reference
from selection.builders import generator, grid_candidates, random_candidates
from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Needs, Scores
from titan_repro.selection.defensive import DefensiveImportanceSampling
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.sampling import GRID

thorough = settings(max_examples=100, deadline=None, derandomize=True)
shares = st.sampled_from([0.0, 0.25, 0.5, 1.0])
kinds = st.sampled_from(["last_layer", "logits"])
seeds = st.integers(0, 2**32)


def norms_of(candidates: Scores, kind: str) -> list[float]:
    rows = zip(
        candidates.logits.tolist(),
        candidates.embeddings.tolist(),
        candidates.labels.tolist(),
        strict=True,
    )
    return [reference.norm(reference.gradient(z, h, y, kind)) for z, h, y in rows]


def inclusion_numbers(
    norms: list[float], share: float, size: int, power: float = 2.0
) -> list[float]:
    """pi of the module's formula, candidate by candidate; what norms cannot fill is uniform."""
    scores = [norm**power for norm in norms]
    count, total = len(norms), math.fsum(scores)
    everyone = range(count)
    by_norm = [score / total if total > 0 else 1 / count for score in scores]
    mixed = {i: share * by_norm[i] + (1 - share) / count for i in everyone}
    drawn = [i for i in everyone if mixed[i] > 0]
    placed = min(float(size), float(len(drawn)))
    numbers = reference.share({i: mixed[i] for i in drawn}, dict.fromkeys(drawn, 1.0), placed)
    rest = (size - placed) / max(count - len(drawn), 1)
    return [numbers.get(i, rest) for i in everyone]


def numbers_drawn(
    candidates: Scores, policy: DefensiveImportanceSampling, size: int
) -> list[float]:
    """pi of each candidate, as draws with many seeds tell it of their picks."""
    found = [math.nan] * len(candidates)
    source = generator(0)
    for _ in range(400):
        selection = policy.select(candidates, size, source)
        for i, pi in zip(selection.indices.tolist(), selection.probabilities.tolist(), strict=True):
            found[i] = pi
    return found


@thorough
@given(grid_candidates(), kinds, shares, st.sampled_from([0.5, 1.0, 2.0]), seeds)
def test_equals_a_plain_reference(
    case: tuple[Scores, int], kind: str, share: float, power: float, seed: int
) -> None:
    candidates, size = case
    numbers = inclusion_numbers(norms_of(candidates, kind), share, size, power)
    start = (int(torch.randint(GRID, (1,), generator=generator(seed))) + 0.5) / GRID
    points = [start + k for k in range(size)]
    policy = DefensiveImportanceSampling(kind, share, power)
    selection = policy.select(candidates, size, generator(seed))
    picks = reference.on_the_line(numbers, candidates.labels.tolist(), points)
    assert selection.indices.tolist() == picks
    assert selection.probabilities.tolist() == pytest.approx([numbers[i] for i in picks], rel=1e-5)
    assert selection.weights.tolist() == [1.0] * size
    assert selection.nonfinite == 0


@thorough
@given(seeds, shares, st.integers(1, 30))
def test_nobody_is_expected_less_than_the_uniform_part_and_nobody_comes_twice(
    seed: int, share: float, size: int
) -> None:
    candidates = random_candidates(seed, size=30)
    selection = DefensiveImportanceSampling(share=share).select(candidates, size, generator(seed))
    assert len(set(selection.indices.tolist())) == size
    assert (selection.probabilities >= (1 - share) * size / 30 - 1e-6).all()
    assert (selection.probabilities <= 1 + 1e-6).all()


@thorough
@given(seeds, shares)
def test_class_counts_are_within_one_of_what_is_expected(seed: int, share: float) -> None:
    candidates = random_candidates(seed, size=30)
    numbers = inclusion_numbers(norms_of(candidates, "logits"), share, 10)
    selection = DefensiveImportanceSampling(share=share).select(candidates, 10, generator(seed))
    picked = torch.bincount(candidates.labels[selection.indices], minlength=5)
    expected = torch.zeros(5, dtype=torch.float64)
    expected.index_add_(0, candidates.labels, torch.tensor(numbers, dtype=torch.float64))
    assert ((picked - expected).abs() < 1 + 1e-9).all()


def test_shares_drawn_are_those_expected() -> None:
    """24 comparisons: a right policy would fail with other seeds in 1.5 of 1,000."""
    candidates, size, draws = random_candidates(3), 6, 4000
    numbers = torch.tensor(inclusion_numbers(norms_of(candidates, "logits"), 0.5, size))
    assert numbers.max() > 2 * numbers.min()  # else this would be no test of the norms
    policy, source, counts = DefensiveImportanceSampling(share=0.5), generator(0), torch.zeros(24)
    for _ in range(draws):
        counts[policy.select(candidates, size, source).indices] += 1
    errors = (draws * numbers * (1 - numbers)).sqrt()
    assert ((counts - draws * numbers).abs() <= 4 * errors + 1e-6 * draws).all()


def test_a_share_of_0_is_stratified_and_of_1_is_importance_sampling_without_weights() -> None:
    candidates = random_candidates(4, size=30)
    every = numbers_drawn(candidates, DefensiveImportanceSampling(share=0), 10)
    assert every == pytest.approx([1 / 3] * 30, abs=1e-6)
    plain = ImportanceSampling(weighting="none", sampling="without_replacement")
    for seed in range(20):
        mine = DefensiveImportanceSampling("last_layer", 1, 1).select(
            candidates, 10, generator(seed)
        )
        theirs = plain.select(candidates, 10, generator(seed))
        assert torch.equal(mine.indices, theirs.indices)
        assert torch.equal(mine.probabilities, theirs.probabilities)


def test_a_candidate_that_is_not_finite_has_no_part_in_the_uniform_share() -> None:
    candidates = random_candidates(2, size=12)
    candidates.logits[3] = torch.nan
    found = numbers_drawn(candidates, DefensiveImportanceSampling(share=0), 5)
    assert math.isnan(found.pop(3))
    assert found == pytest.approx([5 / 11] * 11)


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_a_share_is_from_0_to_1(share: float) -> None:
    with pytest.raises(ConfigurationError, match=f"share: found {share}; allowed: 0 to 1"):
        DefensiveImportanceSampling(share=share)


@pytest.mark.parametrize("power", [0, -1, math.inf, math.nan])
def test_a_power_is_above_0(power: float) -> None:
    with pytest.raises(ConfigurationError, match=f"power: found {power}; allowed: finite numbers"):
        DefensiveImportanceSampling(power=power)


def test_it_needs_what_its_gradient_does_and_remembers_nothing() -> None:
    assert DefensiveImportanceSampling().needs is Needs.LOGITS
    assert DefensiveImportanceSampling("last_layer").needs is Needs.EMBEDDINGS
    assert DefensiveImportanceSampling().state_dict() == {}
