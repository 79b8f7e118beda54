"""The official folder of Speech Commands: `<word>/<speaker>_nohash_<n>.wav` and two split lists.

Its layout is the same for versions 0.01 and 0.02. `validation_list.txt` and `testing_list.txt` name
their recordings; all others are for training.
"""

import logging
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path

import torch

from titan_repro.compat import import_torchaudio
from titan_repro.errors import DataError
from titan_repro.tasks.parallel_decoding import EncodedFile
from titan_repro.tasks.speech_recordings import Recordings, speaker_number

log = logging.getLogger(__name__)

RECORDING = re.compile(r"(?P<speaker>[0-9a-f]+)_nohash_\d+\.wav")
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def read_folder_parts(folder: Path, words: Sequence[str]) -> dict[str, Recordings]:
    """List the parts "train", "validation" and "test" of the official folder, for these words.

    A word without a folder has no recordings. Names in the split lists that are not there, and
    files with other names, are counted in a warning. Raises DataError naming a missing split list.
    """
    part_of = {name: part for part, file in LISTS.items() for name in _read_list(folder / file)}
    found: dict[str, list[tuple[int, Path]]] = {"train": [], "validation": [], "test": []}
    for label, word in enumerate(words):
        for path in _wav_files(folder / word):
            found[part_of.pop(f"{word}/{path.name}", "train")].append((label, path))
    absent = [name for name in part_of if name.split("/")[0] in words]
    if absent:
        log.warning(
            "%s: %d recordings of the split lists are not there, the first is %s",
            folder,
            len(absent),
            absent[0],
        )
    return {part: _recordings(files) for part, files in found.items()}


def download(data: Path, version: str) -> None:
    """Download `version` with torchaudio, which checks its SHA-256, into `data`/SpeechCommands.

    The folder appears there only once it is complete: an interrupted download begins anew, an
    interrupted unpacking is taken up from the archive. Raises DataError if either fails.
    """
    target = data / "SpeechCommands" / version
    if target.exists():
        return
    staging = data / "SpeechCommands" / f"{version}.partial"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        _download(staging, version).replace(target)
        shutil.rmtree(staging)
    except (OSError, RuntimeError, EOFError, HTTPException, tarfile.TarError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{version}: download failed ({reason}); try again, or unpack {version}.tar.gz from "
            f"http://download.tensorflow.org/data into {target}"
        ) from None


def _download(staging: Path, version: str) -> Path:
    """Download and unpack below `staging`; return the unpacked folder."""
    unpacked = staging / "SpeechCommands" / version
    shutil.rmtree(unpacked, ignore_errors=True)  # torchaudio would take half of it for all
    speech = import_torchaudio("torchaudio.datasets.speechcommands")
    try:
        speech.SPEECHCOMMANDS(root=staging, url=version, download=True)
    except (EOFError, tarfile.TarError, zlib.error):
        (staging / f"{version}.tar.gz").unlink(missing_ok=True)
        raise
    return unpacked


def _read_list(file: Path) -> list[str]:
    """Return the recordings that a split list names, as `<word>/<file name>`."""
    try:
        return file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise DataError(
            f"{file}: cannot be read ({reason}); the official split list is needed"
        ) from None


def _wav_files(folder: Path) -> list[Path]:
    """Return a word's recordings in order of their names."""
    try:
        names = sorted(file.name for file in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from None
    recordings = [name for name in names if RECORDING.fullmatch(name)]
    others = sum(name.lower().endswith(".wav") for name in names) - len(recordings)
    if others:
        log.warning(
            "%s: %d files not named <speaker>_nohash_<number>.wav are left out", folder, others
        )
    return [folder / name for name in recordings]


def _recordings(files: list[tuple[int, Path]]) -> Recordings:
    owners = [speaker_number(path.name.split("_")[0], str(path)) for _, path in files]

    def encoded() -> Iterator[EncodedFile]:
        for _, path in files:
            yield EncodedFile(str(path), lambda path=path: _read(path))  # type: ignore[misc]

    return Recordings(
        torch.tensor([label for label, _ in files], dtype=torch.int64),
        torch.tensor(owners, dtype=torch.int64),
        tuple(path for _, path in files),
        encoded,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
