"""Every data set becomes a task: two splits of tensors in memory, normalised by the batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor

from titan_repro.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# pandas and pyarrow are imported by the functions that need them: the processes that select beside
# training import this module and need neither.


@dataclass(frozen=True)
class Split:
    """One part of a data set, whole in memory in its storage type.

    inputs: (N, *input_shape) uint8, float16 or float32.
    labels: (N,) int64, 0 <= label < number of classes.
    user_ids: (N,) int64, the user or device that recorded each sample; None where the data names
        no users.
    """

    inputs: Tensor
    labels: Tensor
    user_ids: Tensor | None = None

    def __len__(self) -> int:
        return self.labels.shape[0]

    def to(self, device: torch.device) -> "Split":
        """Return the split with all its tensors on `device`."""
        user_ids = None if self.user_ids is None else self.user_ids.to(device)
        return Split(self.inputs.to(device), self.labels.to(device), user_ids)


@dataclass(frozen=True)
class Task:
    """A data set ready for training.

    name: the task's name, as in conf/task.
    source: the form in which the data was found, e.g. "cifar10 (parquet)"; quoted with results.
    classes: class names; the position is the label.
    mean, std: per channel or axis, in the stored inputs' units, measured on the training part
        only; broadcastable against input_shape.
    fingerprint: hexadecimal digest of the loaded tensors, so that a run is never continued on
        other data.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    mean: Tensor
    std: Tensor
    fingerprint: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.inputs.shape[1:])

    def normalise(self, inputs: Tensor) -> Tensor:
        """Turn stored inputs (n, *input_shape) into standardised float32 of the same shape.

        Image-like batches (n, c, h, w) come out in channels_last memory format.
        """
        scaled = (inputs.float() - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last) if scaled.ndim == 4 else scaled

    def to(self, device: torch.device) -> "Task":
        """Return the task with all its tensors on `device`; itself if they are there."""
        if self.train.labels.device == device:
            return self
        return replace(
            self,
            train=self.train.to(device),
            test=self.test.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )


@dataclass(frozen=True)
class Source:
    """The place of a data set on disk, and the form in which it was found.

    form: e.g. "parquet", "torchvision", "official folder", "bundled".
    files: all files to be read, or the folders that hold them where there are thousands.
    """

    form: str
    files: tuple[Path, ...]


class Loader(Protocol):
    """Finds one data set on disk, reads it and, where that is allowed, downloads it.

    A loader is a frozen dataclass whose fields are the data set's options in conf/task. Two more
    methods are optional; `titan-data` uses them where they are there:

    count(source) -> DataFrame: samples by class (rows) and split (columns), quicker than `load`.
    find_damage(source) -> Iterator[str]: reads everything, yields a line for each damaged file;
        the first is the message of the DataError that `load` raises.
    """

    name: ClassVar[str]
    licence: ClassVar[str]
    download_mb: ClassVar[float | None]
    """Size of what `fetch` downloads; None where there is nothing to download."""

    def locate(self, data: Path) -> Source:
        """Find the data below the folder `data`, in milliseconds, without reading it.

        Raises DataError saying what was looked for, where, and what to do.
        """
        ...

    def load(self, source: Source, cache: Path | None) -> Task:
        """Read everything into memory. Raises DataError naming the damaged file."""
        ...

    def fetch(self, data: Path) -> None:
        """Download into the folder `data`. Raises DataError with the steps where only a person may.

        An interrupted download is taken up or begun again by the next call.
        """
        ...


def locate(loader: Loader, data: Path) -> Source:
    """Find a data set below the folder `data`.

    Raises DataError as `loader.locate` does, and for a folder that may not be looked into.
    """
    try:
        return loader.locate(data)
    except OSError as error:
        place = error.filename or data
        raise DataError(f"{place}: cannot be looked into ({error.strerror})") from None


def find_damage(loader: Loader, source: Source) -> Iterator[str]:
    """Read all files of `source`, never the cache, and yield one line for each damaged one.

    The first line is the message of the DataError that `loader.load` raises. A loader with its own
    `find_damage` yields the others, too; for one without, all parquet files are read through.
    """
    own = getattr(loader, "find_damage", None)
    if own is not None:
        yield from own(source)
        return
    try:
        loader.load(source, None)
    except DataError as error:
        from titan_repro.tasks.readers.parquet import unreadable_files

        yield str(error)
        yield from unreadable_files(source.files, str(error))


def check_labels(labels: Tensor, classes: int, file: Path) -> None:
    """Raise DataError, naming file and row, unless 0 <= label < classes for all labels (N,)."""
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{file}: label {int(labels[row])} in row {row} (of {len(wrong)} such rows); "
            f"labels must be 0 to {classes - 1}"
        )


def count_labels(classes: tuple[str, ...], splits: Mapping[str, Tensor]) -> "pd.DataFrame":
    """Count labels {split: (N,)} in [0, number of classes): a row a class, a column a split."""
    import pandas as pd

    columns = {
        split: torch.bincount(labels, minlength=len(classes)).tolist()
        for split, labels in splits.items()
    }
    return pd.DataFrame(columns, index=pd.Index(classes, name="class"))


def counts(task: Task) -> "pd.DataFrame":
    """Count a task's samples: a row a class, columns "train" and "test"."""
    return count_labels(task.classes, {"train": task.train.labels, "test": task.test.labels})
