"""Class importance: what C-IS adds to importance sampling."""

import numpy as np
import pytest
import torch
from torch import Tensor

from selection.builders import generator, random_candidates
from titan_repro.selection.base import GradientMoments, Scores
from titan_repro.selection.cis import (
    ClassifiedImportanceSampling,
    bessel_squared_spread,
    plugin_squared_spread,
)
from titan_repro.selection.gradients import gradient_norms, norms_and_class_means


def given_gradients(gradients: Tensor, labels: Tensor, classes: int) -> Scores:
    """Candidates whose gradients are known outright."""
    means = torch.stack(
        [gradients[labels == y].sum(0) / (labels == y).sum().clamp_min(1) for y in range(classes)]
    )
    moments = GradientMoments(gradients.norm(dim=1), means.norm(dim=1))
    return Scores(labels, torch.bincount(labels, minlength=classes), moments=moments)


def spreads(candidates: Scores) -> tuple[Tensor, Tensor]:
    """Squared spreads of classes as `plugin` and as `bessel` have them."""
    labels, classes = candidates.labels.numpy(), len(candidates.stream_counts)
    norms, class_mean_norms = norms_and_class_means(candidates, "full")
    counts = np.bincount(labels, minlength=classes).astype(float)
    mean_norms = np.bincount(labels, norms, classes) / np.maximum(counts, 1)
    plugin = plugin_squared_spread(mean_norms, class_mean_norms)
    bessel = bessel_squared_spread(plugin, counts, mean_norms)
    return torch.from_numpy(plugin), torch.from_numpy(bessel)


def class_shares(policy: ClassifiedImportanceSampling, candidates: Scores, size: int) -> Tensor:
    """Expected picks of each class, read off the probabilities of many picks."""
    classes = candidates.stream_counts.shape[0]
    numbers = torch.zeros(len(candidates))
    source = generator(0)
    for _ in range(200):
        selection = policy.select(candidates, size, source)
        numbers[selection.indices] = selection.probabilities
    return torch.zeros(classes).index_add_(0, candidates.labels, numbers)


def test_hand_computed_importance() -> None:
    # class 0: (3, 0), (0, 4): mean |g| 3.5, |mean g| 2.5, squared spread 6; class 1: equal
    # gradients; class 2: one gradient of norm 2
    gradients = torch.tensor([[3, 0], [0, 4], [5, 0], [5, 0], [0, 2.0]]).double()
    labels = torch.tensor([0, 0, 1, 1, 2])
    candidates = given_gradients(gradients, labels, 4)
    plugin, bessel = spreads(candidates)
    torch.testing.assert_close(plugin, torch.tensor([6.0, 0, 0, 0]).double())
    ratio = (12 + 0) / (3.5**2 + 5**2)  # pooled over classes 0 and 1, one degree of freedom each
    expected = torch.tensor([12, 0, 4 * ratio, 0]).double()
    torch.testing.assert_close(bessel, expected)


def test_bessel_is_the_unbiased_estimate_of_the_class_spread() -> None:
    """Over samples of n = 3 from a class, the mean of the estimate is the whole class's spread."""
    gradients = torch.randn(7, 4, generator=generator(0), dtype=torch.float64)
    true = gradients.norm(dim=1).mean() ** 2 - gradients.mean(dim=0).norm() ** 2
    rows = torch.cartesian_prod(*[torch.arange(7)] * 3)  # every draw with replacement
    estimates, plugins = [], []
    for row in rows:
        candidates = given_gradients(gradients[row], torch.zeros(3, dtype=torch.int64), 1)
        plugin, bessel = spreads(candidates)
        estimates.append(bessel)
        plugins.append(plugin)
    torch.testing.assert_close(torch.cat(estimates).mean(), true)
    torch.testing.assert_close(torch.cat(plugins).mean(), true * 2 / 3)


def test_plugin_never_picks_a_class_of_one_candidate_and_bessel_does() -> None:
    candidates = random_candidates(0, size=9, labels=torch.tensor([0] * 4 + [1] * 4 + [2]))
    plugin = class_shares(ClassifiedImportanceSampling(class_importance="plugin"), candidates, 4)
    bessel = class_shares(ClassifiedImportanceSampling(class_importance="bessel"), candidates, 4)
    assert plugin[2] == 0
    assert bessel[2] > 0.05
    assert float(plugin.sum()) == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("class_importance", ["plugin", "bessel", "ema"])
