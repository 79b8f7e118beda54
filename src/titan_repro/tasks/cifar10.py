"""CIFAR-10: 50,000 + 10,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky 2009).

Read from torchvision's download, whose checksums are verified, or from Hugging Face's parquet
files. The paper's image data (section 4.1).
"""

import http.client
import logging
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from titan_repro.compat import import_torchvision
from titan_repro.errors import DataError
from titan_repro.tasks.base import Source, Split, Task, check_labels, count_labels, counts
from titan_repro.tasks.cache import cached_task
from titan_repro.tasks.readers.images import decode_images, image_format
from titan_repro.tasks.readers.lfs import refuse_pointer_file
from titan_repro.tasks.readers.parquet import (
    embedded_files,
    find_shards,
    first_row,
    integers,
    linked_files,
    read_columns,
)

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SHAPE = (3, 32, 32)
IMAGE = embedded_files("img", "image")
LABEL = integers("label")

BATCHES = "cifar-10-batches-py"
BATCH_FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
ORIGINAL = "torchvision original, checksummed"
PARQUET = "parquet"


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 as uint8 (N, 3, 32, 32), red, green, blue."""

    name: ClassVar[str] = "cifar10"
    licence: ClassVar[str] = "as published by Krizhevsky (2009), no explicit licence"
    download_mb: ClassVar[float | None] = 170.5

    def locate(self, data: Path) -> Source:
        """Find `cifar-10-batches-py` or parquet files in `data`/cifar10 or `data` itself.

        Where both are there the original is taken and the log says so. Raises DataError if neither
        is, if some of the files of the one found are missing, or if a folder cannot be read.
        """
        try:
            source = _find(data)
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from None
        if source is None:
            raise DataError(
                f"{data.absolute()}: no cifar10 found; looked for {BATCHES}/ and for "
                "train-*-of-*.parquet with test-*-of-*.parquet, there and in its folder cifar10/; "
                "run `titan-data fetch cifar10`, or set TITAN_DATA or paths.data= to where it is"
            )
        return source

    def load(self, source: Source, cache: Path | None) -> Task:
        """Read all images; a few seconds the first time, then from the cache.

        Raises DataError naming the file, and the row in a parquet file, that is not as it should
        be: damaged, failing its checksum, an image that is not 32x32 RGB, a label beyond 0..9.
        """
        return cached_task(
            cache,
            name=self.name,
            source=f"{self.name} ({_describe(source)})",
            classes=CLASSES,
            settings={"version": 1},
            files=_all_files(source),
            prepare=lambda: _read(source),
        )

    def count(self, source: Source) -> "pd.DataFrame":
        """Count samples by class and split; of parquet files only the labels are read."""
        if source.form != PARQUET:
            return counts(self.load(source, None))
        labels = {
            split: torch.cat([_read_labels(file) for file in _shards(source, split)])
            for split in ("train", "test")
        }
        return count_labels(CLASSES, labels)

    def find_damage(self, source: Source) -> Iterator[str]:
        """Read all files and yield one line for each damaged one."""
        read = _check_original if source.form != PARQUET else _read_shard
        for file in source.files:
            try:
                read(file)
            except DataError as error:
                yield str(error)

    def fetch(self, data: Path) -> None:
        """Download the original with torchvision into `data`/cifar10 and verify its checksum.

        An interrupted download is begun again. Raises DataError if it cannot be completed.
        """
        folder = data / "cifar10"
        try:
            import_torchvision("torchvision.datasets").CIFAR10(folder, download=True)
        except (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError) as e:
            raise DataError(
                f"{folder}: cifar10 could not be downloaded ({' '.join(str(e).split())}); check "
                f"the network and the folder, or put {BATCHES}/ there by hand"
            ) from e


def _find(data: Path) -> Source | None:
    """Return what is there: the original before the parquet files, None if there is neither."""
    for folder in (data / "cifar10", data):
        if (folder / BATCHES).is_dir():
            files = tuple(folder / BATCHES / name for name in BATCH_FILES)
            _check_present(files)
            if next(folder.glob("train-*-of-*.parquet"), None):
                log.info("%s: taken before the parquet copy beside it", folder / BATCHES)
            return Source(ORIGINAL, files)
    parquet = _find_parquet(data)
    return Source(PARQUET, parquet) if parquet else None


def _find_parquet(data: Path) -> tuple[Path, ...]:
    """Return all parquet files of the first folder that has some, () if none has."""
    for folder in (data / "cifar10", data / "cifar10" / "plain_text", data):
        train, test = (find_shards(folder, split) for split in ("train", "test"))
        if train and test:
            return train + test
        if train or test:
            missing = "test" if train else "train"
            raise DataError(
                f"{folder / missing}-*-of-*.parquet: not found beside the other part of cifar10"
            )
    return ()


def _check_present(files: tuple[Path, ...]) -> None:
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: not found ({len(missing)} of {len(files)} files are missing); "
            "run `titan-data fetch cifar10`, or remove the folder to use another copy"
        )


def _describe(source: Source) -> str:
    """Return the form with the images' encoding: accuracies on a JPEG copy are not comparable."""
    if source.form != PARQUET:
        return source.form
    return f"{PARQUET}, {image_format(first_row(source.files[0], IMAGE))} images"


