from dataclasses import replace

import numpy as np
import pytest
import torch

from titan_repro.errors import ConfigurationError
from titan_repro.federated.settings import Federation
from titan_repro.federated.shares import DeviceStreams, device_seed, share_out
from titan_repro.federated.spread import class_accuracies, spread
from titan_repro.models.small_cnn import small_cnn
from titan_repro.streams.clean import CleanStream
from titan_repro.streams.mixture import drift
from titan_repro.tasks.digits import Digits


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    loader = Digits()
    return loader.load(loader.locate(tmp_path_factory.mktemp("data")), None)


def test_devices_hold_every_sample_once(task):
    shares = share_out(Federation(devices=20, classes_per_device=3), task, seed=0)
    held = torch.cat([shares.of(device) for device in range(20)])
    assert torch.equal(held.sort().values, torch.arange(len(task.train)))
    labels = task.train.labels
    for device in range(20):
        counts = torch.bincount(labels[shares.of(device)], minlength=10)
        assert counts.tolist() == shares.class_counts[device].tolist()
        assert shares.samples(device) == len(shares.of(device))
        assert (counts > 0).sum() == 3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"devices": 2000}, r"federation\.devices: found 2000; .*at most 1438, the number of sam"),
        ({"devices": 2000, "by": "dirichlet"}, r"federation\.devices: found 2000"),
        ({"classes_per_device": 11}, r"federation\.classes_per_device: found 11; .*at most 10"),
        ({"devices": 3, "classes_per_device": 2}, r"federation\.classes_per_device: found 2"),
        ({"by": "user"}, r"federation\.by: found user; allowed with task=digits: classes, dir"),
    ],
    ids=str,
)
def test_what_the_data_do_not_allow_is_refused(task, settings, says):
    with pytest.raises(ConfigurationError, match=f"^{says}"):
        share_out(Federation(**settings), task, seed=0)


def test_real_users_are_devices(task):
    users = torch.arange(len(task.train)) % 7
    with_users = replace(task, train=replace(task.train, user_ids=users))
    shares = share_out(Federation(devices=None, by="user"), with_users, seed=0)
    assert len(shares) == 7
    assert all((users[shares.of(device)] == device).all() for device in range(7))
    with pytest.raises(ConfigurationError, match=r"found 8; .*most 7, the number of users; or nul"):
        share_out(Federation(devices=8, by="user"), with_users, seed=0)


def test_streams_of_devices_differ_and_hold_their_own_samples(task):
    shares = share_out(Federation(devices=10), task, seed=3)
    streams = DeviceStreams(CleanStream, {"velocity": 20}, task, 3, shares)
    for device in range(10):
        arrived = streams.of(device).round(5).indices
        assert set(arrived.tolist()) <= set(shares.of(device).tolist())
    seeds = {device_seed(3, device) for device in range(50)}
    assert len(seeds) == 50
    assert device_seed(3, 0) == 3


def test_a_device_without_a_class_of_the_stream_is_named(task):
    shares = share_out(Federation(devices=10, classes_per_device=1), task, seed=0)
    streams = DeviceStreams(drift, {"velocity": 20, "window": 0.2}, task, 0, shares)
    with pytest.raises(
        ConfigurationError, match=r"^stream of device \d: .*classes without samples; allow"
    ):
        streams.check()


def test_every_set_of_classes_is_checked_once(task):
    shares = share_out(Federation(devices=100, classes_per_device=1), task, seed=0)
    kinds = shares.kinds()
    assert len(kinds) == 10
    assert len({tuple(row) for row in shares.class_counts[kinds] > 0}) == 10


def test_the_spread_is_of_accuracies_on_each_devices_own_mix():
    counts = np.array([[10, 0, 0], [0, 5, 5], [1, 0, 3]])
    found = spread(np.array([1.0, 0.5, 0.0]), counts)
    assert found["mean"] == pytest.approx((1 + 0.25 + 0.25) / 3)
    assert (found["lowest"], found["median"], found["highest"]) == (0.25, 0.25, 1.0)
    unknown = spread(np.array([1.0, 0.5, np.nan]), counts)
    assert (unknown["lowest"], unknown["highest"]) == (0.5, 1.0)


def test_accuracies_of_classes_make_up_the_whole(task):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = small_cnn((1, 8, 8), 10, norm="none")
    accuracies = class_accuracies(network, task)
    counts = np.bincount(task.test.labels.numpy())
    with torch.no_grad():
        answers = network.eval()(task.normalise(task.test.inputs)).argmax(dim=1)
    right = (answers == task.test.labels).double().mean().item()
    assert (accuracies * counts).sum() / counts.sum() == pytest.approx(right)
    assert 0 < right < 1
