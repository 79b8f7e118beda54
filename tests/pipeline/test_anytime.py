"""Scoring until time is up gives what scoring the same samples at once gives."""

import pytest
import torch

from titan_repro.pipeline.anytime import CHUNK, score_while
from titan_repro.seeds import generator
from titan_repro.selection.camel import Camel

NANO = ("filter.budget=adaptive", "device=jetson_nano")


def looks(number):
    """Return a clock that says `number` times that there is time left."""
    left = iter([True] * number)
    return lambda: next(left, False)


def ranked(executor):
    arrivals = executor.stream.round(0)
    draws = generator(0, "filter", 0)
    return executor.selector.admit(executor.network, executor.stream, arrivals, draws)


def score(executor, admitted, working, least=10):
    return score_while(working, executor.selector, executor.network, admitted, least)


@pytest.mark.parametrize(
    ("overrides", "policy"),
    [
        ((), None),
        (("model.norm=batch",), None),
        (("gradient=logits",), None),
        (("filter.score=random",), None),
        ((), Camel()),
    ],
)
@pytest.mark.parametrize("times", [0, 3, 1000])
def test_what_is_scored_in_parts_is_as_if_scored_at_once(build, overrides, policy, times):
    executor = build(*NANO, *overrides)
    executor.selector.policy = policy or executor.selector.policy
    admitted = ranked(executor)
    some, candidates = score(executor, admitted, looks(times))
    number = min(10 + times * CHUNK, 100)
    assert len(some.arrivals) == len(candidates) == number
    assert torch.equal(some.arrivals.indices, admitted.arrivals.indices[:number])
    assert torch.equal(some.stream_counts, admitted.stream_counts)
    at_once = executor.selector.score(executor.network, some)
    for name, value in vars(at_once).items():
        if value is None:
            assert getattr(candidates, name) is None
        else:
            torch.testing.assert_close(getattr(candidates, name), value)


def test_a_batch_larger_than_what_came_ends_too(build):
    executor = build(*NANO)
    some, _ = score(executor, ranked(executor), looks(0), least=1000)
    assert len(some.arrivals) == 100


def test_gradients_over_all_parameters_are_refused(build):
    executor = build(*NANO, "gradient=full")
    with pytest.raises(ValueError, match="class means are of all candidates"):
        score(executor, ranked(executor), looks(0))
