import os
from pathlib import Path

import pytest

from titan_repro.files import remove_partials, sync_folder, write_atomically


@pytest.fixture(autouse=True)
def _fsync_is_real(real_fsync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", real_fsync)


def test_writes_into_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    with write_atomically(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_block_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with write_atomically(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fill() -> None:
        with write_atomically(path) as file, Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), file.fileno())
            file.write(b"new")

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_contents_reach_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        size = target.stat().st_size if target.is_file() else None
        events.append(("fsync", target.suffix or target.name, size))
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        events.append(("replace", target.name, self.stat().st_size))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    with write_atomically(tmp_path / "file") as file:
        file.write(b"12345")
    assert events == [
        ("fsync", ".partial", 5),
        ("replace", "file", 5),
        ("fsync", tmp_path.name, None),
    ]


def test_only_temporary_files_of_this_folder_are_removed(tmp_path: Path) -> None:
    kept = [tmp_path / ".hidden", tmp_path / "file.partial", tmp_path / "sub" / ".x.1.partial"]
    kept[2].parent.mkdir()
    for file in [*kept, tmp_path / ".file.abc.partial"]:
        file.write_bytes(b"")
    remove_partials(tmp_path)
    assert sorted(tmp_path.rglob("*")) == sorted([*kept, kept[2].parent])
    remove_partials(tmp_path / "absent")


def test_partials_of_the_writer_itself_are_recognised(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "file") as file:
        abandoned = Path(file.name)
        assert abandoned.parent == tmp_path
        os.link(abandoned, tmp_path / f"{abandoned.stem}2{abandoned.suffix}")
    remove_partials(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_syncing_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "absent")
