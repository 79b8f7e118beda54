from collections.abc import Iterator
from pathlib import Path

from tasks.parquet_files import write_images
from titan_repro.errors import DataError
from titan_repro.tasks.base import Source, find_damage


class Loader:
    """Loads nothing; refuses if it is given a refusal. Never to be given a cache."""

    def __init__(self, refusal: str | None = None) -> None:
        self.refusal = refusal

    def load(self, source: Source, cache: Path | None) -> None:
        assert cache is None
        if self.refusal:
            raise DataError(self.refusal)


class Examiner(Loader):
    def find_damage(self, source: Source) -> Iterator[str]:
        yield "its own finding"


def test_a_loader_may_examine_its_files_itself() -> None:
    assert list(find_damage(Examiner("never loaded"), Source("f", ()))) == ["its own finding"]


def test_every_broken_parquet_file_is_named_after_what_loading_meets(tmp_path: Path) -> None:
    files = tuple(tmp_path / f"{name}.parquet" for name in "abc")
    for file in files:
        write_images(file, [b"x"], [0])
    for file in files[1:]:
        file.write_bytes(file.read_bytes()[:-9])
    found = list(find_damage(Loader(f"{files[1]}: is damaged"), Source("parquet", files)))
    assert found[0] == f"{files[1]}: is damaged"
    assert [line.split(": ")[0] for line in found] == [str(file) for file in files[1:]]


def test_whole_files_are_loaded_to_see_what_is_in_them(tmp_path: Path) -> None:
    file = write_images(tmp_path / "a.parquet", [b"x"], [0])
    source = Source("parquet", (file, tmp_path))
    assert list(find_damage(Loader("row 3 is wrong"), source)) == ["row 3 is wrong"]
    assert list(find_damage(Loader(), source)) == []
