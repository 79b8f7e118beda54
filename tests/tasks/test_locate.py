"""Finding a data set in a folder that may not be looked into."""

from pathlib import Path

import pytest

from titan_repro.errors import DataError
from titan_repro.tasks.base import Source, locate
from titan_repro.tasks.digits import Digits


def test_a_folder_that_may_not_be_looked_into_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Digits, data: Path) -> Source:
        raise PermissionError(13, "Permission denied", str(data / "cifar10"))

    monkeypatch.setattr(Digits, "locate", refuse)
    with pytest.raises(DataError, match=r"^/data/cifar10: cannot be looked into \(Permission"):
        locate(Digits(), Path("/data"))
