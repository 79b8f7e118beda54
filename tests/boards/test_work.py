"""Counted work against hand counts. Every floating-point count is 2 a multiply-add."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from titan_repro.boards.work import (
    Work,
    count,
    meta_copy,
    scoring_work,
    shallow_work,
    training_work,
)
from titan_repro.models.base import BlockNetwork
from titan_repro.models.mlp import mlp
from titan_repro.models.mobilenet import mobilenet
from titan_repro.models.small_cnn import small_cnn

FLOAT = 4


def test_one_linear_layer():
    layer = nn.Linear(20, 5, device="meta")
    inputs = torch.empty(3, 20, device="meta")
    work = count(lambda: layer(inputs))
    assert work.flops == 2 * 3 * 20 * 5
    assert work.multiply_adds == 3 * 20 * 5
    assert work.bytes == FLOAT * (3 * 20 + 20 * 5 + 5 + 3 * 5)
    assert work.launches == 1  # the transposed view of the weight is none


def test_one_convolution():
    layer = nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False, device="meta")
    inputs = torch.empty(4, 3, 16, 16, device="meta")
    work = count(lambda: layer(inputs))
    assert work.flops == 2 * 4 * (8 * 8) * 8 * (3 * 5 * 5)
    assert work.bytes == FLOAT * (4 * 3 * 256 + 8 * 3 * 25 + 4 * 8 * 64)
    assert work.launches == 1


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_both_gradients_of_a_convolution_cost_one_forward_pass_each(groups):
    layer = nn.Conv2d(8, 16, 3, padding=1, groups=groups, bias=False, device="meta")
    inputs = torch.empty(2, 8, 10, 10, device="meta", requires_grad=True)
    forward = 2 * 2 * 100 * 16 * (8 // groups) * 9
    assert count(lambda: layer(inputs)).flops == forward
    assert count(lambda: layer(inputs).sum().backward()).flops == 3 * forward


def test_gradients_of_a_transposed_convolution():
    layer = nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False, device="meta")
    inputs = torch.empty(1, 4, 5, 5, device="meta", requires_grad=True)
    forward = 2 * 25 * 4 * 6 * 4
    assert count(lambda: layer(inputs)).flops == forward
    assert count(lambda: layer(inputs).sum().backward()).flops == 3 * forward


def test_without_an_input_gradient_only_the_weight_gradient_is_counted():
    layer = nn.Conv2d(3, 4, 3, bias=False, device="meta")
    inputs = torch.empty(1, 3, 6, 6, device="meta")
    forward = count(lambda: layer(inputs)).flops
    assert count(lambda: layer(inputs).sum().backward()).flops == 2 * forward


def test_views_move_nothing_and_copies_do():
    matrix = torch.empty(10, 20, device="meta")
    assert count(lambda: matrix.t().reshape(4, 50)[1:].unsqueeze(0)).launches == 1  # the reshape
    assert count(lambda: matrix.view(200)[3:].expand(2, -1).detach()) == Work()
    assert count(lambda: torch.empty_like(matrix)) == Work()
    assert count(lambda: matrix.clone()).bytes == 2 * FLOAT * 200
    assert count(lambda: matrix.relu_()).bytes == 2 * FLOAT * 200
    assert count(lambda: F.relu(matrix.expand(3, 10, 20))).bytes == FLOAT * (200 + 3 * 200)


def test_mobilenet_has_46_million_multiply_adds_at_32_by_32():
    network = meta_copy(mobilenet((3, 32, 32), 10))
    by_hand = 32 * 32 * 32 * 27  # the stem; then 13 separable convolutions; then the last layer
    side, width = 32, 32
    for outputs, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]:
        by_hand, side, width = separable(by_hand, side, width, outputs, stride)
    for outputs, stride in [*[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        by_hand, side, width = separable(by_hand, side, width, outputs, stride)
    by_hand += 1024 * 10
    counted = scoring_work(network, (3, 32, 32), 1).multiply_adds
    assert counted == by_hand
    assert counted == pytest.approx(46e6, rel=0.02)


def separable(total: int, side: int, width: int, outputs: int, stride: int):
    side //= stride
    return total + side * side * width * (9 + outputs), side, outputs


def test_a_training_step_of_mobilenet_is_three_forward_passes_less_one_input_gradient():
    network = meta_copy(mobilenet((3, 32, 32), 10))
    step = training_work(network, (3, 32, 32), 10)
    stem = shallow_work(network, (3, 32, 32), 1, 10).flops
    assert step.flops == scoring_work(network, (3, 32, 32), 10).flops
    assert step.backward_flops == 2 * step.flops - stem


def test_a_training_step_of_a_perceptron_by_hand():
    network = mlp((6,), 3, widths=(4,))
    step = training_work(network, (6,), 5)
    assert step.flops == 2 * 5 * (6 * 4 + 4 * 3)
    assert step.backward_flops == 2 * 5 * (6 * 4 + 2 * 4 * 3)
    parameters = 6 * 4 + 4 + 4 * 3 + 3
    assert step.bytes > 3 * FLOAT * parameters  # the update alone reads two and writes one


def test_work_grows_with_samples_but_weights_are_read_once():
    network = meta_copy(small_cnn((1, 8, 8), 10))
    one, ten = (scoring_work(network, (1, 8, 8), n) for n in (1, 10))
    weights = FLOAT * sum(p.numel() for p in network.parameters())
    assert ten.flops == 10 * one.flops
    assert ten.launches == one.launches
    assert ten.bytes == pytest.approx(10 * (one.bytes - weights) + weights)


def test_batch_statistics_are_counted_as_they_are_used():
    network = meta_copy(mobilenet((3, 32, 32), 10))
    running = scoring_work(network, (3, 32, 32), 4, "running")
    batch = scoring_work(network, (3, 32, 32), 4, "batch")
    assert batch.flops == running.flops
    assert batch != running


def test_counting_leaves_the_network_alone():
    network = small_cnn((1, 8, 8), 10)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval()
    training_work(network, (1, 8, 8), 4)
    scoring_work(network, (1, 8, 8), 4)
    assert not network.training
    assert all(p.grad is None and p.device.type == "cpu" for p in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_optimiser_steps_launch_a_kernel_a_tensor():
    network = BlockNetwork(nn.Sequential(nn.Identity()), nn.Flatten(), nn.Linear(4, 2))
    with_bias = training_work(network, (4,), 3).launches
    bare = BlockNetwork(nn.Sequential(nn.Identity()), nn.Flatten(), nn.Linear(4, 2, bias=False))
    # the sum that is the bias's gradient, and its update
    assert with_bias - training_work(bare, (4,), 3).launches == 2


def test_sums_and_multiples():
    one = Work(1.0, 2.0, 3.0, 4.0)
    assert one + one == one * 2 == Work(2.0, 4.0, 6.0, 8.0)
    assert one.multiply_adds == 1.5
