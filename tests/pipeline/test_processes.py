"""The three-process executor against the reference executor: the same bits, whatever is chosen."""

import time

import psutil
import pytest
import torch

from pipeline.comparing import assert_same, facts, through_a_file
from titan_repro.errors import ConfigurationError
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.runs.run import run

ROUNDS = 6
ADAPTIVE = (
    "selector=titan filter.budget=adaptive device=jetson_nano device.modelled.filter_at_once=null "
    "device.modelled.processors.cpu.launch_us=1000"
)
"""About 30 candidates where the processor is idle; training is slow enough for them."""


@pytest.mark.parametrize(
    "overrides",
    [
        "selector=titan",
        "selector=titan model.norm=batch class_importance=ema",
        "selector=titan model.norm=batch scoring_norm=batch filter.decay=0.9",
        "selector=titan model.norm=group filter.score=rank_mix filter.blocks=2",
        "selector=titan filter.score=random class_mass=stream weighting=unbiased",
        "selector=titan filter.pooling=average sampling=without_replacement",
        "selector=titan gradient=full model.norm=batch",
        "selector=titan gradient=logits stream=feature_noise",
        "selector=titan_literal stream=label_noise",
        "selector=cis delay=1 model.norm=batch",
        "selector=cis delay=1 stream=drift",
        "selector=camel delay=1",
        "selector=hl delay=1 stream=imbalanced",
        "selector=rs delay=1 model.norm=batch",
        "selector=rho_loss delay=1",
        "selector=uds delay=1",
        "selector=rs2 delay=1",
        "selector=divbs delay=1",
        "selector=ours model.norm=batch",
        f"{ADAPTIVE}",
        f"{ADAPTIVE} idle=square_wave idle.period_seconds=0.15 idle.low=0 class_importance=ema",
        f"{ADAPTIVE} idle=random_walk idle.every_seconds=0.02 model.norm=batch",
        f"{ADAPTIVE} idle=constant idle.share=0",
        f"{ADAPTIVE} gradient=full filter.score=rank_mix",
    ],
)
def test_both_executors_give_the_same_bits(executors, workers, overrides):
    inline = executors(None, *overrides.split())
    processes = executors(workers, *overrides.split())
    assert weights_sha256(inline.network.state_dict()) == weights_sha256(
        processes.network.state_dict()
    )
    for t in range(ROUNDS):
        assert facts(inline.run(t)) == facts(processes.run(t))
    assert_same(inline.state_dict(), processes.state_dict())


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("dsads", "mlp"),
        pytest.param("cifar10", "squeezenet", marks=pytest.mark.slow),  # imports torchvision
        ("cifar10", "mobilenet"),
        pytest.param("cifar10", "alexnet", marks=pytest.mark.slow),
        pytest.param("cifar10", "resnet50", marks=pytest.mark.slow),
        pytest.param("speech_spectrograms", "resnet34", marks=pytest.mark.slow),
    ],
)
def test_every_model_gives_the_same_bits(executors, workers, task, model):
    overrides = (f"task={task}", f"model={model}", "selector=titan")
    inline, processes = executors(None, *overrides), executors(workers, *overrides)
    for t in range(3):
        assert facts(inline.run(t)) == facts(processes.run(t))
    assert_same(inline.state_dict(), processes.state_dict())


def test_a_state_passes_from_either_executor_to_the_other(executors, workers):
    overrides = ("selector=titan", "model.norm=batch", "class_importance=ema")
    straight = executors(None, *overrides)
    expected = [facts(straight.run(t)) for t in range(9)]
    first = executors(workers, *overrides)
    begun = [facts(first.run(t)) for t in range(3)]
    second = executors(None, *overrides)
    second.load_state_dict(through_a_file(first.state_dict()))
    begun += [facts(second.run(t)) for t in range(3, 6)]
    third = executors(workers, *overrides)
    third.load_state_dict(through_a_file(second.state_dict()))
    begun += [facts(third.run(t)) for t in range(6, 9)]
    assert begun == expected
    assert_same(straight.state_dict(), third.state_dict())


