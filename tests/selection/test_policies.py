"""Every policy picks what the plain per-sample reference picks."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selection import reference
from selection.builders import CLASSES, generator, grid_candidates, random_candidates
from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Policy, Scores, Selection
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.craig import Craig
from titan_repro.selection.defensive import DefensiveImportanceSampling
from titan_repro.selection.divbs import DiversifiedBatchSelection
from titan_repro.selection.entropy import EntropyRanking
from titan_repro.selection.gradient_norm import GradientNormRanking
from titan_repro.selection.gradmatch import GradientMatching
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.k_center import KCenter
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.rho_loss import ReducibleLossRanking
from titan_repro.selection.rs2 import RepeatedRandomSubsets
from titan_repro.selection.sampling import GRID
from titan_repro.selection.stratified import StratifiedSampling
from titan_repro.selection.uds import UtilityDiversitySampling
from titan_repro.selection.uniform import UniformSampling

thorough = settings(max_examples=100, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32)

POLICIES: dict[str, Callable[[], Policy]] = {
    "rs": UniformSampling,
    "stratified": StratifiedSampling,
    "is": ImportanceSampling,
    "ll": lambda: LossRanking("low"),
    "hl": lambda: LossRanking("high"),
    "ce": EntropyRanking,
    "ocs": OnlineCoresetSelection,
    "camel": Camel,
    "cis": ClassifiedImportanceSampling,
    "grad_topk": GradientNormRanking,
    "el2n": lambda: GradientNormRanking("logits"),
    "rho_loss": lambda: ReducibleLossRanking(held_out=1e-9),  # of so few positions none
    "uds": UtilityDiversitySampling,
    "divbs": DiversifiedBatchSelection,
    "craig": Craig,
    "gradmatch": GradientMatching,
    "kcenter": KCenter,
    "rs2": RepeatedRandomSubsets,
    "ours": DefensiveImportanceSampling,
}
SCORING = [name for name in POLICIES if name not in ("rs", "stratified", "rs2")]


def gradients_of(candidates: Scores, kind: str) -> list[reference.Vector]:
    return [
        reference.gradient(z, h, y, kind)
        for z, h, y in zip(
            candidates.logits.tolist(),
            candidates.embeddings.tolist(),
            candidates.labels.tolist(),
            strict=True,
        )
    ]


def points_of(sampling: str, seed: int, batch_size: int) -> list[float]:
    """The points that a draw with this seed puts on the line."""
    source = generator(seed)
    if sampling == "multinomial":
        uniform = torch.rand(batch_size, dtype=torch.float64, generator=source)
        return (uniform * batch_size).tolist()
    cell = int(torch.randint(GRID, (1,), generator=source))
    return [(cell + 0.5) / GRID + k for k in range(batch_size)]


def assert_drawn(
    selection: Selection,
    candidates: Scores,
    numbers: list[float],
    target: list[float],
    weighting: str,
    points: list[float],
) -> None:
    """Compare a probabilistic selection with inclusion numbers, points and weights."""
    picks = reference.on_the_line(numbers, candidates.labels.tolist(), points)
    assert selection.indices.tolist() == picks
    expected = [len(points) * target[i] / numbers[i] for i in picks]
    if weighting == "none":
        expected = [1.0] * len(points)
    if weighting == "self_normalised":
        expected = [w * len(points) / sum(expected) for w in expected]
    assert selection.weights.tolist() == pytest.approx(expected, rel=1e-5)
    assert selection.probabilities.tolist() == pytest.approx([numbers[i] for i in picks], rel=1e-5)


@thorough
@given(grid_candidates())
def test_loss_ranking(case: tuple[Scores, int]) -> None:
    candidates, size = case
    losses = [
        reference.cross_entropy(z, y)
        for z, y in zip(candidates.logits.tolist(), candidates.labels.tolist(), strict=True)
    ]
    high = LossRanking("high").select(candidates, size, generator(0))
    low = LossRanking("low").select(candidates, size, generator(0))
    assert high.indices.tolist() == reference.highest(losses, size)
    assert low.indices.tolist() == reference.highest([-x for x in losses], size)
    assert high.weights.tolist() == high.probabilities.tolist() == [1.0] * size


@thorough
@given(grid_candidates())
def test_entropy_ranking(case: tuple[Scores, int]) -> None:
    candidates, size = case
    entropies = [reference.entropy(z) for z in candidates.logits.tolist()]
    selection = EntropyRanking().select(candidates, size, generator(0))
    assert selection.indices.tolist() == reference.highest(entropies, size)


@thorough
@given(grid_candidates(), st.sampled_from(["last_layer", "logits"]))
def test_online_coreset_selection(case: tuple[Scores, int], gradient: str) -> None:
    candidates, size = case
    scores = reference.coreset_scores(gradients_of(candidates, gradient))
    selection = OnlineCoresetSelection(gradient).select(candidates, size, generator(0))
    assert selection.indices.tolist() == reference.highest(scores, size)


@thorough
@given(grid_candidates())
def test_camel(case: tuple[Scores, int]) -> None:
    candidates, size = case
    picks, weights = reference.camel(candidates.inputs.flatten(1).tolist(), size)
    selection = Camel().select(candidates, size, generator(0))
    assert selection.indices.tolist() == picks
    assert selection.weights.tolist() == pytest.approx(weights)
    equal = Camel("equal").select(candidates, size, generator(0))
    assert equal.indices.tolist() == picks
    assert equal.weights.tolist() == [1.0] * size


def test_rounding_does_not_rank_parallel_gradients() -> None:
    """Of two classes, with one embedding: every cosine is 1, every score 1 - 1."""
    size = 12
    logits = torch.stack([torch.linspace(-2, 2, size), torch.zeros(size)], dim=1)
    embedding = torch.randn(1, 9, generator=generator(0)).expand(size, 9)
    labels = torch.zeros(size, dtype=torch.int64)
    candidates = Scores(labels, torch.tensor([size, 0]), None, logits, embedding)
    selection = OnlineCoresetSelection().select(candidates, size, generator(0))
    assert selection.indices.tolist() == list(range(size))


@pytest.mark.parametrize("seed", range(5))
def test_camel_ties_copies_to_the_earliest(seed: int) -> None:
    """Sizes at which a matrix product rounds copies of one input differently."""
    size, points = 101, torch.randn(4, 3, 32, 32, generator=generator(seed))
    order = torch.randperm(size, generator=generator(seed)) % 4
    labels = torch.zeros(size, dtype=torch.int64)
    candidates = Scores(labels, torch.tensor([size]), inputs=points[order])
    picks = Camel().select(candidates, 8, generator(0)).indices.tolist()
    first = [order.tolist().index(k) for k in range(4)]
    assert sorted(picks[:4]) == sorted(first)
    assert picks[4:] == [i for i in range(size) if i not in first][:4]


@thorough
@given(
    grid_candidates(),
    st.sampled_from(["last_layer", "logits"]),
    st.sampled_from(["none", "unbiased", "self_normalised"]),
    st.sampled_from(["systematic", "multinomial", "without_replacement"]),
    seeds,
)
def test_importance_sampling(
    case: tuple[Scores, int], gradient: str, weighting: str, sampling: str, seed: int
) -> None:
    candidates, size = case
    norms = [reference.norm(g) for g in gradients_of(candidates, gradient)]
    compute = (
        reference.distinct_inclusion_numbers
        if sampling == "without_replacement"
        else reference.inclusion_numbers
    )
    count = len(candidates)
    numbers = compute(norms, [0] * count, {0: 1.0}, size)
    policy = ImportanceSampling(gradient, weighting, sampling)
    selection = policy.select(candidates, size, generator(seed))
    points = points_of(sampling, seed, size)
    assert_drawn(selection, candidates, numbers, [1 / count] * count, weighting, points)


@thorough
@given(
    grid_candidates(),
    st.sampled_from(["last_layer", "logits"]),
    st.sampled_from(["plugin", "bessel"]),
    st.sampled_from(["candidates", "stream"]),
    st.sampled_from(["none", "unbiased", "self_normalised"]),
    st.sampled_from(["systematic", "multinomial", "without_replacement"]),
    seeds,
)
def test_classified_importance_sampling(
    case: tuple[Scores, int],
    gradient: str,
    class_importance: str,
    class_mass: str,
    weighting: str,
    sampling: str,
    seed: int,
) -> None:
    candidates, size = case
    labels = candidates.labels.tolist()
    gradients = gradients_of(candidates, gradient)
    norms = [reference.norm(g) for g in gradients]
    counts = [labels.count(y) for y in range(CLASSES)]
    mass = counts if class_mass == "candidates" else candidates.stream_counts.tolist()
    importance = reference.class_importance(
        norms,
        labels,
        reference.squared_spreads(gradients, labels, class_importance),
        mass,
        floor=0.0 if weighting == "none" else 1e-3,
    )
    compute = (
        reference.distinct_inclusion_numbers
        if sampling == "without_replacement"
        else reference.inclusion_numbers
    )
    numbers = compute(norms, labels, importance, size)
    target = [mass[y] / sum(mass) / counts[y] for y in labels]
    policy = ClassifiedImportanceSampling(
        gradient, class_importance, class_mass, weighting, sampling
    )
    selection = policy.select(candidates, size, generator(seed))
    points = points_of(sampling, seed, size)
    assert_drawn(selection, candidates, numbers, target, weighting, points)


def test_uniform_sampling_makes_all_sets_equally_likely() -> None:
    candidates = random_candidates(0, size=4)
    seen = dict.fromkeys(itertools.combinations(range(4), 2), 0)
    source = generator(0)
    for _ in range(3000):
        selection = UniformSampling().select(candidates, 2, source)
        seen[tuple(sorted(selection.indices.tolist()))] += 1
    error = (3000 * 1 / 6 * 5 / 6) ** 0.5
    assert all(abs(count - 500) < 4 * error for count in seen.values())
    assert selection.weights.tolist() == [1, 1]
    assert selection.probabilities.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_fills_the_batch_and_repeats_itself(name: str) -> None:
    candidates = random_candidates(5, size=30)
    for size in (1, 10, 30):
        first, again = (POLICIES[name]().select(candidates, size, generator(1)) for _ in range(2))
        assert first.indices.shape == first.weights.shape == first.probabilities.shape == (size,)
        assert first.indices.dtype == torch.int64
        assert first.weights.dtype == first.probabilities.dtype == torch.float32
        assert first.nonfinite == 0
        assert ((first.indices >= 0) & (first.indices < 30)).all()
        assert torch.equal(first.indices, again.indices)
        assert torch.equal(first.weights, again.weights)
        if name not in ("is", "cis"):
            assert len(set(first.indices.tolist())) == size


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("size", [0, 4])
def test_a_batch_larger_than_the_candidates_is_refused(name: str, size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"batch_size: found {size}; allowed: 1 to 3"):
        POLICIES[name]().select(random_candidates(0, size=3), size, generator(0))


@pytest.mark.parametrize("name", SCORING)
def test_nonfinite_candidates_are_counted_and_not_picked(name: str) -> None:
    whole = random_candidates(2, size=12)
    logits, inputs = whole.logits.clone(), whole.inputs.clone()
    logits[3, 1] = inputs[3, 0, 0] = torch.nan
    logits[7] = inputs[7, 1] = torch.inf
    embeddings = whole.embeddings.clone()
    embeddings[3, 0], embeddings[7, 1] = torch.nan, torch.inf
    broken = replace(whole, inputs=inputs, logits=logits, embeddings=embeddings)
    for seed in range(30):
        selection = POLICIES[name]().select(broken, 10, generator(seed))
        assert selection.nonfinite == 2
        assert not {3, 7} & set(selection.indices.tolist())
        assert selection.weights.isfinite().all()


@pytest.mark.parametrize("name", SCORING)
def test_if_no_candidate_is_finite_the_draw_is_uniform(name: str) -> None:
    size, draws = 5, 400
    broken = Scores(
        torch.tensor([0, 0, 0, 1, 2]),
        torch.tensor([3, 1, 1]),
        inputs=torch.full((size, 2), torch.nan),
        logits=torch.full((size, 3), torch.nan),
        embeddings=torch.full((size, 4), torch.inf),
        positions=torch.arange(size),
    )
    policy, source, counts = POLICIES[name](), generator(0), torch.zeros(size)
    for _ in range(draws):
        selection = policy.select(broken, 2, source)
        assert selection.nonfinite == size
        assert selection.weights.tolist() == pytest.approx([1, 1])
        assert selection.probabilities.tolist() == pytest.approx([0.4, 0.4])
        counts.index_add_(0, selection.indices, torch.ones(2))
    error = (draws * 0.4 * 0.6) ** 0.5
    assert ((counts - 0.4 * draws).abs() < 4 * error).all()


@pytest.mark.parametrize("name", POLICIES)
def test_degenerate_rounds_give_a_batch(name: str) -> None:
    one_class = random_candidates(1, size=8, labels=torch.full((8,), 2))
    single = random_candidates(1, size=1)
    rare = random_candidates(1, size=5, labels=torch.arange(5))
    for candidates in (one_class, single, rare):
        size = min(3, len(candidates))
        selection = POLICIES[name]().select(candidates, size, generator(0))
        assert selection.indices.shape == (size,)
        assert selection.weights.isfinite().all()
        assert selection.nonfinite == 0


@pytest.mark.parametrize("name", ["is", "cis", "ocs"])
def test_zero_gradients_fall_to_uniform_or_to_the_earliest(name: str) -> None:
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    logits = torch.zeros(6, 3).scatter(1, labels.unsqueeze(1), 1e5)  # every label certain
    candidates = Scores(labels, torch.tensor([2, 1, 3]), None, logits, torch.ones(6, 2))
    selection = POLICIES[name]().select(candidates, 3, generator(0))
    if name == "ocs":
        assert selection.indices.tolist() == [0, 1, 2]
    else:
        assert selection.probabilities.tolist() == pytest.approx([0.5] * 3)
        assert selection.weights.tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LossRanking("lowest"), "prefer: found 'lowest'; allowed: low, high"),
        (
            lambda: OnlineCoresetSelection("full"),
            "gradient: found 'full'; allowed: last_layer, log",
        ),
        (lambda: ImportanceSampling("all"), "gradient: found 'all'"),
        (lambda: ImportanceSampling(weighting="x"), "weighting: found 'x'; allowed: none, unbias"),
        (lambda: ImportanceSampling(sampling="x"), "sampling: found 'x'; allowed: systematic, mu"),
        (lambda: ClassifiedImportanceSampling("x"), "gradient: found 'x'"),
        (lambda: ClassifiedImportanceSampling(class_importance="x"), "class_importance: found"),
        (lambda: ClassifiedImportanceSampling(class_mass="x"), "class_mass: found 'x'; allowed:"),
        (lambda: ClassifiedImportanceSampling(weighting="x"), "weighting: found 'x'"),
        (lambda: ClassifiedImportanceSampling(sampling="x"), "sampling: found 'x'"),
        (lambda: ClassifiedImportanceSampling(memory=1.0), "memory: found 1.0; allowed: 0 to"),
        (lambda: GradientNormRanking("all"), "gradient: found 'all'"),
        (lambda: Craig("full"), "gradient: found 'full'; allowed: last_layer, logits"),
        (lambda: DiversifiedBatchSelection("full"), "gradient: found 'full'; allowed: last_layer"),
        (lambda: GradientMatching("full"), "gradient: found 'full'; allowed: last_layer, logits"),
        (lambda: GradientMatching(regulariser=0), "regulariser: found 0; allowed: finite numbers"),
        (lambda: UtilityDiversitySampling(alpha=-1), "alpha: found -1; allowed: finite numbers"),
        (lambda: UtilityDiversitySampling(memory=0), "memory: found 0; allowed: whole numbers"),
        (lambda: ReducibleLossRanking(held_out=1), "held_out: found 1; allowed: numbers between"),
        (lambda: ReducibleLossRanking(rate=5), "rate: found 5; allowed: numbers above 0, at most"),
    ],
)
def test_wrong_values_are_named(make: Callable[[], Policy], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
