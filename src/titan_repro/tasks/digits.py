"""Digits: 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn.

The test part of the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak
1998). Real data that needs no download: the default for a first run and for tests.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from titan_repro.errors import ConfigurationError, DataError
from titan_repro.seeds import generator
from titan_repro.tasks.base import Source, Split, Task, check_labels
from titan_repro.tasks.cache import cached_task

CLASSES = tuple("0123456789")
DARKEST = 16
REINSTALL = "install scikit-learn again"


@dataclass(frozen=True)
class Digits:
    """Loader of scikit-learn's digits, split once and for all into training and test part.

    split_seed: decides which samples are tested; apart from a run's seed, so that runs with
        different seeds are tested on the same samples.
    test_fraction: share of each class that is tested, 0 < test_fraction < 1.
    """

    split_seed: int = 0
    test_fraction: float = 0.2

    name: ClassVar[str] = "digits"
    licence: ClassVar[str] = "CC BY 4.0 (UCI Machine Learning Repository)"
    download_mb: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        if not 0 < self.test_fraction < 1:
            raise ConfigurationError(
                f"task.loader.test_fraction: found {self.test_fraction}; allowed: above 0, below 1"
            )

    def locate(self, data: Path) -> Source:
        """Return the bundled source; `data` plays no part."""
        return Source("bundled", ())

    def load(self, source: Source, cache: Path | None) -> Task:
        """Return inputs (N, 1, 8, 8) uint8 with values 0 to 16; never stored in the cache.

        Raises DataError naming the bundled file where scikit-learn's copy is damaged.
        """
        return cached_task(
            None,
            name=self.name,
            source=f"{self.name} ({source.form})",
            classes=CLASSES,
            settings={},
            files=(),
            prepare=self._read,
        )

    def fetch(self, data: Path) -> None:
        """Do nothing: the data came with scikit-learn."""

    def _read(self) -> tuple[Split, Split]:
        images, targets = _bundled()
        inputs = torch.from_numpy(images).to(torch.uint8).unsqueeze(1)  # (N, 1, 8, 8)
        labels = torch.from_numpy(targets).to(torch.int64)
        test = self._draw_test(labels)
        return Split(inputs[~test], labels[~test]), Split(inputs[test], labels[test])

    def _draw_test(self, labels: Tensor) -> Tensor:
        """Return (N,) bool, True for `test_fraction` of each class, rounded."""
        source = generator(self.split_seed, "digits split")
        test = torch.zeros(len(labels), dtype=torch.bool)
        for label in range(len(CLASSES)):
            members = (labels == label).nonzero().squeeze(1)
            order = torch.randperm(len(members), generator=source)
            test[members[order[: round(self.test_fraction * len(members))]]] = True
        return test


def _bundled() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scikit-learn's images (N, 8, 8) and labels (N,), held against what they must be."""
    from sklearn.datasets import load_digits  # takes a second, so only where it is needed

    file = Path("scikit-learn's digits.csv.gz")
    try:
        bundled = load_digits()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read ({reason}); {REINSTALL}") from None
    images, targets = np.asarray(bundled.images), np.asarray(bundled.target)
    if not len(images) or images.shape[1:] != (8, 8) or targets.shape != images.shape[:1]:
        raise DataError(f"{file}: holds images {images.shape}, labels {targets.shape}; {REINSTALL}")
    wrong = np.flatnonzero(~((images >= 0) & (images <= DARKEST)).all(axis=(1, 2)))
    if len(wrong):
        raise DataError(
            f"{file}: image in row {wrong[0]} holds a value beyond 0 to {DARKEST}; {REINSTALL}"
        )
    check_labels(torch.from_numpy(targets), len(CLASSES), file)
    return images, targets