def test_unbiased_weights_reach_every_class_with_a_gradient(class_importance: str) -> None:
    gradients = torch.tensor([[3, 0], [0, 4], [5, 0], [5, 0], [0, 2.0], [0, 0]]).double()
    candidates = given_gradients(gradients, torch.tensor([0, 0, 1, 1, 2, 3]), 4)
    policy = ClassifiedImportanceSampling(
        "full", class_importance, weighting="unbiased", sampling="without_replacement"
    )
    selection = policy.select(candidates, 5, generator(0))
    assert sorted(selection.indices.tolist()) == [0, 1, 2, 3, 4]
    everyone = policy.select(candidates, 6, generator(0))
    torch.testing.assert_close(everyone.weights, torch.ones(6))


def test_without_any_spread_classes_share_by_norm() -> None:
    candidates = random_candidates(0, size=5, labels=torch.arange(5))
    policy = ClassifiedImportanceSampling(class_importance="plugin")
    norms = torch.from_numpy(gradient_norms(candidates, "last_layer"))
    selection = policy.select(candidates, 3, generator(0))
    expected = 3 * norms / norms.sum()
    torch.testing.assert_close(selection.probabilities, expected[selection.indices].float())


def test_rounding_of_equal_gradients_is_not_a_spread() -> None:
    one = random_candidates(0, size=3, labels=torch.arange(3))
    copies = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    labels, count = one.labels[copies], torch.tensor([3, 3, 3])
    candidates = Scores(
        labels, count, logits=one.logits[copies][:, :3], embeddings=one.embeddings[copies]
    )
    norms = torch.from_numpy(gradient_norms(candidates, "last_layer"))
    for class_importance in ("plugin", "bessel", "ema"):
        policy = ClassifiedImportanceSampling(class_importance=class_importance)
        selection = policy.select(candidates, 3, generator(0))
        expected = 3 * norms / norms.sum()
        torch.testing.assert_close(selection.probabilities, expected[selection.indices].float())


def test_a_single_candidate_is_given_at_most_its_norm() -> None:
    gradients = torch.tensor([[3, 0], [-3, 0], [0, 2.0]]).double()  # the pair's estimate is 2 * 9
    labels = torch.tensor([0, 0, 1])
    _, spread = spreads(given_gradients(gradients, labels, 2))
    torch.testing.assert_close(spread, torch.tensor([18.0, 4.0]).double())


def test_stream_mass_scales_classes_and_loses_absent_ones() -> None:
    gradients = torch.tensor([[3, 0], [0, 4], [3, 0], [0, 4.0]]).double()
    labels = torch.tensor([0, 0, 1, 1])
    moments = given_gradients(gradients, labels, 3).moments
    candidates = Scores(labels, torch.tensor([10, 30, 60]), moments=moments)
    policy = ClassifiedImportanceSampling("full", class_mass="stream", weighting="unbiased")
    selection = policy.select(candidates, 4, generator(0))
    shares = torch.tensor([1.0, 3.0])[labels[selection.indices]]
    within = torch.tensor([3.0, 4.0])[selection.indices % 2] / 7
    torch.testing.assert_close(selection.probabilities, shares * within)
    # 0.1 and 0.3 of the stream, two candidates each; 0.6 has no candidate
    target = torch.tensor([0.05, 0.15])[labels[selection.indices]]
    torch.testing.assert_close(selection.weights, 4 * target / selection.probabilities)


def test_stream_that_counted_no_candidate_falls_back_to_the_candidates() -> None:
    candidates = random_candidates(3)
    blind = Scores(
        candidates.labels,
        torch.zeros_like(candidates.stream_counts),
        logits=candidates.logits,
        embeddings=candidates.embeddings,
    )
    by_stream = ClassifiedImportanceSampling(class_mass="stream", weighting="unbiased")
    by_candidates = ClassifiedImportanceSampling(weighting="unbiased")
    found, expected = (
        p.select(c, 6, generator(1)) for p, c in ((by_stream, blind), (by_candidates, candidates))
    )
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.weights, expected.weights)


