"""Memory of a round against sums by hand."""

import pytest
import torch
from torch import nn

from titan_repro.boards.memory import (
    peak_bytes,
    round_memory,
    scoring_activations,
    state_bytes,
    training_activations,
)
from titan_repro.boards.round_work import RoundCounter, RoundSize
from titan_repro.models.base import BlockNetwork
from titan_repro.models.mlp import mlp
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.uniform import UniformSampling

FLOAT, DOUBLE, LABEL = 4, 8, 8


def vector(length=1000, **options):
    return torch.empty(length, device="meta", **options)


def test_of_a_chain_two_links_live_at_a_time():
    x = vector()
    assert peak_bytes(lambda: x.relu().sigmoid().tanh()) == 2 * 4000


def test_a_backward_pass_to_come_keeps_all_of_them():
    x = vector(requires_grad=True)
    assert peak_bytes(lambda: x.sigmoid().sigmoid().sigmoid()) == 3 * 4000


def test_views_and_operations_in_place_take_nothing():
    x = vector()
    assert peak_bytes(lambda: x.relu().view(10, 100).t().unsqueeze(0)) == 4000
    assert peak_bytes(lambda: x.relu().relu_().add_(1)) == 4000
    assert peak_bytes(lambda: x.view(10, 100)) == 0


def test_the_peak_may_lie_in_the_middle():
    x = vector(1000)

    def hourglass():
        wide = x.expand(50, 1000).contiguous()
        narrow = wide.sum(0)
        del wide
        return narrow.relu()

    assert peak_bytes(hourglass) == 50 * 4000 + 4000


def perceptron():
    return mlp((900,), 5, widths=(200, 100)).to("meta")


def test_activations_of_a_perceptron():
    network = perceptron()
    # Training keeps what each ReLU gives and, until it has, what it takes; in the end the logits.
    kept = 200 + 100 + 5
    assert training_activations(network, (900,), 10) >= 10 * FLOAT * kept
    assert training_activations(network, (900,), 10) <= 10 * FLOAT * (kept + 200 + 100)
    assert scoring_activations(network, (900,), 10) == 10 * FLOAT * 2 * 200
    assert scoring_activations(network, (900,), 0) == 0


def test_memory_of_random_selection_and_of_titan():
    network = perceptron()
    coarse = CoarseFilter(30, "rep_plus_div", "per_class_proportional", 1.0, num_classes=5)
    policy = ClassifiedImportanceSampling()
    titan = RoundCounter(network, coarse, policy, input_shape=(900,))
    rs = RoundCounter(network, None, UniformSampling(), input_shape=(900,))
    sizes = {"filter_at_once": 1, "score_at_once": 1}
    plain = round_memory(rs, RoundSize(0, 0, 100, 10), separate=False, **sizes)
    ours = round_memory(titan, RoundSize(100, 30, 30, 10), separate=True, **sizes)
    parameters = FLOAT * (900 * 200 + 200 + 200 * 100 + 100 + 100 * 5 + 5)
    assert plain.parameters == plain.gradients == parameters
    assert plain.filter == plain.scoring == plain.copies == 0
    assert plain.total == 2 * parameters + plain.activations
    assert ours.filter == FLOAT * 5 * (200 + 2) + FLOAT * 200
    here = round_memory(titan, RoundSize(100, 30, 30, 10), separate=True, sums=DOUBLE, **sizes)
    assert here.filter == DOUBLE * 5 * (200 + 2) + FLOAT * 200
    candidates, one_forward = 30 * (900 * FLOAT + LABEL), FLOAT * (900 + 2 * 200)
    assert ours.scoring == candidates + one_forward
    assert ours.copies == parameters + 10 * (900 * FLOAT + LABEL)
    assert ours.activations == plain.activations


def test_an_adaptive_filter_keeps_all_samples_as_any_may_become_a_candidate():
    def scoring(budget, size):
        rounds = RoundCounter(
            perceptron(),
            CoarseFilter(budget, "rep", "global", 1.0, num_classes=5),
            ClassifiedImportanceSampling(),
            input_shape=(900,),
        )
        memory = round_memory(rounds, size, filter_at_once=1, score_at_once=1, separate=True)
        return memory.scoring

    size, sample = RoundSize(100, 30, 30, 10), 900 * FLOAT + LABEL
    assert scoring("adaptive", size) - scoring(30, size) == 70 * sample
    assert scoring("adaptive", RoundSize(0, 0, 0, 10)) == 0


def test_weights_shared_in_place_are_not_copied():
    rounds = RoundCounter(
        perceptron(),
        CoarseFilter(30, "rep", "global", 1.0, num_classes=5),
        ClassifiedImportanceSampling(),
        input_shape=(900,),
    )
    size = RoundSize(100, 30, 30, 10)
    shared = round_memory(rounds, size, filter_at_once=1, score_at_once=None, separate=False)
    assert shared.copies == 0
    single = round_memory(rounds, size, filter_at_once=1, score_at_once=1, separate=False)
    assert shared.scoring > single.scoring


@pytest.mark.parametrize("samples", [1, 7])
def test_batchnorm_statistics_belong_to_the_state(samples):
    blocks = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)))
    neck = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = BlockNetwork(blocks, neck, nn.Linear(4, 2)).to("meta")
    assert state_bytes(network) == FLOAT * (4 * 27 + 4 * 4 + 4 * 2 + 2) + 8
    assert training_activations(network, (3, 8, 8), samples) >= 2 * samples * 4 * 36 * FLOAT