def test_a_run_with_idle_time_that_changes_goes_on_in_either_executor(executors, workers):
    wave = "idle=square_wave idle.period_seconds=0.2 idle.low=0"
    overrides = (*ADAPTIVE.split(), *wave.split())
    straight = executors(None, *overrides)
    expected = [facts(straight.run(t)) for t in range(9)]
    assert len({result["candidates"] for result in expected}) > 2
    assert 0 in {result["candidates"] for result in expected}
    first = executors(workers, *overrides)
    begun = [facts(first.run(t)) for t in range(4)]
    second = executors(None, *overrides)
    second.load_state_dict(through_a_file(first.state_dict()))
    begun += [facts(second.run(t)) for t in range(4, 6)]
    third = executors(workers, *overrides)
    third.load_state_dict(through_a_file(second.state_dict()))
    begun += [facts(third.run(t)) for t in range(6, 9)]
    assert begun == expected
    assert_same(straight.state_dict(), third.state_dict())


def test_times_of_all_stages_come_back(executors, workers):
    executor = executors(workers, "selector=titan", "stream=feature_noise")
    executor.run(0)
    record = executor.run(1)
    for stage in ("stream", "filter", "score", "select", "train", "wait"):
        assert getattr(record, f"seconds_{stage}") > 0, stage


def test_nobody_waits_busily(executors, workers):
    executor = executors(workers, "selector=titan")
    executor.run(0)
    children = [psutil.Process(worker.process.pid) for worker in workers._workers]
    time.sleep(0.2)  # for the round that is drawn ahead
    before = [sum(child.cpu_times()[:2]) for child in children]
    time.sleep(1)
    spent = [sum(child.cpu_times()[:2]) - b for child, b in zip(children, before, strict=True)]
    assert max(spent) <= 0.02


def test_what_needs_no_delay_is_refused_before_data_are_looked_for(configure):
    config = configure("task=cifar10", "selector=cis", "executor=processes", "paths.data=nowhere")
    with pytest.raises(ConfigurationError, match=r"^delay: found 0 with executor=processes"):
        run(config)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("device.cores.filter=[4711]", r"^device\.cores\.filter: found \[4711\]; allowed here"),
        ("executor.timeout_seconds=0", r"^executor\.timeout_seconds: found 0; allowed"),
    ],
)
def test_impossible_settings_are_refused_before_data_are_looked_for(configure, override, message):
    config = configure("task=cifar10", "executor=processes", "paths.data=nowhere", override)
    with pytest.raises(ConfigurationError, match=message):
        run(config)


def footprint(process):
    """Return the private memory of a process in MB and how many descriptors it has open."""
    return process.memory_full_info().uss / 2**20, process.num_fds()


@pytest.mark.parametrize(
    ("rounds", "megabytes"), [(800, 8), pytest.param(10_000, 1, marks=pytest.mark.slow)]
)
def test_memory_and_descriptors_stay_as_they_are(executors, workers, rounds, megabytes):
    executor = executors(workers, "selector=titan", "+model.network.width=4")
    everyone = [psutil.Process(), *(psutil.Process(w.process.pid) for w in workers._workers)]
    for t in range(rounds):
        if t == 500:
            before = [footprint(process) for process in everyone]
        executor.run(t)
    for process, (memory, descriptors) in zip(everyone, before, strict=True):
        now = footprint(process)
        assert now[0] - memory < megabytes, process
        assert now[1] == descriptors


# Candidates that are scored until training is done, on the wall's clock.

MEASURED = ("selector=titan", "filter.budget=adaptive", "device=host", "executor=processes")


def measured(executor, t):
    """Run round t; return its number of candidates, having checked what is said of them."""
    arrived = set(executor.stream.round(t).indices.tolist())
    result = executor.run(t)
    assert (result.samples_filtered, result.samples_scored) == (100, result.candidates)
    assert 10 <= result.candidates <= 100
    assert set(executor.in_flight.arrivals.indices.tolist()) <= arrived
    return result.candidates


def test_when_training_is_done_scoring_ends_with_the_batch(executors, workers):
    executor = executors(workers, *MEASURED)
    executor._trained.fill_(10)  # of all rounds below, before they begin
    executor._trained = torch.tensor(0)
    assert [measured(executor, t) for t in range(4)] == [10] * 4


def test_all_samples_are_scored_where_training_takes_long_enough(executors, workers, monkeypatch):
    executor = executors(workers, *MEASURED)
    compute = executor.trainer.gradients
    in_round_1 = []

    def slowly(*batch):
        if in_round_1:
            time.sleep(1.5)
        return compute(*batch)

    monkeypatch.setattr(executor.trainer, "gradients", slowly)
    measured(executor, 0)
    in_round_1.append(True)
    assert measured(executor, 1) == 100
