"""A round with tensors on a GPU mixes no devices; filter and policies are given the host's.

On fake tensors, so nothing is computed: what this cannot see is whether a GPU's numbers are right.
"""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils._python_dispatch import _disable_current_modes

from fake_cuda import OneDeviceError, backward_to, fake_cuda
from titan_repro.pipeline import inline, processes, shared_memory, shared_weights
from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.pipeline.processes import ProcessesExecutor
from titan_repro.pipeline.round import to_host
from titan_repro.pipeline.shared_memory import HOST
from titan_repro.pipeline.stages import FilterStage, SelectionStage
from titan_repro.runs.build import (
    build_network,
    build_selector,
    build_stream,
    build_trainer,
)
from titan_repro.selection.base import GradientMoments, Scores
from titan_repro.streams.noise import FeatureNoise
from titan_repro.tasks.base import Split, Task

CUDA = torch.device("cuda", 0)

SELECTORS = [
    ["selector=rs"],
    ["selector=stratified"],
    ["selector=is"],
    ["selector=ll"],
    ["selector=hl"],
    ["selector=ce"],
    ["selector=ocs"],
    ["selector=camel"],
    ["selector=cis"],
    ["selector=cis", "class_importance=ema", "sampling=without_replacement"],
    ["selector=cis", "gradient=full", "weighting=unbiased", "stream.velocity=12"],
    ["selector=titan"],
    ["selector=titan", "scoring_norm=batch", "filter.decay=0.9", "filter.blocks=2"],
    ["selector=titan", "filter.score=random", "filter.quota=global"],
    ["selector=titan", "filter.score=rank_mix", "filter.pooling=average", "class_mass=stream"],
    ["selector=titan_literal"],
    ["selector=rho_loss", "selector.policy.held_out=1e-9"],  # positions read 0 here, held out
    ["selector=uds"],
    ["selector=gradmatch"],
    ["selector=kcenter"],
    ["selector=rs2"],
    ["selector=titan", "filter.budget=adaptive", "device=jetson_nano"],
    ["selector=titan", "stream=label_noise"],
    ["selector=titan", "stream=feature_noise"],
]
selectors = pytest.mark.parametrize("overrides", SELECTORS, ids=" ".join)

KINDS = [
    ["selector=rs"],
    ["selector=ce"],
    ["selector=camel"],
    ["selector=cis"],
    ["selector=cis", "gradient=full", "weighting=unbiased", "stream.velocity=12"],
    ["selector=titan", "scoring_norm=batch", "filter.decay=0.9", "filter.blocks=2"],
    ["selector=titan", "filter.budget=adaptive", "device=jetson_nano"],
]
"""One for each thing that policies look at: nothing, logits, inputs, embeddings, all gradients, a
filter's features, fewer candidates in some rounds."""


class Budget:
    """Twenty candidates, and in every other round none."""

    until_trained = False

    def candidates(self, t):
        return 0 if t % 2 == 1 else 20


@pytest.fixture
def parts(configure, fetched, monkeypatch):
    """Return what builds, inside `fake_cuda`, an executor's parts: the task where it is said."""

    def built(data, trains, *overrides):
        config = configure(
            "task=digits", "model=small_cnn", "model.norm=batch", "delay=1", *overrides
        )
        with trains:
            network = build_network(config)
        monkeypatch.setattr(Tensor, "backward", backward_to(network))
        task = random_task(tuple(config.task.input_shape), config.task.num_classes).to(data)
        budget = {"budget": Budget()} if "filter.budget=adaptive" in overrides else {}
        trainer = build_trainer(config, network)
        with pytest.MonkeyPatch.context() as patch:  # a stream may look at numbers when it begins
            patch.setattr(Tensor, "__bool__", lambda tensor: False)
            stream = build_stream(config, task)
        selector = build_selector(config)
        selector.policy.select = with_numbers(selector.policy.select)
        if selector.filter is not None:
            selector.filter.admit = with_numbers(selector.filter.admit)
        return (network, selector, stream, trainer), {
            "batch_size": config.batch_size,
            "seed": 0,
            **budget,
        }

    return built


def with_numbers(function):
    """Let code on the host, which looks at numbers, see zeros for tensors without contents."""

    def call(*arguments):
        with _disable_current_modes():
            return function(*map(real, arguments))

    return call


def real(value):
    if isinstance(value, Scores):
        known = {name: real(each) for name, each in vars(value).items()}
        assert all(each.device == HOST for each in vars(value).values() if torch.is_tensor(each))
        return Scores(**known)
    if isinstance(value, GradientMoments):
        assert value.norms.device == value.class_mean_norms.device == HOST
        return GradientMoments(real(value.norms), real(value.class_mean_norms))
    return torch.zeros(value.shape, dtype=value.dtype) if torch.is_tensor(value) else value


@pytest.fixture
def fetched(monkeypatch):
    """Let records be fetched, which have no contents, and return the batches that were."""
    batches = []

    def fetch(batch, loss):
        with pytest.raises(DataDependentOutputException):  # by its last call, for the contents
            to_host(batch, loss)
        batches.append(batch)
        size = len(batch.arrivals)
        names = ("indices", "labels", "weights", "probabilities", "noisy")
        return {"loss": 0.0, **{f"trained_{name}": [0] * size for name in names}}

    for module in (inline, processes):
        monkeypatch.setattr(module, "to_host", fetch)
    return batches


