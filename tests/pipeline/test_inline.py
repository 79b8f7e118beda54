"""The executor against the round as DESIGN states it, written out by hand."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from titan_repro.pipeline.inline import first_batch
from titan_repro.seeds import generator

SELECTORS = ["rs", "is", "ll", "hl", "ce", "ocs", "camel", "cis", "titan", "titan_literal"]


def weights(executor):
    return {name: value.clone() for name, value in executor.network.state_dict().items()}


def assert_same(first, second):
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_selector_trains_batches_out_of_its_round(build, selector):
    executor = build(f"selector={selector}")
    streamed = []
    for t in range(4):
        streamed.append(set(executor.stream.round(t).indices.tolist()))
        result = executor.run(t)
        source = streamed[max(t - executor.delay, 0)]
        assert len(result.indices) == 10
        assert set(result.indices) <= source
        labels = executor.stream.task.train.labels[result.indices]
        assert result.labels == labels.tolist()
        assert math.isfinite(result.loss)
        assert result.candidates == (30 if executor.selector.filter else 100)


def test_delay_0_trains_what_it_chose_in_the_same_round(build):
    executor = build("selector=cis")
    for t in range(3):
        by_hand = copy.deepcopy(executor)
        selector, stream = by_hand.selector, by_hand.stream
        arrivals = stream.round(t)
        admitted = selector.admit(by_hand.network, stream, arrivals, generator(0, "filter", t))
        candidates = selector.score(by_hand.network, admitted)
        batch, _ = selector.select(admitted, candidates, 10, generator(0, "selection", t))
        by_hand.network.train()
        logits = by_hand.network(stream.inputs(batch.arrivals))
        loss = F.cross_entropy(logits, batch.arrivals.labels)
        rate = 0.05  # small_cnn.yaml
        parameters = list(by_hand.network.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(rate * gradient)
        result = executor.run(t)
        assert result.indices == batch.arrivals.indices.tolist()
        for mine, its in zip(parameters, executor.network.parameters(), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-7)


def test_delay_1_trains_the_choice_of_the_round_before_made_with_the_weights_before(build):
    executor = build("selector=titan")
    waiting = None
    for t in range(4):
        before = copy.deepcopy(executor)
        arrivals = before.stream.round(t)
        admitted = before.selector.admit(
            before.network, before.stream, arrivals, generator(0, "filter", t)
        )
        candidates = before.selector.score(before.network, admitted)
        chosen, _ = before.selector.select(admitted, candidates, 10, generator(0, "selection", t))
        expected = waiting if waiting is not None else first_batch(arrivals, 10, 0)
        result = executor.run(t)
        assert result.indices == expected.arrivals.indices.tolist()
        assert result.weights == expected.weights.tolist()
        waiting = chosen


def test_first_batch_is_drawn_without_replacement_with_probability_batch_over_velocity(build):
    arrivals = build("selector=titan").stream.round(0)
    batch = first_batch(arrivals, 10, seed=3)
    assert len(set(batch.arrivals.indices.tolist())) == 10
    assert batch.probabilities.tolist() == pytest.approx([0.1] * 10)


@pytest.mark.parametrize("selector", ["rs", "cis", "titan"])
@pytest.mark.parametrize("extra", ["model.norm=none", "model.norm=batch", "class_importance=ema"])
def test_a_run_continued_from_its_state_ends_on_the_same_bits(build, selector, extra):
    straight = build(f"selector={selector}", extra)
    for t in range(6):
        straight.run(t)
    first = build(f"selector={selector}", extra)
    for t in range(3):
        first.run(t)
    state = copy.deepcopy(first.state_dict())
    second = build(f"selector={selector}", extra)
    second.load_state_dict(state)
    for t in range(3, 6):
        second.run(t)
    assert_same(weights(straight), weights(second))


def test_selection_leaves_weights_and_batchnorm_statistics_alone(build):
    executor = build("selector=titan", "model.norm=batch", "scoring_norm=batch")
    executor.run(0)
    before = weights(executor)
    arrivals = executor.stream.round(1)
    admitted = executor.selector.admit(
        executor.network, executor.stream, arrivals, generator(0, "filter", 1)
    )
    executor.selector.score(executor.network, admitted)
    assert_same(before, weights(executor))


def test_changing_the_selector_leaves_stream_and_initial_weights_alone(build):
    random, titan = build("selector=rs"), build("selector=titan")
    assert_same(weights(random), weights(titan))
    for t in (0, 5):
        assert torch.equal(random.stream.round(t).indices, titan.stream.round(t).indices)


def test_work_counts_say_what_each_stage_touched(build):
    assert build("selector=rs").run(0).work.samples == {
        "streamed": 100,
        "filtered": 0,
        "scored": 0,
        "trained": 10,
    }
    assert build("selector=titan").run(0).work.samples == {
        "streamed": 100,
        "filtered": 100,
        "scored": 30,
        "trained": 10,
    }
