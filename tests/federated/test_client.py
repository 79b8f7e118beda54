"""One device's part of a round: the order of its steps, what it is given and what it gives back."""

import pytest
import torch

from titan_repro.federated.client import Client, statistics
from titan_repro.federated.settings import Federation
from titan_repro.federated.shares import DeviceStreams, share_out
from titan_repro.models.small_cnn import small_cnn
from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.selection.selector import Selector
from titan_repro.selection.uniform import UniformSampling
from titan_repro.streams.clean import CleanStream
from titan_repro.tasks.digits import Digits
from titan_repro.training import Schedule

RATE = 0.1


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    loader = Digits()
    return loader.load(loader.locate(tmp_path_factory.mktemp("data")), None)


@pytest.fixture
def client_of(task):
    """Return a function that makes a client of ten devices under random selection."""

    def made(norm="none", **more):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = small_cnn((1, 8, 8), 10, norm=norm)
        shares = share_out(Federation(devices=10), task, seed=0)
        streams = DeviceStreams(CleanStream, {"velocity": 20}, task, 0, shares)
        selector = Selector(
            None, UniformSampling(), classes=10, blocks=1, pooling="none", scoring_norm="running"
        )
        own = {"batch_size": 10, "delay": 0, "seed": 0, **more}
        return Client(network, selector, streams, Schedule(RATE, 1.0, 100), **own)

    return made


def start_of(client):
    return {name: tensor.clone() for name, tensor in client.network.state_dict().items()}


def fitted(client, weights, memory=None, t=0, iterations=1):
    """Return copies of the weights that device 3 trained, and the result."""
    result = client.fit(weights, memory or {}, t=t, device=3, iterations=iterations)
    return {name: tensor.clone() for name, tensor in result.weights.items()}, result


@pytest.mark.parametrize(
    ("delay", "order"),
    [
        (0, ["choose 6", "train 6", "choose 7", "train 7", "choose 8", "train 8"]),
        (1, ["choose 6", "choose 7", "train 6", "choose 8", "train 7", "train 8"]),
    ],
)
def test_with_a_delay_the_next_batch_is_chosen_before_the_step(
    client_of, monkeypatch, delay, order
):
    steps, of_batch = [], {}
    choose, train = InlineExecutor.choose, InlineExecutor.train

    def chosen(self, t, clock):
        steps.append(f"choose {t}")
        choice = choose(self, t, clock)
        of_batch[id(choice.batch)] = t
        return choice

    def trained(self, batch, t, clock):
        assert t == 2  # the learning rate is that of the federation's round
        steps.append(f"train {of_batch[id(batch)]}")
        return train(self, batch, t, clock)

    monkeypatch.setattr(InlineExecutor, "choose", chosen)
    monkeypatch.setattr(InlineExecutor, "train", trained)
    client = client_of(delay=delay)
    _, result = fitted(client, start_of(client), t=2, iterations=3)
    assert steps == order
    assert [record.round for record in result.records] == [2, 2, 2]


def test_what_it_is_given_stays_and_fitting_again_gives_the_same(client_of):
    client = client_of(norm="batch")
    weights = start_of(client)
    before = {name: tensor.clone() for name, tensor in weights.items()}
    first, result = fitted(client, weights, iterations=3)
    again, _ = fitted(client, weights, iterations=3)
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    assert all(torch.equal(first[name], again[name]) for name in weights)
    assert not torch.equal(first["classifier.weight"], weights["classifier.weight"])
    assert result.samples == client.streams.shares.samples(3)
    assert result.memory == {}


def test_the_proximal_term_pulls_back_to_the_global_weights(client_of):
    """w2 with mu is w2 without, less rate mu (w1 - w0); the first step is the same."""
    plain, prox = client_of(), client_of(proximal=0.5)
    start = start_of(plain)
    w1, _ = fitted(plain, start)
    assert all(torch.equal(w1[name], other) for name, other in fitted(prox, start)[0].items())
    w2, told = fitted(plain, start, iterations=2)
    pulled, told_too = fitted(prox, start, iterations=2)
    for name in start:
        expected = w2[name] - RATE * 0.5 * (w1[name] - start[name])
        torch.testing.assert_close(pulled[name], expected, rtol=1e-5, atol=1e-7)
    assert [r.loss for r in told.records] == [r.loss for r in told_too.records]


def test_local_statistics_stay_with_their_device(client_of):
    average, local = client_of(norm="batch"), client_of(norm="batch", batchnorm="local")
    start, names = start_of(average), statistics(average.network)
    assert {name.rpartition(".")[2] for name in names} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    first, result = fitted(local, start)
    assert all(torch.equal(result.memory["statistics"][name], first[name]) for name in names)
    second, _ = fitted(local, start, result.memory, t=1)
    anew, _ = fitted(average, start, t=1)
    for name in start:
        same = torch.equal(second[name], anew[name])
        assert same == (name not in names)  # training looks at the batch's own
    count = next(name for name in names if name.endswith("tracked"))
    assert (int(second[count]), int(anew[count])) == (2, 1)