def random_task(input_shape, classes):
    inputs = torch.zeros(200, *input_shape, dtype=torch.uint8)
    labels = torch.zeros(200, dtype=torch.int64)
    split = Split(inputs, labels)
    mean, std = torch.tensor(128.0), torch.tensor(74.0)
    return Task("t", "t", tuple(map(str, range(classes))), split, split, mean, std, "f")


@selectors
def test_a_round_in_one_process_stays_on_the_gpu(parts, fetched, overrides):
    with fake_cuda():
        built, settings = parts(CUDA, CUDA, *overrides)
        executor = InlineExecutor(*built, delay=1, **settings)
        for t in range(2):
            executor.run(t)
        assert len(fetched) == 2
        for batch in [*fetched, executor.in_flight]:
            assert {tensor.device for tensor in batch.tensors().values()} == {CUDA}
        assert {tensor.device for tensor in executor.network.state_dict().values()} == {CUDA}


class HereWorkers:
    """Both stages in this process, which handle a message when it is sent."""

    threads = 1

    def set_up(self, setup):
        self.setup = setup
        line = SimpleNamespace(send=self._send)
        self._stages = {
            "candidates": SelectionStage(setup, line, SimpleNamespace(send=lambda *_: None)),
            "begin": FilterStage(setup, line, line),
        }

    def begin(self, t, keep=None):
        self._send("begin", t, keep)

    def _send(self, kind, *content):
        if kind == "chosen":
            self._chosen = content
        else:
            self._stages[kind].handle(kind, *content)

    def chosen(self):
        return self._chosen

    def close(self):
        pass


@pytest.fixture
def fake_memory(monkeypatch):
    """Let "shared" memory be that of this process, which may be fake, and the host count."""
    for module in (shared_memory, shared_weights):
        monkeypatch.setattr(
            module, "allocate", lambda purpose, size: torch.zeros(size, dtype=torch.uint8)
        )
    monkeypatch.setattr(Tensor, "__int__", lambda tensor: 0)
    # What is done number by number on a CPU is done here as on a GPU: there are no numbers.
    monkeypatch.setattr(FeatureNoise, "_disturb_noisy_rows", FeatureNoise._disturb_masked)


def each_kind_fast(overrides):
    fast = overrides in KINDS
    return pytest.param(overrides, marks=[] if fast else pytest.mark.slow, id=" ".join(overrides))


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("overrides", [each_kind_fast(each) for each in SELECTORS])
@pytest.mark.parametrize(("trains", "selects"), [(HOST, CUDA), (CUDA, HOST)], ids=str)
def test_a_round_with_one_of_three_processes_on_the_gpu_meets_in_host_memory(
    parts, fetched, fake_memory, overrides, trains, selects
):
    a_round_meets_in_host_memory(parts, fetched, overrides, trains, selects)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@selectors
def test_a_round_in_three_processes_meets_in_host_memory(parts, fetched, fake_memory, overrides):
    a_round_meets_in_host_memory(parts, fetched, overrides, CUDA, CUDA)


def a_round_meets_in_host_memory(parts, fetched, overrides, trains, selects):
    with fake_cuda():
        built, settings = parts(HOST, trains, *overrides)
        workers = HereWorkers()
        executor = ProcessesExecutor(workers, *built, train=trains, select=selects, **settings)
        for t in range(2):
            executor.run(t)
        assert len(fetched) == 2
        for batch in [*fetched, executor.in_flight]:
            assert {tensor.device for tensor in batch.tensors().values()} == {HOST}
        reader = workers.setup.network.state_dict()
        assert {tensor.device for tensor in reader.values()} == {HOST}
        assert {tensor.device for tensor in executor.network.state_dict().values()} == {trains}


def there(*shape):
    return torch.ones(shape, device=CUDA)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda: there(3) + torch.ones(3),
        lambda: torch.ones(3) * there(),
        lambda: torch.cat([there(3), torch.ones(3)]),
        lambda: torch.nn.functional.conv2d(there(1, 1, 4, 4), torch.ones(1, 1, 3, 3)),
        lambda: torch.nn.functional.cross_entropy(there(3, 2), torch.zeros(3, dtype=torch.int64)),
        lambda: there(3).index_select(0, torch.tensor([1])),
        lambda: torch.ones(3)[torch.arange(2, device=CUDA)],
        lambda: torch.searchsorted(there(3), torch.ones(3)),
        lambda: torch.rand(3, device=CUDA, generator=torch.Generator()),
        lambda: torch.randperm(3, device=CUDA, generator=torch.Generator()),
    ],
)
def test_mixed_devices_are_seen(mixed):
    with fake_cuda(), pytest.raises((OneDeviceError, RuntimeError), match=r"cuda|device"):
        mixed()


@pytest.mark.parametrize("fetching", [bool, lambda x: x.item(), lambda x: x.tolist()])
def test_fetching_is_seen(fetching):
    with fake_cuda(), pytest.raises(DataDependentOutputException):
        fetching(there(1))


def test_what_a_gpu_takes_passes():
    with fake_cuda():
        assert (there(3) + torch.tensor(1.0)).device == CUDA
        assert there(3)[torch.tensor([0, 1])].device == CUDA
        assert torch.ones(3).copy_(there(3)).device == HOST
        assert torch.rand(3, generator=torch.Generator()).to(CUDA).device == CUDA
