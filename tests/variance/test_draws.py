"""Repeated draws: the policies of runs, from the memory that they have, and nothing moved twice."""

import pytest
import torch

from titan_repro.runs.build import (
    build_loader,
    build_network,
    build_selector,
    build_stream,
    load_task,
    with_selector,
)
from titan_repro.seeds import generator
from titan_repro.tasks.base import locate
from titan_repro.variance.draws import DrawnBatch, coefficients, draw_batches
from titan_repro.variance.states import every_score, warm_up

FIG5 = ("experiment=fig5", "task=digits", "model=small_cnn")


@pytest.fixture
def drawing(configure, tmp_path):
    """Return a function that draws batches of a selector of fig5 from round 3 of digits."""

    def draw(name, *overrides, sizes=(5, 40), draws=6, seed=0):
        config = configure(*FIG5, *overrides)
        loader = build_loader(config)
        task = load_task(config, loader, locate(loader, tmp_path))
        network, stream = build_network(config), build_stream(config, task)
        scorer = build_selector(with_selector(config, "cis"))
        selector = build_selector(with_selector(config, name))
        warm_up({name: selector}, network, stream, range(3), 10)
        seen = every_score(scorer, network, stream, 3)
        features = selector.features(network, seen.inputs)
        found = draw_batches(
            selector, features, seen, sizes, draws, lambda what: generator(seed, what)
        )
        return selector, found

    return draw


def same(one, two):
    pairs = [zip(one[size], two[size], strict=True) for size in one]
    return one.keys() == two.keys() and all(
        torch.equal(a.positions, b.positions) and torch.equal(a.weights, b.weights)
        for pair in pairs
        for a, b in pair
    )


@pytest.mark.parametrize("name", ["is", "titan", "random_cis"])
def test_the_generators_decide_every_draw(drawing, name):
    (_, one), (_, again), (_, other) = drawing(name), drawing(name), drawing(name, seed=1)
    assert same(one, again)
    assert not same(one, other)
    assert all(len(batches) == 6 for batches in one.values())


@pytest.mark.parametrize("name", ["ll", "ocs", "camel", "craig"])
def test_a_policy_that_draws_nothing_gives_one_batch(drawing, name):
    _, found = drawing(name)
    assert {size: len(batches) for size, batches in found.items()} == {5: 1, 40: 1}


def test_a_filter_leaves_no_batch_larger_than_its_candidates(drawing):
    _, found = drawing("titan", sizes=(5, 30, 31))
    assert sorted(found) == [5, 30]


def test_a_fixed_filter_has_one_candidate_set_and_a_random_one_many(drawing):
    for name, most in (("titan", 30), ("random_cis", 100)):
        _, found = drawing(name, sizes=(30,), draws=12)
        seen = {int(i) for batch in found[30] for i in batch.positions}
        assert len(seen) <= most
        assert (len(seen) > 40) == (name == "random_cis")


def test_memory_moves_on_by_one_round_whatever_is_drawn(drawing):
    for name, overrides in (("titan", ()), ("cis", ("class_importance=ema",))):
        states = []
        for draws in (3, 9):
            selector, _ = drawing(name, *overrides, draws=draws)
            states.append(selector.state_dict())
        one, two = states
        for part in ("filter", "policy"):
            for key, value in (one[part] or {}).items():
                assert torch.equal(value, two[part][key])
        if name == "titan":
            assert one["filter"]["counts"].sum() == 400  # rounds 0 to 2, and the one drawn from
        else:
            assert one["policy"]["average"] is not None


def test_coefficients_add_up_the_weights_of_repeated_picks():
    batch = DrawnBatch(torch.tensor([2, 0, 2, 2]), torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert coefficients([batch], 4).tolist() == [[0.5, 0.0, 2.0, 0.0]]
