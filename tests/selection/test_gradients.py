"""The closed forms against torch.func's per-sample gradients."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from selection.builders import generator, grid_candidates, random_candidates
from titan_repro.errors import ConfigurationError
from titan_repro.seeds import global_generator
from titan_repro.selection.base import Needs, Scores
from titan_repro.selection.full_gradients import full_gradient_moments
from titan_repro.selection.gradients import (
    gradient_norms,
    logit_gradients,
    needs_of,
    norms_and_class_means,
)

CLASSES = 5


class Network(nn.Module):
    """A small convolutional network with BatchNorm, cut before its last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 7)
        )
        self.classifier = nn.Linear(7, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(torch.tanh(self.body(inputs)))


def scoring_network(seed: int) -> Network:
    with global_generator(seed, "network"):
        network = Network()
    network(torch.randn(32, 2, 5, 5, generator=generator(seed)))  # running statistics to use
    return network.eval()


def per_sample_gradients(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """All per-sample gradients by torch.func, (N, P) float64."""
    double = {name: p.detach().double() for name, p in model.named_parameters()}
    buffers = {
        name: b.double() if b.is_floating_point() else b for name, b in model.named_buffers()
    }

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, (parameters, buffers), (x.unsqueeze(0),))
        return F.cross_entropy(logits, y.unsqueeze(0))

    compute = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    gradients = compute(double, inputs.double(), labels)
    return torch.cat([g.flatten(1) for g in gradients.values()], dim=1)


def norms_of_class_means(gradients: Tensor, labels: Tensor) -> Tensor:
    """Class by class, from the definition; 0 for absent classes."""
    own = [gradients[labels == y] for y in range(CLASSES)]
    return torch.stack([g.sum(dim=0).norm() / max(len(g), 1) for g in own])


def candidates_and_gradients(gradient: str, seed: int) -> tuple[Scores, Tensor]:
    """One random model's candidates, and torch.func's gradients of them."""
    network = scoring_network(seed)
    inputs = torch.randn(20, 2, 5, 5, generator=generator(seed + 100))
    labels = torch.tensor([0] * 10 + [1] * 6 + [2] * 3 + [4])  # class 3 absent, class 4 single
    if gradient == "full":
        gradients = per_sample_gradients(network, inputs, labels)
        moments = full_gradient_moments(network, inputs, labels, CLASSES)
        return Scores(labels, torch.zeros(CLASSES), moments=moments), gradients
    embeddings = torch.tanh(network.body(inputs)).detach()
    logits = network.classifier(embeddings).detach()
    if gradient == "last_layer":
        gradients = per_sample_gradients(network.classifier, embeddings, labels)
    else:
        loss = torch.func.grad(lambda z, y: F.cross_entropy(z.unsqueeze(0), y.unsqueeze(0)))
        gradients = torch.func.vmap(loss)(logits.double(), labels)
    counts = torch.bincount(labels, minlength=CLASSES)
    candidates = Scores(labels, counts, logits=logits, embeddings=embeddings)
    return candidates, gradients


@pytest.mark.parametrize("gradient", ["last_layer", "logits", "full"])
@pytest.mark.parametrize("seed", range(3))
def test_norms_and_class_means_equal_those_of_per_sample_gradients(
    gradient: str, seed: int
) -> None:
    candidates, gradients = candidates_and_gradients(gradient, seed)
    found = norms_and_class_means(candidates, gradient)
    expected = gradients.norm(dim=1), norms_of_class_means(gradients, candidates.labels)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=1e-5, atol=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(grid_candidates())
def test_norms_alone_are_the_norms_of_the_moments(case: tuple[Scores, int]) -> None:
    candidates, _ = case
    for gradient in ("last_layer", "logits"):
        norms = gradient_norms(candidates, gradient)
        np.testing.assert_allclose(norms, norms_and_class_means(candidates, gradient)[0], 1e-7)


def test_gradient_of_a_nearly_certain_sample_keeps_its_digits() -> None:
    logits = torch.tensor([[40.0, 0.0, 0.0]])
    d = logit_gradients(logits, torch.tensor([0]))
    small = torch.tensor(-40.0, dtype=torch.float64).exp()
    torch.testing.assert_close(
        d, torch.stack([-2 * small, small, small]).unsqueeze(0), rtol=1e-12, atol=0
    )


def test_nonfinite_candidates_are_left_out_of_class_means() -> None:
    candidates = random_candidates(3)
    broken = candidates.logits.clone()
    broken[0, 0] = torch.nan
    embeddings = candidates.embeddings.clone()
    embeddings[5, 1] = torch.inf
    damaged = Scores(
        candidates.labels, candidates.stream_counts, logits=broken, embeddings=embeddings
    )
    keep = torch.tensor([i for i in range(len(candidates)) if i not in (0, 5)])
    whole = Scores(
        candidates.labels[keep],
        candidates.stream_counts,
        logits=candidates.logits[keep],
        embeddings=candidates.embeddings[keep],
    )
    (norms, means), expected = (norms_and_class_means(c, "last_layer") for c in (damaged, whole))
    assert not np.isfinite(norms[[0, 5]]).any()
    np.testing.assert_allclose(norms[keep.numpy()], expected[0])
    np.testing.assert_allclose(means, expected[1])


def test_needs_follow_the_gradient() -> None:
    assert needs_of("last_layer") is Needs.EMBEDDINGS
    assert needs_of("logits") is Needs.LOGITS
    assert needs_of("full") is Needs.FULL_GRADIENTS
    with pytest.raises(ConfigurationError, match="gradient: found 'all'; allowed: last_layer,"):
        needs_of("all")


@pytest.mark.parametrize("gradient", ["last_layer", "logits", "full"])
def test_missing_scores_are_named(gradient: str) -> None:
    labels = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match="missing"):
        norms_and_class_means(Scores(labels, torch.tensor([3])), gradient)
