"""What a computation costs whatever it runs on: arithmetic, bytes moved, kernels launched.

Everything is counted on PyTorch's meta device, where operations have shapes but no data: counting a
training step of ResNet-50 takes half a second and changes no weight.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.training import Schedule, Trainer

META = torch.device("meta")

WITHOUT_KERNEL = frozenset(
    ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view")
)
"""aten operations besides views that move no data: they reserve memory or rename it."""


@dataclass(frozen=True)
class Work:
    """What is to be done, without saying how fast.

    flops: floating-point operations of convolutions and matrix products, forward, 2 a multiply-add.
    backward_flops: the same in backward passes.
    bytes: read and written by all operations, each input and output once: as if nothing stayed in
        a cache from one operation to the next.
    launches: operations that run a kernel; views do not.
    """

    flops: float = 0.0
    backward_flops: float = 0.0
    bytes: float = 0.0
    launches: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.flops + other.flops,
            self.backward_flops + other.backward_flops,
            self.bytes + other.bytes,
            self.launches + other.launches,
        )

    def __mul__(self, times: float) -> "Work":
        return Work(
            self.flops * times,
            self.backward_flops * times,
            self.bytes * times,
            self.launches * times,
        )

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds of forward and backward passes: half the floating-point operations."""
        return (self.flops + self.backward_flops) / 2


NO_WORK = Work()


def count(computation: Callable[[], object]) -> Work:
    """Run a computation and return its work, all arithmetic as forward."""
    arithmetic = FlopCounterMode(display=False, custom_mapping=_CORRECTED)
    traffic = _Traffic()
    with arithmetic, traffic:
        computation()
    return Work(float(arithmetic.get_total_flops()), 0.0, traffic.bytes, traffic.launches)


def shallow_work(
    network: BlockNetwork, input_shape: Sequence[int], blocks: int, samples: int
) -> Work:
    """Return the work of the first blocks' forward pass over samples at once: of features.

    input_shape: of one sample. The network is not changed, nor by the functions below.
    """
    on_meta = meta_copy(network)
    with torch.no_grad(), scoring_mode(on_meta, "running"):
        return count(lambda: on_meta.features(_inputs(samples, input_shape), blocks))


def scoring_work(
    network: BlockNetwork,
    input_shape: Sequence[int],
    samples: int,
    scoring_norm: str = "running",
) -> Work:
    """Return the work of one forward pass over samples at once, for embeddings and logits."""
    on_meta = meta_copy(network)
    with torch.no_grad(), scoring_mode(on_meta, scoring_norm):
        return count(lambda: on_meta(_inputs(samples, input_shape)))


def training_work(network: BlockNetwork, input_shape: Sequence[int], samples: int) -> Work:
    """Return the work of one training step: forward, backward and the update of the weights."""
    trainer = Trainer(meta_copy(network), Schedule(0.1, 1.0, 1))
    inputs = _inputs(samples, input_shape)
    labels = torch.empty(samples, dtype=torch.int64, device=META)
    weights = torch.empty(samples, device=META)
    total = count(lambda: trainer.step(inputs, labels, weights, 0))
    return as_backward(total, scoring_work(network, input_shape, samples).flops)


def as_backward(total: Work, forward_flops: float) -> Work:
    """Return `total` with all its arithmetic beyond `forward_flops` booked as backward."""
    return Work(forward_flops, total.flops - forward_flops, total.bytes, total.launches)


def meta_copy(network: BlockNetwork) -> BlockNetwork:
    """Return a copy without data."""
    return copy.deepcopy(network).to(META)


def _inputs(samples: int, input_shape: Sequence[int]) -> Tensor:
    return torch.empty(samples, *input_shape, device=META)


def size_in_bytes(tensor: Tensor) -> int:
    """Return the bytes that a tensor stands for: of an expanded one, those that exist."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up bytes and kernels of every operation below autograd."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0.0
        self.launches = 0.0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if has_kernel(func):
            self.launches += 1
            self.bytes += sum(size_in_bytes(t) for t in tensors_in((args, kwargs, output)))
        return output


def has_kernel(operation: Any) -> bool:
    """Return whether an operation computes or copies, rather than look at memory another way."""
    if operation.namespace != "aten" or operation.overloadpacket.__name__ in WITHOUT_KERNEL:
        return False
    returns = operation._schema.returns
    return not any(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested lists, tuples and dictionaries."""
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _convolution_backward_flops(
    grad_shape: Sequence[int],
    input_shape: Sequence[int],
    weight_shape: Sequence[int],
    *arguments: Any,
    out_shape: Any = None,
    **_: Any,
) -> int:
    """Return the operations of a convolution's input and weight gradients.

    Each of the two does every multiply-add of the forward pass once more. PyTorch's own formula
    takes the weight gradient of a grouped convolution for that of an ungrouped one: times 32 to
    1024 for MobileNet's depthwise layers (seen in 2.13).
    """
    transposed, wanted = arguments[4], arguments[7]
    positions = (input_shape if transposed else grad_shape)[2:]
    forward = 2 * input_shape[0] * math.prod(positions) * math.prod(weight_shape)
    return forward * (int(wanted[0]) + int(wanted[1]))


_CORRECTED = {torch.ops.aten.convolution_backward: _convolution_backward_flops}
