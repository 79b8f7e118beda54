"""The executor against the round as DESIGN states it, written out by hand."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.pipeline.budget import Measured
from titan_repro.pipeline.inline import first_batch
from titan_repro.seeds import generator

SELECTORS = [
    "rs",
    "stratified",
    "is",
    "ll",
    "hl",
    "ce",
    "ocs",
    "camel",
    "cis",
    "titan",
    "titan_literal",
    "titan_random",
    "titan_equal",
    "camel_equal",
    "grad_topk",
    "el2n",
    "rho_loss",
    "uds",
    "divbs",
    "craig",
    "gradmatch",
    "kcenter",
    "rs2",
    "ours",
]


def weights(executor):
    return {name: value.clone() for name, value in executor.network.state_dict().items()}


TRAINED = [f"trained_{of}" for of in ("indices", "labels", "weights", "probabilities", "noisy")]


def samples_touched(record):
    """Return how many samples were streamed, filtered, scored and trained."""
    return (
        record.samples_streamed,
        record.samples_filtered,
        record.samples_scored,
        record.samples_trained,
    )


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
        assert len(result.trained_indices) == 10
        assert set(result.trained_indices) <= source
        labels = executor.stream.task.train.labels[result.trained_indices]
        assert result.trained_labels == labels.tolist()
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
        assert result.trained_indices == batch.arrivals.indices.tolist()
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
        assert result.trained_indices == expected.arrivals.indices.tolist()
        assert result.trained_weights == expected.weights.tolist()
        waiting = chosen


def test_first_batch_is_drawn_without_replacement_with_probability_batch_over_velocity(build):
    arrivals = build("selector=titan").stream.round(0)
    batch = first_batch(arrivals, 10, seed=3)
    assert len(set(batch.arrivals.indices.tolist())) == 10
    assert batch.probabilities.tolist() == pytest.approx([0.1] * 10)


@pytest.mark.parametrize("selector", ["rs", "cis", "titan", "rho_loss", "uds", "rs2", "ours"])
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
    assert samples_touched(build("selector=rs").run(0)) == (100, 0, 0, 10)
    assert samples_touched(build("selector=titan").run(0)) == (100, 100, 30, 10)


ADAPTIVE = ("filter.budget=adaptive", "device=jetson_nano", "device.modelled.filter_at_once=null")


def test_candidates_are_the_first_of_the_priority_order(build):
    executor = build(*ADAPTIVE, "device.modelled.processors.cpu.launch_us=1000")
    before = copy.deepcopy(executor)
    number = executor.budget.candidates(0)
    assert 10 < number < 100
    arrivals = before.stream.round(0)
    features = before.network.features(before.stream.inputs(arrivals), 1)
    order = before.selector.filter.admit(features, arrivals.labels, generator(0, "filter", 0))
    result = executor.run(0)
    assert result.candidates == number
    assert samples_touched(result) == (100, 100, number, 10)
    chosen = set(executor.in_flight.arrivals.indices.tolist())
    assert chosen <= set(arrivals.indices[order.positions[:number]].tolist())


def test_without_idle_time_titan_is_random_selection(build):
    busy = build(*ADAPTIVE, "idle=constant", "idle.share=0")
    random = build("selector=rs", "delay=1")
    statistics = busy.selector.filter.state_dict()
    for t in range(4):
        mine, its = busy.run(t), random.run(t)
        for fact in ("loss", *TRAINED):
            assert getattr(mine, fact) == getattr(its, fact)
        assert mine.trained_weights == [1.0] * 10
        assert mine.trained_probabilities == pytest.approx([0.1] * 10)
        assert (mine.candidates, mine.nonfinite) == (0, 0)
        assert samples_touched(mine) == (100, 0, 0, 10)
        assert mine.seconds_filter == mine.seconds_score == 0
    assert_same(weights(busy), weights(random))
    assert_same(statistics, busy.selector.filter.state_dict())


def test_a_round_without_idle_time_between_others_is_drawn_at_random(build):
    wave = ("idle=square_wave", "idle.low=0", "idle.period_seconds=0.5")
    executor = build(*ADAPTIVE, *wave, "device.modelled.processors.cpu.launch_us=1000")
    random = build("selector=rs")
    numbers = [executor.budget.candidates(t) for t in range(20)]
    assert 0 in numbers
    assert max(numbers) > 10
    results = [executor.run(t) for t in range(20)]
    assert [result.candidates for result in results] == numbers
    for t in range(19):
        if numbers[t] == 0:
            assert results[t + 1].trained_indices == random.run(t).trained_indices


def test_one_process_cannot_measure_how_long_it_trains_beside_itself(build):
    executor = build("selector=titan")
    with pytest.raises(ValueError, match="one process cannot select until training is done"):
        type(executor)(
            executor.network,
            executor.selector,
            executor.stream,
            executor.trainer,
            batch_size=10,
            delay=1,
            seed=0,
            budget=Measured(),
        )


@pytest.mark.parametrize(
    ("overrides", "passed"),
    [
        (["selector=titan"], 1),
        (["selector=titan", "filter.blocks=2"], 2),
        (["selector=titan", "gradient=logits", "filter.pooling=average"], 1),
        (["selector=titan", "scoring_norm=batch"], 0),
        (["selector=titan", "filter.score=random"], 0),
        (["selector=titan", "filter.budget=adaptive", "device=jetson_nano"], 0),
        (["selector=cis"], 0),
    ],
    ids=str,
)
def test_scores_are_the_networks_own_wherever_scoring_begins(build, overrides, passed):
    """Scoring goes on from features only where they are what the candidates' own would be."""
    executor = build("model.norm=batch", *overrides)
    for t in range(3):
        selector, stream, network = executor.selector, executor.stream, executor.network
        arrivals = stream.round(t)
        before = copy.deepcopy(selector.filter)
        admitted = selector.admit(network, stream, arrivals, generator(0, "filter", t))
        assert admitted.passed == passed
        found = selector.score(network, admitted)
        with torch.no_grad(), scoring_mode(network, executor.selector.scoring_norm):
            own = network.embed(stream.inputs(admitted.arrivals))
            torch.testing.assert_close(found.embeddings, own, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found.logits, network.classifier(own), rtol=1e-4, atol=1e-5)
        selector.filter = before  # the round has not been yet
        executor.run(t)


def test_full_gradients_are_computed_from_the_inputs(build):
    executor = build("selector=titan", "gradient=full", "stream.velocity=30")
    arrivals = executor.stream.round(0)
    source = executor.network, executor.stream, arrivals, generator(0, "filter")
    admitted = executor.selector.admit(*source)
    assert admitted.passed == 0
    assert torch.equal(admitted.inputs, executor.stream.inputs(admitted.arrivals))
