"""Small tasks built directly: only the stream is under test."""

from typing import Protocol

import pytest
import torch

from titan_repro.tasks.base import Split, Task


class MakeTask(Protocol):
    def __call__(
        self, samples: int = 500, classes: int = 5, shape: tuple[int, ...] = (3, 4, 4)
    ) -> Task: ...


@pytest.fixture(scope="session")
def make_task() -> MakeTask:
    """Return a maker of tasks of random bytes whose labels go round the classes."""

    def make(samples: int = 500, classes: int = 5, shape: tuple[int, ...] = (3, 4, 4)) -> Task:
        draws = torch.Generator().manual_seed(0)
        inputs = torch.randint(0, 256, (samples, *shape), generator=draws, dtype=torch.uint8)
        split = Split(inputs, torch.arange(samples) % classes)
        channels = (shape[0],) + (1,) * (len(shape) - 1)
        return Task(
            name="synthetic",
            source="random bytes",
            classes=tuple(f"class {c}" for c in range(classes)),
            train=split,
            test=split,
            mean=torch.full(channels, 127.5),
            std=torch.full(channels, 73.6),
            fingerprint="0" * 16,
        )

    return make


@pytest.fixture
def task(make_task: MakeTask) -> Task:
    """500 samples of 5 classes, 3 x 4 x 4."""
    return make_task()
