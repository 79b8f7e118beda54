import pickle

import pytest
import torch

from titan_repro.errors import ConfigurationError
from titan_repro.streams.base import Samples
from titan_repro.streams.clean import CleanStream
from titan_repro.tasks.base import Task


def sequence(stream: CleanStream, rounds: int) -> torch.Tensor:
    return torch.cat([stream.round(t).indices for t in range(rounds)])


def test_every_sample_comes_once_an_epoch_and_epochs_differ(task: Task) -> None:
    epochs = sequence(CleanStream(task, seed=0, velocity=60), rounds=25).view(3, 500)
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(500))
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[1], epochs[2])


def test_velocity_does_not_change_the_sequence(task: Task) -> None:
    slow = sequence(CleanStream(task, seed=0, velocity=7), rounds=300)
    fast = sequence(CleanStream(task, seed=0, velocity=700), rounds=3)
    assert torch.equal(slow, fast)


def test_a_round_alone_equals_the_round_after_all_before_it(task: Task) -> None:
    stream = CleanStream(task, seed=3, velocity=120)
    for t in range(12):
        last = stream.round(t)
    alone = CleanStream(task, seed=3, velocity=120).round(11)
    assert torch.equal(alone.indices, last.indices)
    assert torch.equal(stream.round(0).indices, CleanStream(task, 3, 120).round(0).indices)


def test_a_round_may_hold_several_epochs_of_a_small_subset(task: Task) -> None:
    subset = torch.tensor([5, 17, 44])
    indices = CleanStream(task, seed=0, velocity=10, subset=subset).round(0).indices
    assert torch.equal(indices[:9].view(3, 3).sort(dim=1).values, subset.expand(3, 3))
    assert set(indices.tolist()) == {5, 17, 44}


def test_seeds_give_different_orders(task: Task) -> None:
    first, second = (CleanStream(task, seed, 100).round(0).indices for seed in (0, 1))
    assert not torch.equal(first, second)


def test_a_pickled_stream_goes_on_the_same(task: Task) -> None:
    stream = CleanStream(task, seed=0, velocity=100)
    stream.round(2)
    copy = pickle.loads(pickle.dumps(stream))
    assert torch.equal(copy.round(9).indices, stream.round(9).indices)


def test_labels_and_inputs_are_the_tasks_own(task: Task) -> None:
    stream = CleanStream(task, seed=0, velocity=20)
    arrivals = stream.round(4)
    assert torch.equal(arrivals.labels, task.train.labels[arrivals.indices])
    assert not arrivals.noisy.any()
    some = arrivals.take(torch.tensor([3, 0]))
    expected = task.normalise(task.train.inputs[arrivals.indices[[3, 0]]])
    assert torch.equal(stream.inputs(some), expected)
    assert stream.inputs(arrivals).is_contiguous(memory_format=torch.channels_last)


def test_no_arrivals_have_no_inputs(task: Task) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    stream = CleanStream(task, seed=0, velocity=20)
    assert stream.inputs(Samples(none, none, none.bool())).shape == (0, 3, 4, 4)


def test_impossible_settings_name_the_key(task: Task) -> None:
    for velocity in (0, -1, 1.5, True, "many"):
        with pytest.raises(ConfigurationError, match=rf"stream\.velocity: found {velocity!r};"):
            CleanStream(task, seed=0, velocity=velocity)
    with pytest.raises(ConfigurationError, match="at least 1 sample"):
        CleanStream(task, 0, 100, subset=torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"0\.\.499"):
        CleanStream(task, 0, 100, subset=torch.tensor([500]))
