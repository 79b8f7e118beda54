"""Finds operations that would make the host wait for a GPU, on a machine that has none.

`forbid_synchronisation()` is a context in which every tensor operation is looked at before it runs.
Operators whose result or shape depends on tensor contents need the contents on the host, which on
CUDA means waiting for everything queued before.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SYNCHRONISING = frozenset(
    {
        "_local_scalar_dense",  # .item(), .tolist(), int(), float(), bool(), if tensor:
        "is_nonzero",
        "equal",
        "allclose",
        "nonzero",
        "nonzero_static",
        "argwhere",
        "masked_select",
        "bincount",
        "histc",
        "unique_dim",
        "_unique",
        "_unique2",
        "unique_consecutive",
        "repeat_interleave",
        "multinomial",
        "lift_fresh",  # torch.tensor(...): a blocking copy from the host
        "scalar_tensor",  # torch.where(condition, tensor, 1.0): likewise
    }
)


TO_HOST = (Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.cpu)
"""On CPU tensors these touch no operator, so they are caught where Python calls them."""


class SynchronisationError(AssertionError):
    """An operation that would make the host wait for the device."""


class _Calls(TorchFunctionMode):
    """Looks at calls from Python: copies to the host, and copies that wait for the device."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in TO_HOST:
            raise SynchronisationError(f"{func.__name__} waits for the device")
        if func is Tensor.to and not given.get("non_blocking"):
            places = [*args[1:2], given.get("device")]
            if any(isinstance(place, torch.device | str | int) for place in places):
                raise SynchronisationError("to(device) without non_blocking waits for the device")
        return func(*args, **given)


class _Operators(TorchDispatchMode):
    """Looks at the operators that run, whoever calls them."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in SYNCHRONISING:
            raise SynchronisationError(f"{name} waits for the device")
        if name.startswith(("index", "_index")) and _has_mask(args[1:2]):
            raise SynchronisationError(f"{name} with a boolean mask waits for the device")
        return func(*args, **(kwargs or {}))


def _has_mask(indices: Any) -> bool:
    return any(
        isinstance(leaf, Tensor) and leaf.dtype in (torch.bool, torch.uint8)
        for leaf in tree_leaves(indices)
    )


@contextmanager
def forbid_synchronisation() -> Iterator[None]:
    """Raise SynchronisationError at the first operation that would wait for a GPU."""
    with _Calls(), _Operators():
        yield
