"""Folders and zip files read the same way."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from titan_repro.errors import DataError
from titan_repro.tasks.readers.archives import Archive

PATTERN = re.compile(r"(\d+)/(x|y)\.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    for name in ("1/x.txt", "1/y.txt", "20/x.txt", "20/other.txt", "readme.md"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return root


@pytest.fixture
def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def contents(path: Path) -> dict[tuple[str, ...], bytes]:
    with Archive(path) as archive:
        return {key: archive.read(name) for key, name in archive.find(PATTERN).items()}


def test_folder_and_zip_file_hold_the_same(folder: Path, zipped: Path):
    expected = {("1", "x"): b"1/x.txt", ("1", "y"): b"1/y.txt", ("20", "x"): b"20/x.txt"}
    assert contents(folder) == contents(zipped) == expected


def test_files_on_disk_decide_about_the_cache(folder: Path, zipped: Path):
    with Archive(folder) as archive:
        assert archive.files(["1/x.txt"]) == (folder / "1/x.txt",)
    with Archive(zipped) as archive:
        assert archive.files(["archive/1/x.txt"]) == (zipped,)


def test_what_macos_adds_to_a_zip_file_is_passed_over(zipped: Path):
    expected = contents(zipped)
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr("__MACOSX/archive/1/x.txt", b"resource fork")
    assert contents(zipped) == expected


def test_two_copies_in_one_archive_are_refused(folder: Path):
    shutil.copytree(folder / "1", folder / "copy" / "1")
    with pytest.raises(DataError, match=r"holds 1/x\.txt and copy/1/x\.txt; keep one"):
        contents(folder)


def test_damage_inside_a_zip_file_names_the_entry(tmp_path: Path):
    zipped = tmp_path / "stored.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("1/x.txt", b"12345 12345")
    zipped.write_bytes(zipped.read_bytes().replace(b"12345 12345", b"12345 12340"))
    with pytest.raises(DataError, match=r"stored\.zip/1/x\.txt: damaged in the zip file") as error:
        contents(zipped)
    assert "\n" not in str(error.value)


def test_a_folder_in_a_files_place_is_named(folder: Path, tmp_path: Path):
    (folder / "1/x.txt").unlink()
    (folder / "1/x.txt").mkdir()
    zipped = Path(shutil.make_archive(str(tmp_path / "again"), "zip", folder))
    for path in (folder, zipped):
        with pytest.raises(DataError, match=r"1/x\.txt: is a folder; a text file is needed"):
            contents(path)


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_truncated_zip_file_is_named(zipped: Path, keep: int):
    zipped.write_bytes(zipped.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"archive\.zip: damaged or no zip file"):
        Archive(zipped)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.zip: cannot be read \(No such file"):
        Archive(tmp_path / "gone.zip")
