"""Memory of training and of selection beside it, in bytes of tensors.

Counted, not measured. What allocator, framework and CUDA context add in the training process is the
same for every selector. In a process for selection they would add hundreds of MB; figure 6(c) of
the paper, in tens of MB, leaves them out as well.
"""

import copy
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from titan_repro.boards.layers import META
from titan_repro.boards.round_work import RoundCounter, RoundSize
from titan_repro.models.base import BlockNetwork

FLOAT, DOUBLE, LABEL = 4, 8, 8
"""Bytes of a number in single and in double precision, and of a label."""


@dataclass(frozen=True)
class Memory:
    """Bytes by purpose.

    parameters: weights and BatchNorm statistics. gradients: one number a weight.
    activations: what the forward pass of a training step holds, and its batch.
    filter: class statistics, and the features of the samples filtered at once.
    scoring: candidates, and what their forward pass holds.
    copies: the selection process's own weights and the batch handed over, where there is one.
    """

    parameters: int
    gradients: int
    activations: int
    filter: int
    scoring: int
    copies: int

    @property
    def total(self) -> int:
        """All of it at once: stages need not take turns, and memory once taken is kept."""
        return sum(vars(self).values())


@lru_cache(maxsize=1024)  # many runs share a counter and its few sizes of rounds
def round_memory(
    counter: RoundCounter,
    size: RoundSize,
    *,
    filter_at_once: int | None,
    score_at_once: int | None,
    separate: bool,
    sums: int = FLOAT,
) -> Memory:
    """Return the memory of a round.

    separate: selection runs on another processor, with its own copy of the weights.
    sums: bytes of a number in the filter's running sums.
    The rest as of `RoundCounter.round`.
    """
    network, shape = counter.network, counter.input_shape
    sample = FLOAT * prod(shape)
    parameters = state_bytes(network)
    scored = min(score_at_once or size.scored, size.scored)
    return Memory(
        parameters=parameters,
        gradients=sum(p.numel() * p.element_size() for p in network.parameters()),
        activations=size.trained * sample + training_activations(network, shape, size.trained),
        filter=_filter_bytes(counter, filter_at_once or size.filtered, sums)
        if size.filtered
        else 0,
        scoring=_buffered(counter, size) * (sample + LABEL)
        + (scored * sample + scoring_activations(network, shape, scored)),
        copies=parameters + size.trained * (sample + LABEL) if separate else 0,
    )


def _buffered(counter: RoundCounter, size: RoundSize) -> int:
    """Return how many samples the filter keeps; with an adaptive budget any may become one."""
    if counter.coarse_filter is None:
        return 0
    return size.filtered if counter.coarse_filter.budget is None else size.candidates


def state_bytes(network: BlockNetwork) -> int:
    """Return the bytes of parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in network.state_dict().values())


def training_activations(network: BlockNetwork, shape: Sequence[int], samples: int) -> int:
    """Return the peak of what a forward pass holds while it remembers all for the backward pass."""
    trial = copy.deepcopy(network).train()
    inputs = torch.empty(samples, *shape, device=META)
    return peak_bytes(lambda: trial(inputs))


def scoring_activations(network: BlockNetwork, shape: Sequence[int], samples: int) -> int:
    """Return the peak of what a forward pass holds that remembers nothing; 0 for no samples."""
    if samples == 0:
        return 0
    trial = copy.deepcopy(network).eval()
    inputs = torch.empty(samples, *shape, device=META)
    with torch.no_grad():
        return peak_bytes(lambda: trial(inputs))


def _filter_bytes(counter: RoundCounter, at_once: int, sums: int) -> int:
    """Return the running sums of every class and the features of the samples at hand."""
    features = counter.features(at_once)
    length = features[0].numel()
    return sums * counter.classes * (length + 2) + features.numel() * features.element_size()


def peak_bytes(computation: Callable[[], object]) -> int:
    """Run a computation and return the most bytes of its own tensors that lived at one time."""
    living = _Living()
    with living:
        computation()
    return living.peak


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested lists, tuples and dictionaries."""
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every piece of memory from the operation that made it to its end."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        before = {id(t.untyped_storage()) for t in tensors_in((args, kwargs))}
        output = func(*args, **kwargs)
        for tensor in tensors_in(output):
            storage = tensor.untyped_storage()
            if id(storage) not in before:
                self._follow(storage)
        self.peak = max(self.peak, self.now)
        return output

    def _follow(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.now += size
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size
