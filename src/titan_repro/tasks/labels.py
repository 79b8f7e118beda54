"""Labels: are they in range, and how many samples has each class in each split."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.tasks.base import Task


def check_labels(labels: Tensor, classes: int, file: Path) -> None:
    """Raise DataError, naming file and row, unless 0 <= label < classes for all labels (N,)."""
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{file}: label {int(labels[row])} in row {row} (of {len(wrong)} such rows); "
            f"labels must be 0 to {classes - 1}"
        )


def count_labels(classes: tuple[str, ...], splits: Mapping[str, Tensor]) -> pd.DataFrame:
    """Count labels {split: (N,)} in [0, number of classes): a row a class, a column a split."""
    columns = {
        split: torch.bincount(labels, minlength=len(classes)).tolist()
        for split, labels in splits.items()
    }
    return pd.DataFrame(columns, index=pd.Index(classes, name="class"))


def counts(task: Task) -> pd.DataFrame:
    """Count a task's samples: a row a class, columns "train" and "test"."""
    return count_labels(task.classes, {"train": task.train.labels, "test": task.test.labels})
