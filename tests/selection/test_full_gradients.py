"""Gradients over all parameters leave the model as it was."""

import torch
from torch import Tensor, nn

from selection.builders import generator
from selection.test_gradients import CLASSES, scoring_network
from titan_repro.seeds import global_generator
from titan_repro.selection.full_gradients import full_gradient_moments


def samples(size: int = 6) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(size, 2, 5, 5, generator=generator(1))
    return inputs, torch.arange(size) % CLASSES


def test_model_and_its_gradients_are_untouched() -> None:
    network = scoring_network(0)
    network(torch.ones(1, 2, 5, 5)).sum().backward()
    grads = [p.grad.clone() for p in network.parameters()]
    state = {name: t.clone() for name, t in network.state_dict().items()}
    full_gradient_moments(network, *samples(), CLASSES)
    assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), grads, strict=True))
    assert all(torch.equal(t, state[name]) for name, t in network.state_dict().items())
    assert not network.training


def test_same_result_when_gradients_are_switched_off() -> None:
    network = scoring_network(0)
    expected = full_gradient_moments(network, *samples(), CLASSES)
    with torch.no_grad():
        found = full_gradient_moments(network, *samples(), CLASSES)
    assert torch.equal(found.norms, expected.norms)
    assert torch.equal(found.class_mean_norms, expected.class_mean_norms)


def test_nonfinite_samples_are_left_out_of_class_means() -> None:
    network = scoring_network(0)
    inputs, _ = samples()
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    broken = inputs.clone()
    broken[1] = torch.nan
    broken[5] = torch.inf
    keep = torch.tensor([0, 2, 3, 4])
    found = full_gradient_moments(network, broken, labels, CLASSES)
    expected = full_gradient_moments(network, inputs[keep], labels[keep], CLASSES)
    assert not found.norms[[1, 5]].isfinite().any()
    assert torch.equal(found.class_mean_norms, expected.class_mean_norms)


def test_parameters_without_influence_or_gradient_count_for_nothing() -> None:
    with global_generator(0, "network"):
        plain = nn.Sequential(nn.Flatten(), nn.Linear(50, CLASSES))
        frozen = nn.Linear(50, 50).requires_grad_(False)
    expected = full_gradient_moments(plain, *samples(), CLASSES)
    plain.unused = nn.Parameter(torch.ones(3))
    plain[1].register_module("frozen", frozen)
    found = full_gradient_moments(plain, *samples(), CLASSES)
    assert torch.equal(found.norms, expected.norms)
    assert torch.equal(found.class_mean_norms, expected.class_mean_norms)
