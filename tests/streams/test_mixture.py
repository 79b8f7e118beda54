from collections.abc import Callable

import pytest
import torch

from titan_repro.errors import ConfigurationError
from titan_repro.streams.mixture import MixtureStream, drift, imbalanced
from titan_repro.tasks.base import Task

MakeTask = Callable[..., Task]


def class_shares(stream: MixtureStream, rounds: range, classes: int) -> torch.Tensor:
    labels = torch.cat([stream.round(t).labels for t in rounds])
    return torch.bincount(labels, minlength=classes).double() / len(labels)


def assert_within_three_errors(shares: torch.Tensor, mix: torch.Tensor, draws: int) -> None:
    assert ((shares - mix).abs() <= 3 * (mix * (1 - mix) / draws).sqrt()).all()


def test_imbalanced_mix_is_as_set(task: Task) -> None:
    stream = imbalanced(task, seed=0, velocity=100, ratio=81.0)
    mix = stream.schedule.at(0)
    assert mix[0] / mix[4] == pytest.approx(81)
    assert_within_three_errors(class_shares(stream, range(100), 5), mix, draws=10_000)


def test_drifting_mix_follows_its_schedule(task: Task) -> None:
    """Around three rounds of a slow drift the measured mix is the schedule's at the middle."""
    stream = drift(task, seed=0, velocity=200, period=100_000, window=0.6)
    for middle in (25, 50_000, 93_000):
        rounds = range(middle - 25, middle + 25)
        mix = torch.stack([stream.schedule.at(t) for t in rounds]).mean(0)
        assert_within_three_errors(class_shares(stream, rounds, 5), mix, draws=10_000)


def test_written_mixes_are_followed(task: Task) -> None:
    mixes = [(0, [0.6, 0.1, 0.1, 0.1, 0.1]), (100, [0.0, 0.1, 0.2, 0.3, 0.4])]
    stream = drift(task, 0, 100, schedule="piecewise", period=None, mixes=mixes)
    late = torch.tensor(mixes[1][1], dtype=torch.float64)
    assert_within_three_errors(class_shares(stream, range(100, 200), 5), late, draws=10_000)
    early = stream.round(0)
    assert torch.equal(early.labels, task.train.labels[early.indices])
    assert not early.noisy.any()
    assert stream.inputs(early).shape == (100, 3, 4, 4)


def test_no_sample_comes_twice_in_a_round_before_all_of_its_class(task: Task) -> None:
    mixes = [(0, [0.5, 0.5, 0, 0, 0])]
    few = drift(task, 0, 90, schedule="piecewise", period=None, mixes=mixes).round(0)
    assert len(few.indices.unique()) == 90
    many = drift(task, 0, 900, schedule="piecewise", period=None, mixes=mixes).round(0)
    for label in (0, 1):
        visits = torch.bincount(many.indices[many.labels == label], minlength=500)[label::5]
        assert visits.max() - visits.min() <= 1
        assert visits.min() >= 3


def test_all_samples_of_a_class_are_equally_likely(make_task: MakeTask) -> None:
    task = make_task(samples=20, classes=2, shape=(1, 1, 1))
    stream = imbalanced(task, seed=0, velocity=10, ratio=1.0)
    visits = torch.bincount(torch.cat([stream.round(t).indices for t in range(2000)]))
    assert (visits - 1000).abs().max() < 4 * 1000**0.5


def test_a_round_alone_equals_the_round_after_all_before_it(task: Task) -> None:
    for make in (drift, imbalanced):
        stream = make(task, seed=3, velocity=50)
        for t in range(8):
            last = stream.round(t)
        assert torch.equal(make(task, seed=3, velocity=50).round(7).indices, last.indices)
        assert not torch.equal(make(task, seed=4, velocity=50).round(7).indices, last.indices)
        assert not torch.equal(stream.round(6).indices, last.indices)


def test_a_subset_keeps_the_mix_among_its_classes(task: Task) -> None:
    subset = (task.train.labels < 2).nonzero().squeeze(1)
    stream = imbalanced(task, seed=0, velocity=100, ratio=16.0, subset=subset)
    shares = class_shares(stream, range(100), 5)
    mix = torch.tensor([2 / 3, 1 / 3, 0, 0, 0], dtype=torch.float64)
    assert_within_three_errors(shares, mix, draws=10_000)
    with pytest.raises(ConfigurationError, match="only classes without samples"):
        drift(task, seed=0, velocity=100, window=0.2, subset=subset)


def test_impossible_settings_name_the_key(task: Task) -> None:
    with pytest.raises(ConfigurationError, match=r"stream\.velocity: found 0"):
        imbalanced(task, 0, 0)
    with pytest.raises(ConfigurationError, match="'sine'; allowed: rotating, piecewise"):
        drift(task, 0, 100, schedule="sine")
    with pytest.raises(ConfigurationError, match=r"stream\.mixes: .*null unless"):
        drift(task, 0, 100, mixes=[(0, [0.2] * 5)])
    with pytest.raises(ConfigurationError, match=r"stream\.mixes: found None"):
        drift(task, 0, 100, schedule="piecewise")
