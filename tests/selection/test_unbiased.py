"""Policies that claim unbiasedness: the mean batch gradient is the full gradient."""

import pytest
import torch
from torch import Tensor

from selection.builders import generator, random_candidates
from titan_repro.selection.base import Policy, Scores
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.gradients import logit_gradients
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.stratified import StratifiedSampling
from titan_repro.selection.uniform import UniformSampling

DRAWS = 600
BATCH = 6
SAMPLINGS = ["systematic", "multinomial", "without_replacement"]


def explicit_gradients(candidates: Scores) -> Tensor:
    """Last-layer gradients, (N, C * (d + 1)) float64."""
    d = logit_gradients(candidates.logits, candidates.labels)
    inputs = torch.nn.functional.pad(candidates.embeddings.double(), (0, 1), value=1.0)
    return torch.einsum("nc,na->nca", d, inputs).flatten(1)


def full_gradient(candidates: Scores, class_mass: str) -> Tensor:
    """The candidates' mean gradient, or their class means weighted by the stream's shares."""
    gradients, labels = explicit_gradients(candidates), candidates.labels
    if class_mass == "candidates":
        return gradients.mean(dim=0)
    shares = candidates.stream_counts / candidates.stream_counts.sum().double()
    return sum(shares[y] * gradients[labels == y].mean(dim=0) for y in labels.unique().tolist())


def deviation(policy: Policy, candidates: Scores, target: Tensor) -> float:
    """Largest deviation of a coordinate's mean from `target`, in standard errors."""
    gradients, source = explicit_gradients(candidates), generator(0)
    batches = []
    for _ in range(DRAWS):
        selection = policy.select(candidates, BATCH, source)
        weights = selection.weights.double().unsqueeze(1)
        batches.append((weights * gradients[selection.indices]).mean(dim=0))
    means = torch.stack(batches).mean(dim=0)
    errors = torch.stack(batches).std(dim=0) / DRAWS**0.5
    return float(((means - target).abs() / (errors + 1e-6 * target.abs().max())).max())


@pytest.fixture(scope="module")
def candidates() -> Scores:
    labels = torch.tensor([0] * 14 + [1] * 4 + [2] * 5 + [3])  # one class single, one absent
    return random_candidates(4, labels=labels[torch.randperm(24, generator=generator(4))])


@pytest.mark.parametrize(
    "policy", [UniformSampling(), StratifiedSampling()], ids=["rs", "stratified"]
)
def test_policies_that_score_nothing(candidates: Scores, policy: Policy) -> None:
    assert deviation(policy, candidates, full_gradient(candidates, "candidates")) < 4


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_importance_sampling(candidates: Scores, sampling: str) -> None:
    policy = ImportanceSampling(sampling=sampling)
    assert deviation(policy, candidates, full_gradient(candidates, "candidates")) < 4


@pytest.mark.parametrize("class_importance", ["bessel", "ema"])
@pytest.mark.parametrize("class_mass", ["candidates", "stream"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_classified_importance_sampling(
    candidates: Scores, sampling: str, class_mass: str, class_importance: str
) -> None:
    policy = ClassifiedImportanceSampling(
        class_importance=class_importance,
        class_mass=class_mass,
        weighting="unbiased",
        sampling=sampling,
    )
    assert deviation(policy, candidates, full_gradient(candidates, class_mass)) < 4


@pytest.mark.parametrize(
    "policy",
    [ImportanceSampling(weighting="none"), ClassifiedImportanceSampling(weighting="none")],
    ids=["is", "cis"],
)
def test_plain_averages_are_seen_to_be_biased(candidates: Scores, policy: Policy) -> None:
    """The test has the power to tell."""
    assert deviation(policy, candidates, full_gradient(candidates, "candidates")) > 8


def test_stream_and_candidates_are_different_targets(candidates: Scores) -> None:
    policy = ClassifiedImportanceSampling(weighting="unbiased", class_mass="stream")
    assert deviation(policy, candidates, full_gradient(candidates, "candidates")) > 8