def rounds() -> list[Scores]:
    """Three rounds; class 1 has two candidates, then one, then none."""
    labels = ([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 2])
    return [
        given_gradients(
            torch.randn(5, 3, generator=generator(t), dtype=torch.float64), torch.tensor(y), 3
        )
        for t, y in enumerate(labels)
    ]


def test_moving_average_remembers_classes_that_are_absent_or_single() -> None:
    policy = ClassifiedImportanceSampling("full", class_importance="ema", memory=0.75)
    measured = [spreads(candidates)[1] for candidates in rounds()]
    assert policy.state_dict() == {}
    for candidates in rounds():
        policy.select(candidates, 2, generator(0))
    average = policy.state_dict()["average"]
    once = 0.75 * measured[0][0] + 0.25 * measured[1][0]
    assert float(average[0]) == pytest.approx(float(0.75 * once + 0.25 * measured[2][0]))
    assert float(average[1]) == pytest.approx(float(measured[0][1]))  # measured in round 0 alone
    assert average[2].isnan()  # never had two candidates


def test_absent_classes_get_no_share_from_their_memory() -> None:
    first, second, third = rounds()
    policy = ClassifiedImportanceSampling("full", class_importance="ema", class_mass="stream")
    policy.select(first, 5, generator(0))
    policy.select(second, 5, generator(0))
    streamed = Scores(third.labels, torch.tensor([10, 10, 10]), moments=third.moments)
    shares = class_shares(policy, streamed, 5)
    assert shares[1] == 0
    assert float(shares.sum()) == pytest.approx(5, rel=1e-5)


def test_single_candidates_use_the_memory_of_their_class() -> None:
    first, second, _ = rounds()
    policy = ClassifiedImportanceSampling("full", class_importance="ema")
    policy.select(first, 2, generator(0))
    (_, remembered), (_, expected) = spreads(first), spreads(second)
    importance = torch.stack(
        [4 * (0.9 * remembered[0] + 0.1 * expected[0]).sqrt(), remembered[1].sqrt()]
    )
    numbers = {4: 2 * importance[1] / importance.sum()}
    seen = {}
    source = generator(0)
    for _ in range(100):
        copy = ClassifiedImportanceSampling("full", class_importance="ema")
        copy.load_state_dict(policy.state_dict())
        selection = copy.select(second, 2, source)
        seen |= dict(zip(selection.indices.tolist(), selection.probabilities, strict=True))
    torch.testing.assert_close(seen[4], numbers[4].float())


def test_state_survives_saving_and_is_not_shared() -> None:
    policy = ClassifiedImportanceSampling("full", class_importance="ema")
    first, second, third = rounds()
    policy.select(first, 2, generator(0))
    saved = policy.state_dict()
    kept = saved["average"].clone()
    copy = ClassifiedImportanceSampling("full", class_importance="ema")
    copy.load_state_dict(saved)
    for candidates in (second, third):
        ours, theirs = (p.select(candidates, 3, generator(5)) for p in (policy, copy))
        assert torch.equal(ours.indices, theirs.indices)
        assert torch.equal(ours.probabilities, theirs.probabilities)
    torch.testing.assert_close(saved["average"], kept, equal_nan=True)
    copy.load_state_dict({})
    assert copy.state_dict() == {}


def test_nan_gradients_do_not_enter_the_memory() -> None:
    policy = ClassifiedImportanceSampling("full", class_importance="ema")
    first = rounds()[0]
    norms = first.moments.norms.clone()
    norms[1] = torch.nan
    broken = Scores(
        first.labels,
        first.stream_counts,
        moments=GradientMoments(norms, first.moments.class_mean_norms),
    )
    selection = policy.select(broken, 2, generator(0))
    assert selection.nonfinite == 1
    assert policy.state_dict()["average"][:2].isfinite().all()


