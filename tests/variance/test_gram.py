"""Inner products of gradients, against gradients that are formed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.runs.build import build_network
from titan_repro.variance.gram import full_products, rows_of


def samples(config, size=5):
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, *config.task.input_shape, generator=draws)
    return inputs, torch.arange(size) % config.task.num_classes


def formed(network, inputs, labels):
    """Return the products of gradients, each of a backward pass of its own."""
    rows = []
    with scoring_mode(network, "running"):
        for x, y in zip(inputs, labels, strict=True):
            loss = F.cross_entropy(network(x[None]), y[None])
            parts = torch.autograd.grad(loss, list(network.parameters()))
            rows.append(torch.cat([part.flatten() for part in parts]).double())
    return (torch.stack(rows) @ torch.stack(rows).T).numpy()


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=small_cnn",),
        ("model=small_cnn", "model.norm=batch"),
        ("model=mlp", "task=dsads"),
    ],
)
@pytest.mark.parametrize("megabytes", [1000, 0.5])
def test_products_are_those_of_the_gradients(configure, overrides, megabytes):
    config = configure(*overrides)
    network = build_network(config).train()
    inputs, labels = samples(config)
    for _ in range(2):
        network(inputs)  # running statistics that are not those of the start
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = full_products(network, inputs, labels, megabytes)
    assert found == pytest.approx(formed(network, inputs, labels), rel=1e-4, abs=1e-5)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_linear_layer_that_is_used_twice_is_not_taken_for_one(configure):
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    torch.manual_seed(0)
    network, inputs, labels = Twice(), torch.randn(3, 4), torch.tensor([0, 1, 2])
    found = full_products(network, inputs, labels, 100)
    assert found == pytest.approx(formed(network, inputs, labels), rel=1e-5)


def test_rows_have_the_products():
    gradients = np.random.default_rng(0).normal(size=(6, 3))  # of rank three
    rows = rows_of(gradients @ gradients.T)
    assert rows @ rows.T == pytest.approx(gradients @ gradients.T)
