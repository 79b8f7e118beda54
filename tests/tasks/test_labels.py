from pathlib import Path

import pytest
import torch

from titan_repro.errors import DataError
from titan_repro.tasks.base import check_labels, count_labels


def test_counts_classes_that_never_occur() -> None:
    table = count_labels(("a", "b", "c"), {"train": torch.tensor([0, 0, 2])})
    assert table["train"].to_dict() == {"a": 2, "b": 0, "c": 1}


@pytest.mark.parametrize("label", [-1, 3])
def test_first_wrong_label_is_named(label: int) -> None:
    check_labels(torch.tensor([0, 2, 1]), 3, Path("f"))
    with pytest.raises(DataError, match=rf"^f: label {label} in row 1 .* 0 to 2"):
        check_labels(torch.tensor([0, label, label]), 3, Path("f"))
