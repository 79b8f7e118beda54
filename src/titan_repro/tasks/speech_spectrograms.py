"""Speech Commands v0.02 as precomputed mel spectrograms: one greyscale JPEG a recording.

How they were made is not documented. Compared with 400 of the same recordings, a pixel is close to
10 log(mel power) + 147 with the default front end of `speech_commands`: the correlation within a
picture has a median of 0.994.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.tasks.base import Source, Task
from titan_repro.tasks.readers.images import decode_image
from titan_repro.tasks.readers.recordings import EncodedFile, Recordings, read_parquet_parts
from titan_repro.tasks.readers.speech import (
    build_speech_task,
    check_validation,
    check_words,
    count_parts,
    damaged_recordings,
    train_and_test,
)

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "speech_commands_spectrograms"
BANDS, FRAMES = 40, 98
PREPARATION = 1
"""Raised when the same files would give other tensors, so that cached ones are not used."""


@dataclass(frozen=True)
class SpeechSpectrograms:
    """Loader of the precomputed spectrograms as uint8 (1, 40 bands, 98 frames), lowest band first.

    words: the classes, in order of their labels; other words are left out.
    validation: where the official validation part goes, "drop", "train" or "test".

    `user_ids` are the speakers' hexadecimal numbers. Each picture is stored time downwards, so it
    is transposed to the axes of `speech_commands`.
    """

    name: ClassVar[str] = "speech_spectrograms"
    licence: ClassVar[str] = "CC BY 4.0 (Pete Warden, Google)"
    download_mb: ClassVar[float | None] = None

    words: Sequence[str]
    validation: str = "drop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", check_words(self.words))
        check_validation(self.validation)

    def locate(self, data: Path) -> Source:
        """Find the parquet files below `data`. Raises DataError if there are none."""
        shards = tuple(sorted((data / FOLDER).glob("*-*-of-*.parquet")))
        if not shards:
            raise DataError(
                f"speech_spectrograms: no {FOLDER}/train-*.parquet in {data}; put the parquet "
                "files there or point paths.data at the folder that holds them"
            )
        return Source("parquet", shards)

    def load(self, source: Source, cache: Path | None) -> Task:
        """Decode all pictures of the words, or read them from `cache`.

        Raises DataError naming a file and row that cannot be decoded or has another size.
        """
        parts = self._list(source)
        folder = source.files[0].parent
        return build_speech_task(
            self.name,
            source.form,
            self.words,
            train_and_test(parts, self.validation, self.words, folder),
            torch.empty(0, 1, BANDS, FRAMES, dtype=torch.uint8),
            lambda: _decode,
            {"preparation": PREPARATION},
            cache,
        )

    def count(self, source: Source) -> "pd.DataFrame":
        """Count the official parts by word; nothing is decoded."""
        return count_parts(self._list(source), self.words)

    def find_damage(self, source: Source) -> Iterator[str]:
        """Decode every picture of the words and yield one line for each that is damaged."""
        return damaged_recordings(
            source,
            source.files[0].parent,
            self.words,
            self.validation,
            lambda: self._list(source),
            _picture,
        )

    def fetch(self, data: Path) -> None:
        """Raise DataError with the steps: the copy has no download that a library offers."""
        raise DataError(
            f"speech_spectrograms: no download is offered; put {{train,validation,test}}-*.parquet "
            f"with columns image, label and speaker_id into {data / FOLDER}, or use "
            "task=speech_commands"
        )

    def _list(self, source: Source) -> dict[str, Recordings]:
        return read_parquet_parts(source.files[0].parent, "image", self.words)


def _decode(files: list[EncodedFile]) -> Tensor:
    """Decode n pictures to (n, 1, 40, 98)."""
    pictures = np.stack([_picture(file) for file in files])  # (n, 98, 40)
    return torch.from_numpy(pictures).transpose(1, 2).unsqueeze(1)


def _picture(file: EncodedFile) -> NDArray[np.uint8]:
    """Decode one picture to (98, 40)."""
    return decode_image(file.read(), (FRAMES, BANDS), "L", file.name)
