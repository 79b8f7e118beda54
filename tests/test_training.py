"""The weighted step against autograd by hand; schedule; evaluation."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from titan_repro.tasks.base import Split, Task
from titan_repro.training import EVALUATION_BATCH, Schedule, Trainer, evaluate, fixed_subset


def linear_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 3)


def vector_task(samples: int) -> Task:
    torch.manual_seed(1)
    split = Split(torch.randn(samples, 5), torch.randint(0, 3, (samples,)))
    return Task("toy", "made", ("a", "b", "c"), split, split, torch.zeros(5), torch.ones(5), "f")


def test_schedule_multiplies_once_every_hundred_rounds():
    rate = Schedule(0.1, 0.95, 100)
    assert rate(0) == rate(99) == 0.1
    assert rate(100) == 0.1 * 0.95
    assert rate(9_999) == pytest.approx(0.1 * 0.95**99, rel=1e-12)


def test_step_is_sgd_on_the_weighted_mean_loss():
    network = linear_network()
    inputs, labels = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
    weights = torch.tensor([0.5, 2.0, 1.0, 0.0])
    probabilities = network(inputs).softmax(1).detach()
    d = probabilities - F.one_hot(labels, 3)
    expected = network.weight.detach() - 0.3 * (weights[:, None] * d).T @ inputs / 4
    losses = F.cross_entropy(network(inputs), labels, reduction="none").detach()

    loss = Trainer(network, Schedule(0.3, 1.0, 1)).step(inputs, labels, weights, t=0)

    torch.testing.assert_close(network.weight.detach(), expected)
    torch.testing.assert_close(loss, (weights * losses).mean())


def test_step_uses_the_rounds_learning_rate():
    inputs, labels, weights = torch.randn(2, 5), torch.tensor([0, 1]), torch.ones(2)
    early, late = linear_network(), linear_network()
    start = early.weight.detach().clone()
    Trainer(early, Schedule(0.1, 0.5, 10)).step(inputs, labels, weights, t=9)
    Trainer(late, Schedule(0.1, 0.5, 10)).step(inputs, labels, weights, t=10)
    torch.testing.assert_close(late.weight - start, (early.weight - start) / 2)


def test_evaluation_counts_every_sample_once_and_leaves_the_network_in_its_mode():
    task = vector_task(2 * EVALUATION_BATCH + 7)
    network = nn.Sequential(linear_network(), nn.BatchNorm1d(3))
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measured = evaluate(network, task.test, task.normalise)
    network.eval()
    logits = network(task.test.inputs)
    assert measured.samples == len(task.test)
    correct = int((logits.argmax(1) == task.test.labels).sum())
    assert measured.accuracy == correct / len(task.test)
    assert math.isclose(
        measured.loss, F.cross_entropy(logits, task.test.labels).item(), rel_tol=1e-5
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_fixed_subset_is_the_same_every_time_and_never_larger_than_the_test_set():
    task = vector_task(100)
    first, second = fixed_subset(task, 30), fixed_subset(task, 30)
    assert len(first) == 30
    assert torch.equal(first.inputs, second.inputs)
    assert fixed_subset(task, 1000) is task.test
