"""A small task built directly, large enough for statistics of a stream."""

import pytest
import torch

from titan_repro.tasks.base import Split, Task


def make_task(samples: int = 500, classes: int = 5, shape: tuple[int, ...] = (3, 4, 4)) -> Task:
    """Return a task of random bytes whose labels go round the classes."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (samples, *shape), generator=generator, dtype=torch.uint8)
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


@pytest.fixture
def task() -> Task:
    return make_task()
