"""Gradients as trained: the mean of samples' without BatchNorm, something else with it."""

import pytest
import torch

from selection.builders import random_candidates
from titan_repro.runs.build import build_network
from titan_repro.variance.draws import DrawnBatch, ScoredRound, coefficients
from titan_repro.variance.errors import error_of
from titan_repro.variance.gram import full_products
from titan_repro.variance.trained import has_batch_norm, trained_errors


def a_round(config, size=12):
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, *config.task.input_shape, generator=draws)
    labels = torch.arange(size) % config.task.num_classes
    return ScoredRound(0, labels, inputs, random_candidates(0), None)


def batches():
    draws = torch.Generator().manual_seed(1)
    return [
        DrawnBatch(torch.randperm(12, generator=draws)[:4], torch.rand(4, generator=draws))
        for _ in range(5)
    ]


@pytest.mark.parametrize(("norm", "equal"), [("none", True), ("batch", False)])
def test_errors_as_trained(configure, norm, equal):
    config = configure("task=digits", "model=small_cnn", f"model.norm={norm}")
    network, seen = build_network(config), a_round(config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    (found,) = trained_errors(network, seen, [batches()])
    products = full_products(network, seen.inputs, seen.labels, 100)
    expected = error_of(coefficients(batches(), 12), products)
    for name in ("mean_squared", "variance", "squared_bias", "standard_error"):
        near = getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-3, abs=1e-4)
        assert near == equal, name
    assert has_batch_norm(network) == (not equal)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
