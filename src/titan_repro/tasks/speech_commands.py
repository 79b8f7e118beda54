"""Google Speech Commands (Warden 2018): recordings of single words, one second each.

The paper trains on 20 of its words and describes no front end; see `readers.audio`.
"""

import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from titan_repro.compat import import_torchaudio
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.tasks.base import Source, Task
from titan_repro.tasks.readers.audio import LogMel, decode
from titan_repro.tasks.readers.recordings import (
    EncodedFile,
    Recordings,
    read_folder_parts,
    read_parquet_parts,
)
from titan_repro.tasks.readers.speech import (
    Decoder,
    build_speech_task,
    check_validation,
    check_words,
    count_parts,
    damaged_recordings,
    train_and_test,
)

if TYPE_CHECKING:
    import pandas as pd

VERSIONS = ("speech_commands_v0.02", "speech_commands_v0.01")
PARQUET = "parquet"
PARQUET_FOLDER = "speech_commands_audio"
PREPARATION = 1
"""Raised when the same settings would give other spectrograms, so that cached ones are not used."""


@dataclass(frozen=True)
class SpeechCommands:
    """Loader of Speech Commands as log-mel spectrograms (1, bands, frames) in float16.

    words: the classes, in order of their labels; other words are left out.
    validation: where the official validation part goes, "drop", "train" or "test". Dropped by
        default, so that training and test parts are the official ones.
    version: "v0.02", "v0.01" or "any", the first found of v0.02, v0.01 and the parquet files.
    bands, window_ms, hop_ms, lowest_hz, highest_hz, floor, centred: the spectrogram, as in
        `LogMel`.

    `user_ids` are the speakers' hexadecimal numbers. It reads the official folder, as torchaudio
    downloads it, and parquet files with columns `audio` (WAV or FLAC), `label` and `speaker_id`.
    """

    name: ClassVar[str] = "speech_commands"
    licence: ClassVar[str] = "CC BY 4.0 (Pete Warden, Google)"
    download_mb: ClassVar[float | None] = 2429.0

    words: Sequence[str]
    validation: str = "drop"
    version: str = "any"
    bands: int = LogMel.bands
    window_ms: float = LogMel.window_ms
    hop_ms: float = LogMel.hop_ms
    lowest_hz: float = LogMel.lowest_hz
    highest_hz: float = LogMel.highest_hz
    floor: float = LogMel.floor
    centred: bool = LogMel.centred

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", check_words(self.words))
        check_validation(self.validation)
        if self.version not in ("any", "v0.02", "v0.01"):
            raise ConfigurationError(
                f"task.loader.version: found {self.version}; allowed: any, v0.02, v0.01"
            )
        self._front_end()

    def locate(self, data: Path) -> Source:
        """Find the official folder or parquet files below `data`; DataError if there is neither."""
        versions = [v for v in VERSIONS if self.version in ("any", v.rpartition("_")[2])]
        folders = [data / path for v in versions for path in (f"SpeechCommands/{v}", v)]
        for folder in folders:
            if folder.is_dir():
                return Source(f"official folder {folder.name.rpartition('_')[2]}", (folder,))
        shards = tuple(sorted((data / PARQUET_FOLDER).glob("*-*-of-*.parquet")))
        if shards and self.version == "any":
            return Source(PARQUET, shards)
        looked_for = [str(folder.relative_to(data)) for folder in folders]
        looked_for += [f"{PARQUET_FOLDER}/train-*.parquet"] if self.version == "any" else []
        raise DataError(
            f"speech_commands: none of {', '.join(looked_for)} in {data}; "
            "run `titan-data fetch speech_commands` or point paths.data at the data"
        )

    def load(self, source: Source, cache: Path | None) -> Task:
        """Read all recordings of the words and make their spectrograms, or read these from `cache`.

        Raises DataError naming a recording that is empty, cut short or of another format.
        """
        parts = self._list(source)
        front_end = self._front_end()
        return build_speech_task(
            self.name,
            source.form,
            self.words,
            train_and_test(parts, self.validation, self.words, _folder(source)),
            torch.empty(0, *front_end.shape, dtype=torch.float16),
            lambda: _decoder(front_end),
            {"front_end": asdict(front_end), "preparation": PREPARATION},
            cache,
        )

    def count(self, source: Source) -> "pd.DataFrame":
        """Count the official parts by word; nothing is decoded."""
        return count_parts(self._list(source), self.words)

    def find_damage(self, source: Source) -> Iterator[str]:
        """Decode every recording of the words and yield one line for each that is damaged."""
        return damaged_recordings(
            source,
            _folder(source),
            self.words,
            self.validation,
            lambda: self._list(source),
            lambda file: decode(file.read(), file.name),
        )

    def fetch(self, data: Path) -> None:
        """Download the version asked for (v0.02 for "any") with torchaudio, checked by SHA-256."""
        _download(data, f"speech_commands_{'v0.02' if self.version == 'any' else self.version}")

    def _front_end(self) -> LogMel:
        return LogMel(
            self.bands,
            self.window_ms,
            self.hop_ms,
            self.lowest_hz,
            self.highest_hz,
            self.floor,
            self.centred,
        )

    def _list(self, source: Source) -> dict[str, Recordings]:
        if source.form == PARQUET:
            return read_parquet_parts(_folder(source), "audio", self.words)
        return read_folder_parts(_folder(source), self.words)


def _folder(source: Source) -> Path:
    return source.files[0].parent if source.form == PARQUET else source.files[0]


def _decoder(front_end: LogMel) -> Decoder:
    """Return the function from n recordings to (n, 1, bands, frames)."""
    transform = front_end.transform()

    def log_mel(files: list[EncodedFile]) -> Tensor:
        waveforms = np.stack([decode(file.read(), file.name) for file in files])  # (n, 16000)
        return transform(torch.from_numpy(waveforms))

    return log_mel


def _download(data: Path, version: str) -> None:
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
        _unpacked(staging, version).replace(target)
        shutil.rmtree(staging)
    except (OSError, RuntimeError, EOFError, HTTPException, tarfile.TarError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{version}: download failed ({reason}); try again, or unpack {version}.tar.gz from "
            f"http://download.tensorflow.org/data into {target}"
        ) from None


def _unpacked(staging: Path, version: str) -> Path:
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