def test_a_round_without_a_finite_gradient_leaves_the_memory_as_it_was() -> None:
    policy = ClassifiedImportanceSampling("full", class_importance="ema")
    first = rounds()[0]
    moments = first.moments
    nowhere = torch.full_like(moments.norms, torch.nan)
    lost = Scores(
        first.labels,
        first.stream_counts,
        moments=GradientMoments(nowhere, moments.class_mean_norms),
    )
    assert policy.select(lost, 2, generator(0)).nonfinite == len(moments.norms)
    assert policy.state_dict()["average"].isnan().all()
    policy.select(first, 2, generator(0))
    before = policy.state_dict()["average"]
    policy.select(lost, 2, generator(0))
    assert torch.equal(policy.state_dict()["average"].nan_to_num(-1), before.nan_to_num(-1))


@pytest.mark.parametrize("sampling", ["systematic", "multinomial", "without_replacement"])
@pytest.mark.parametrize("class_importance", ["plugin", "bessel", "ema"])
def test_candidates_that_are_not_finite_are_as_if_they_were_not_there(
    class_importance: str, sampling: str
) -> None:
    for seed in range(5):
        whole = random_candidates(seed, size=30)
        broken = torch.rand(30, generator=generator(seed + 50)) < 0.3
        logits, embeddings = whole.logits.clone(), whole.embeddings.clone()
        logits[broken & (whole.labels % 2 == 0), 1] = torch.nan
        embeddings[broken & (whole.labels % 2 == 1), 0] = torch.inf
        damaged = Scores(whole.labels, whole.stream_counts, None, logits, embeddings)
        rest = [t[~broken] for t in (whole.labels, whole.logits, whole.embeddings)]
        without = Scores(rest[0], whole.stream_counts, None, *rest[1:])
        found, expected = (
            ClassifiedImportanceSampling(
                class_importance=class_importance, sampling=sampling, weighting="unbiased"
            ).select(candidates, 8, generator(seed))
            for candidates in (damaged, without)
        )
        places = (~broken).nonzero()[:, 0]
        assert found.nonfinite == int(broken.sum())
        assert torch.equal(found.indices, places[expected.indices])
        torch.testing.assert_close(found.weights, expected.weights)
        torch.testing.assert_close(found.probabilities, expected.probabilities)


def test_candidates_are_left_as_they_were() -> None:
    plain = random_candidates(1)
    candidates = Scores(  # float64: arrays could share memory
        plain.labels,
        plain.stream_counts.double(),
        logits=plain.logits.double(),
        embeddings=plain.embeddings.double(),
        moments=GradientMoments(torch.rand(24).double(), torch.rand(5).double()),
    )
    moments = candidates.moments
    known = [value for value in vars(candidates).values() if isinstance(value, Tensor)]
    known += [moments.norms, moments.class_mean_norms]
    before = [tensor.clone() for tensor in known]
    for gradient in ("last_layer", "logits", "full"):
        policy = ClassifiedImportanceSampling(gradient, "ema", "stream", "unbiased")
        policy.select(candidates, 6, generator(0))
        state = policy.state_dict()["average"]
        kept = state.clone()
        policy.select(candidates, 6, generator(1))
        torch.testing.assert_close(kept, state, equal_nan=True, rtol=0, atol=0)
    assert all(torch.equal(*pair) for pair in zip(known, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_logits_of_half_precision_and_with_a_gradient_are_taken(dtype: torch.dtype) -> None:
    plain = random_candidates(2)
    found, expected = (
        ClassifiedImportanceSampling().select(
            Scores(plain.labels, plain.stream_counts, None, *scores), 6, generator(0)
        )
        for scores in (
            [t.to(dtype).requires_grad_() for t in (plain.logits, plain.embeddings)],
            [t.to(dtype).double() for t in (plain.logits, plain.embeddings)],
        )
    )
    assert torch.equal(found.indices, expected.indices)
    torch.testing.assert_close(found.probabilities, expected.probabilities)


@pytest.mark.parametrize("sampling", ["systematic", "without_replacement"])
def test_no_warning_of_numpy_escapes(recwarn: pytest.WarningsRecorder, sampling: str) -> None:
    candidates = random_candidates(0)
    candidates.logits[:3] = torch.tensor([torch.nan, torch.inf, -torch.inf])[:, None]
    candidates.embeddings[4] = torch.inf
    policy = ClassifiedImportanceSampling(class_importance="ema", sampling=sampling)
    with np.errstate(all="warn"):
        selection = policy.select(candidates, 6, generator(0))
    assert selection.nonfinite == 4
    assert not recwarn.list
