"""Work by formula against hand counts. Every floating-point count is 2 a multiply-add."""

import pytest
from torch import nn

from titan_repro.boards.layers import Kind, walk
from titan_repro.boards.work import (
    NO_WORK,
    backward_work,
    forward_work,
    product,
    update_work,
    vectors,
)
from titan_repro.models.base import BlockNetwork

FLOAT = 4
SHAPE = (3, 16, 16)


@pytest.fixture(scope="module")
def layers():
    blocks = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    )
    neck = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return walk(BlockNetwork(blocks, neck, nn.Linear(8, 2)), SHAPE)


IMAGE, MAPS, CONVOLUTION = 3 * 256, 8 * 256, 256 * 8 * 27


def test_a_forward_pass(layers):
    work = forward_work(layers, 5)
    assert work.flops == 2 * 5 * (CONVOLUTION + 16)
    assert work.launches == 5
    convolution, norm, relu, pool, linear = (one.bytes for one in work.operations)
    assert convolution == FLOAT * (5 * (IMAGE + MAPS) + 8 * 27)
    assert norm == FLOAT * (5 * 2 * MAPS + 16)
    assert relu == FLOAT * 5 * 2 * MAPS
    assert pool == FLOAT * 5 * (MAPS + 8)
    assert linear == FLOAT * (5 * 10 + 18)


def test_training_reads_a_batch_once_more_to_normalise_it(layers):
    more = forward_work(layers, 5, training=True).bytes - forward_work(layers, 5).bytes
    assert more == FLOAT * 5 * MAPS


def test_a_backward_pass_is_two_forward_passes_less_the_first_layers_input(layers):
    work = backward_work(layers, 5)
    assert work.flops == 2 * 5 * (CONVOLUTION + 2 * 16)
    assert all(one.backward for one in work.operations)
    assert work.operations[0].kind is Kind.LINEAR  # the last layer comes first
    linear, pool, relu, norm, convolution = (one.bytes for one in work.operations)
    assert linear == 2 * FLOAT * (5 * 10 + 18)
    assert pool == FLOAT * 5 * (2 * 8 + MAPS)
    assert relu == FLOAT * 5 * 3 * MAPS
    assert norm == FLOAT * (5 * 5 * MAPS + 16)
    assert convolution == FLOAT * (5 * (IMAGE + MAPS) + 8 * 27)


def test_weights_are_read_once_for_all_samples(layers):
    one, ten = forward_work(layers, 1), forward_work(layers, 10)
    weights = FLOAT * sum(layer.weights for layer in layers)
    assert ten.flops == 10 * one.flops
    assert ten.launches == one.launches
    assert ten.bytes == 10 * (one.bytes - weights) + weights


def test_an_update_reads_two_numbers_a_weight_and_writes_one():
    work = update_work(parameters=100, tensors=4)
    assert (work.flops, work.bytes, work.launches) == (0, FLOAT * 300, 4)


def test_vectors_and_products():
    assert (vectors(10, 2).bytes, vectors(10, 2).launches) == (40, 2)
    assert product(2, 3, 4).flops == 48
    assert product(2, 3, 4).bytes == FLOAT * (6 + 12 + 8)
    assert product(2, 3, 4).multiply_adds == 24


def test_sums_and_multiples():
    one = product(2, 3, 4)
    assert (one + one).flops == (one * 2).flops == 96
    assert (one * 3 * 2).launches == 6
    assert NO_WORK + one == one
    assert NO_WORK.bytes == NO_WORK.flops == NO_WORK.launches == 0