def _all_files(source: Source) -> tuple[Path, ...]:
    """Return all files to be read, with those that rows of parquet files only name."""
    if source.form != PARQUET:
        return source.files
    return (*source.files, *(link for file in source.files for link in linked_files(file, IMAGE)))


def _read(source: Source) -> tuple[Split, Split]:
    if source.form != PARQUET:
        return _read_original(source.files)
    train, test = (
        [_read_shard(file) for file in _shards(source, split)] for split in ("train", "test")
    )
    return _join(train), _join(test)


def _shards(source: Source, split: str) -> list[Path]:
    return [file for file in source.files if file.name.startswith(f"{split}-")]


def _read_shard(file: Path) -> Split:
    """Return one parquet file as a split; what costs little is checked first.

    The first row goes before the labels because `load` begins with it, to describe the source:
    `find_damage` then says the same.
    """
    first_row(file, IMAGE)
    labels = _read_labels(file)
    encoded = read_columns(file, IMAGE)["img"].to_pylist()
    return Split(torch.from_numpy(decode_images(encoded, SHAPE, file)), labels)


def _read_labels(file: Path) -> torch.Tensor:
    labels = torch.tensor(read_columns(file, LABEL)["label"].to_numpy())
    if not len(labels):
        raise DataError(f"{file}: has no rows; at least one is needed")
    check_labels(labels, len(CLASSES), file)
    return labels


def _join(parts: list[Split]) -> Split:
    if len(parts) == 1:
        return parts[0]
    return Split(torch.cat([p.inputs for p in parts]), torch.cat([p.labels for p in parts]))


def _check_original(file: Path) -> None:
    """Raise DataError unless the file has the checksum that torchvision knows."""
    datasets = import_torchvision("torchvision.datasets")
    known = dict(datasets.CIFAR10.train_list + datasets.CIFAR10.test_list)
    known[datasets.CIFAR10.meta["filename"]] = datasets.CIFAR10.meta["md5"]
    try:
        intact = datasets.utils.check_integrity(file, known[file.name])
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    if not intact:
        refuse_pointer_file(file)
        raise DataError(
            f"{file}: does not match torchvision's checksum {known[file.name]}; remove the folder "
            "and run `titan-data fetch cifar10`"
        )


def _read_original(files: tuple[Path, ...]) -> tuple[Split, Split]:
    """Return both parts of the original, each file compared with its checksum."""
    for file in files:
        _check_original(file)
    root = files[0].parent.parent
    original = import_torchvision("torchvision.datasets").CIFAR10
    train, test = (original(root, train=train) for train in (True, False))
    return _from_torchvision(train.data, train.targets), _from_torchvision(test.data, test.targets)


def _from_torchvision(images: np.ndarray, labels: list[int]) -> Split:
    """Turn images (N, 32, 32, 3) into (N, 3, 32, 32)."""
    inputs = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return Split(inputs, torch.tensor(labels))
