"""Downloading Speech Commands: torchaudio is used as it is, only its transfer is replaced."""

import shutil
import tarfile
from pathlib import Path
from urllib.error import URLError

import pytest

from tasks.speech_files import write_folder
from titan_repro.compat import import_torchaudio
from titan_repro.errors import DataError
from titan_repro.tasks.speech_commands import SpeechCommands

LOADER = SpeechCommands(("yes", "no"))
TARGET = "SpeechCommands/speech_commands_v0.02"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "original", LOADER.words)
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    return tmp_path / "archive.tar.gz"


@pytest.fixture
def transfers(archive: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Replace the transfer with a copy of the archive; return the list of (URL, checksum) asked."""
    asked: list[tuple[str, str]] = []

    def transfer(url: str, destination: str, hash_prefix: str) -> None:
        asked.append((url, hash_prefix))
        shutil.copy(archive, destination)

    replace_transfer(monkeypatch, transfer)
    return asked


def replace_transfer(monkeypatch: pytest.MonkeyPatch, transfer) -> None:
    module = import_torchaudio("torchaudio.datasets.speechcommands")
    monkeypatch.setattr(module, "download_url_to_file", transfer)


def test_what_is_fetched_can_be_loaded(tmp_path: Path, transfers: list[tuple[str, str]]) -> None:
    data = tmp_path / "data"
    LOADER.fetch(data)
    assert len(LOADER.load(LOADER.locate(data), None).train) == 6
    assert [path.name for path in (data / "SpeechCommands").iterdir()] == ["speech_commands_v0.02"]
    ((url, checksum),) = transfers
    assert url.endswith("speech_commands_v0.02.tar.gz")
    assert len(checksum) == 64  # SHA-256
    LOADER.fetch(data)
    assert len(transfers) == 1


def test_the_version_asked_for_is_fetched(tmp_path: Path, transfers: list[tuple[str, str]]) -> None:
    SpeechCommands(("yes", "no"), version="v0.01").fetch(tmp_path / "data")
    assert transfers[0][0].endswith("speech_commands_v0.01.tar.gz")


@pytest.mark.parametrize(
    "error", [URLError("no network"), RuntimeError("invalid hash value"), EOFError()]
)
def test_a_failure_is_one_line_and_leaves_nothing_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def transfer(*_: object, **__: object) -> None:
        raise error

    replace_transfer(monkeypatch, transfer)
    with pytest.raises(DataError) as caught:
        LOADER.fetch(tmp_path / "data")
    assert str(caught.value).startswith("speech_commands_v0.02: download failed (")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data" / TARGET).exists()
    with pytest.raises(DataError, match="none of"):
        LOADER.locate(tmp_path / "data")


def test_an_interrupted_unpacking_is_taken_up(
    tmp_path: Path, archive: Path, transfers: list[tuple[str, str]]
) -> None:
    data = tmp_path / "data"
    staging = data / f"{TARGET}.partial"
    (staging / TARGET / "yes").mkdir(parents=True)
    (staging / TARGET / "yes" / "00f0204f_nohash_0.wav").write_bytes(b"half")
    shutil.copy(archive, staging / "speech_commands_v0.02.tar.gz")
    LOADER.fetch(data)
    assert transfers == []
    assert len(LOADER.load(LOADER.locate(data), None).train) == 6


def test_an_archive_that_cannot_be_unpacked_is_fetched_again(
    tmp_path: Path, transfers: list[tuple[str, str]]
) -> None:
    data = tmp_path / "data"
    staging = data / f"{TARGET}.partial"
    staging.mkdir(parents=True)
    (staging / "speech_commands_v0.02.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="download failed"):
        LOADER.fetch(data)
    LOADER.fetch(data)
    assert len(transfers) == 1
