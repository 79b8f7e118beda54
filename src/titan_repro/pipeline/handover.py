"""Objects sent to another process: their structure is pickled, their shared tensors are not."""

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from titan_repro.compat import import_torchvision
from titan_repro.errors import ConfigurationError
from titan_repro.pipeline.channel import Channel
from titan_repro.pipeline.shared import HOST, Area, area_of, shared_copies
from titan_repro.tasks.base import Split, Task


def share_task(task: Task) -> Task:
    """Return the task with its training part in shared memory, for a stream that others get too.

    A task that is there already is returned as it is.
    """
    train = task.train
    if area_of(train.inputs) is not None:
        return task
    user_ids = () if train.user_ids is None else (train.user_ids,)
    parts = (train.inputs, train.labels, *user_ids)
    return replace(task, train=Split(*shared_copies("data", parts)))


def send_packed(channel: Channel, value: Any) -> None:
    """Send an object to the process at the other end, which calls `receive_packed`.

    Tensors in shared memory are sent by their place in it, all others by value. A task goes
    without its test part, which nobody needs who selects.
    Raises ConfigurationError if something in it cannot be pickled.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"executor=processes: selector, stream and model must be picklable: {error}"
        ) from error
    channel.send(len(pickler.areas))
    channel.send_descriptors([area.descriptor for area in pickler.areas])
    channel.send_bytes(file.getbuffer())


def receive_packed(channel: Channel) -> Any:
    """Return the object that the process at the other end sends with `send_packed`."""
    (number,) = channel.receive()
    descriptors = channel.receive_descriptors(number)
    areas = [Area(each, os.fstat(each).st_size).bytes() for each in descriptors]
    return _Unpickler(io.BytesIO(channel.receive_bytes()), areas).load()


def on_host(state: Any) -> Any:
    """Return a state, dictionaries of tensors and plain values, with all tensors on the host.

    A message to a process that has no business with the device that they are on holds this.
    """
    if isinstance(state, Mapping):
        return {name: on_host(value) for name, value in state.items()}
    return state.to(HOST) if isinstance(state, Tensor) else state


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.areas: list[Area] = []

    def persistent_id(self, value: Any) -> tuple[Any, ...] | None:
        """Return the place of a tensor in shared memory, None for whatever is pickled."""
        if type(value) is not Tensor or (area := area_of(value)) is None:
            return None
        if area not in self.areas:
            self.areas.append(area)
        number, begin = self.areas.index(area), value.storage_offset()
        return number, begin, value.dtype, tuple(value.shape), value.stride()

    def reducer_override(self, value: Any) -> Any:
        """Say how a task is pickled; everything else is as usual."""
        if not isinstance(value, Task) or len(value.test) == 0:
            return NotImplemented
        test = Split(value.test.inputs[:0].clone(), value.test.labels[:0].clone())
        return replace(value, test=test).__reduce_ex__(pickle.HIGHEST_PROTOCOL)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, areas: list[Tensor]) -> None:
        super().__init__(file)
        self.areas = areas

    def persistent_load(self, place: tuple[Any, ...]) -> Tensor:
        number, begin, dtype, shape, strides = place
        storage = self.areas[number].untyped_storage()
        return torch.empty(0, dtype=dtype).set_(storage, begin, shape, strides)

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function; torchvision's need more than an import (see `compat`)."""
        if module.partition(".")[0] == "torchvision":
            import_torchvision(module)
        return super().find_class(module, name)
