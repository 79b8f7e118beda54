"""Executors and a workers for them, built as titan-run builds them."""

import pytest
import torch

from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.pipeline.processes import share_task
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.runs.build import (
    build_executor,
    build_loader,
    build_network,
    build_selector,
    build_stream,
    build_trainer,
    load_task,
)
from titan_repro.runs.candidate_budget import build_budget
from titan_repro.tasks.base import Split, Task


@pytest.fixture
def build(configure, tmp_path):
    def built(*overrides: str) -> InlineExecutor:
        config = configure("task=digits", "model=small_cnn", *overrides)
        loader = build_loader(config)
        task = load_task(config, loader, loader.locate(tmp_path))
        network, selector = build_network(config), build_selector(config)
        stream = build_stream(config, task)
        return InlineExecutor(
            network,
            selector,
            stream,
            build_trainer(config, network),
            batch_size=config.batch_size,
            delay=config.delay,
            seed=config.seed,
            budget=build_budget(config, network, selector, stream.velocity),
        )

    return built


@pytest.fixture(scope="module")
def workers():
    """Start the processes once: every executor equips them anew."""
    with WorkerPool(timeout_seconds=60) as started:
        yield started


def random_task(input_shape, classes):
    draws = torch.Generator().manual_seed(7)
    inputs = torch.randint(256, (300, *input_shape), dtype=torch.uint8, generator=draws)
    labels = torch.randint(classes, (300,), generator=draws)
    mean, std = torch.tensor(128.0), torch.tensor(74.0)
    names = tuple(str(c) for c in range(classes))
    train, test = Split(inputs[:200], labels[:200]), Split(inputs[200:], labels[200:])
    return Task("random", "random", names, train, test, mean, std, "fingerprint")


@pytest.fixture
def executors(configure):
    """Return what builds an executor as titan-run does, on random data of a task's shape."""

    def built(workers, *overrides):
        config = configure("task=digits", "model=small_cnn", *overrides)
        task = random_task(tuple(config.task.input_shape), config.task.num_classes)
        task = task if workers is None else share_task(task)
        return build_executor(config, workers, build_network(config), build_selector(config), task)

    return built
