"""One seeded generator for every purpose and round, derived instead of stored.

A generator's seed is a hash of (seed, purpose, index). Purposes never share a stream of random
numbers, so changing the selector leaves data order, noise and initial weights as they were and
runs with the same seed are paired. Because round t's generator follows from t alone, nothing
random has to be kept in a checkpoint, and processes that never talk draw the same numbers.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, purpose: str, index: int = 0) -> int:
    """Return a 63-bit seed that is independent for every (seed, purpose, index)."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Return a CPU generator for one purpose ("order", "noise", "selection", ...) and index.

    Draws are always made on the CPU and moved, so that every device sees the same numbers.
    """
    return torch.Generator().manual_seed(derive_seed(seed, purpose, index))


@contextmanager
def global_generator(seed: int, purpose: str) -> Iterator[None]:
    """Seed torch's global CPU generator inside the block and restore it afterwards.

    For code that takes no generator, such as the initialisation of `torch.nn` layers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, purpose))
        yield
