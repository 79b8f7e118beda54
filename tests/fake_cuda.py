"""Tensors that say they are on a GPU, on a machine without one.

`fake_cuda()` is a context in which tensors have shapes, types and devices but no contents, so that
"cuda" can be any of the latter. Operations on tensors of two devices raise, and so does whatever
needs contents.

Three things of torch stand in the way where it is built without CUDA, and are dealt with here: it
knows no "device guard" of a GPU (it is given that of its "meta" device, which does nothing);
autograd's engine insists on a GPU to work on (gradients are zeros, on the device of each
parameter); and pinned memory cannot be faked (it is ordinary memory).
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GUARDS = "_ZN3c104impl26device_guard_impl_registryE"
REGISTER = "_ZN3c104impl19registerDeviceGuardENS_10DeviceTypeEPKNS0_24DeviceGuardImplInterfaceE"
CUDA, META, DEVICE_TYPES = 1, 14, 21  # c10/core/DeviceType.h

BETWEEN_DEVICES = ("copy_", "_to_copy")
"""Operators whose purpose is to bring contents from one device to another."""


class OneDeviceError(AssertionError):
    """An operation that a GPU would refuse for where its arguments are."""


class _OneDevice(TorchDispatchMode):
    """Refuses what torch refuses on a real GPU: more than its fake tensors do by themselves."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        result = func(*args, **given)
        if name not in BETWEEN_DEVICES:
            _check(name, args, given, result)
        return result


def _check(name: str, args: Sequence[Any], given: Mapping[str, Any], result: Any) -> None:
    leaves = tree_leaves((args, given))
    indexing = name.startswith(("index.", "index_put", "_index_put")) or name == "index"
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if indexing:  # indices may be on the CPU whatever they point into
        tensors = tensors[:1] + [t for t in tensors[1:] if t.device.type != "cpu"]
    # A CPU tensor without dimensions is a number to any device.
    devices = {t.device for t in tensors if t.ndim > 0 or t.device.type != "cpu"}
    drawn = {t.device.type for t in tree_leaves(result) if isinstance(t, Tensor)}
    generators = {leaf.device.type for leaf in leaves if isinstance(leaf, torch.Generator)}
    if len(devices) > 1 or (generators and generators != drawn):
        found = ", ".join(sorted({*map(str, devices), *drawn}))
        raise OneDeviceError(
            f"{name} on devices {found}, with generators on {generators or 'none'}"
        )


def _learn_of_cuda() -> None:
    """Let torch's own bookkeeping pass over a device that is not there; it stays like that."""
    library = ctypes.CDLL(str(Path(torch.__path__[0], "lib", "libc10.so")))
    if not hasattr(library, GUARDS) or not hasattr(library, REGISTER):
        pytest.skip("this torch keeps its device guards elsewhere")
    guards = (ctypes.c_void_p * DEVICE_TYPES).in_dll(library, GUARDS)
    if guards[CUDA] is None:
        register = library[REGISTER]
        register.argtypes, register.restype = [ctypes.c_int8, ctypes.c_void_p], None
        register(CUDA, guards[META])


@contextmanager
def fake_cuda() -> Iterator[None]:
    """Make all tensors fake inside the block, those from outside of it included."""
    _learn_of_cuda()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "pin_memory", lambda tensor: tensor)
        patch.setattr(torch.autograd, "grad", _zero_gradients)
        patch.setattr(torch.utils, "swap_tensors", _lay_out_as)
        with FakeTensorMode(allow_non_fake_inputs=True), _OneDevice():
            yield


def _lay_out_as(parameter: Tensor, converted: Tensor) -> None:
    """Do what `Module.to(memory_format=...)` does; torch fails where fake tensors are watched."""
    assert parameter.device == converted.device
    parameter.data = converted.data


def _zero_gradients(
    loss: Tensor, parameters: Sequence[Tensor], allow_unused: bool
) -> tuple[Tensor, ...]:
    return tuple(torch.zeros_like(parameter) for parameter in parameters)


def backward_to(network: nn.Module) -> Any:
    """Return what takes the place of `Tensor.backward` for a loss of `network`."""

    def backward(loss: Tensor) -> None:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)

    return backward
