"""Small recordings and pictures in the layouts in which Speech Commands comes."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from tasks.parquet_files import FILE_TYPE

RATE = 16_000
SPEAKERS = ("00f0204f", "c22d3f18", "ffd2ba2f")


def noise(seed: int, samples: int = RATE) -> np.ndarray:
    """Return 16-bit noise that gets louder, so that time has a direction."""
    values = np.random.default_rng(seed).normal(0, 1000, samples) * np.linspace(0.1, 4, samples)
    return values.astype(np.int16)


def encode_sound(samples: np.ndarray, kind: str = "WAV", rate: int = RATE, **options) -> bytes:
    """Encode (samples[, channels])."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, **options)
    return file.getvalue()


def file_name(seed: int) -> str:
    return f"{SPEAKERS[seed % 3]}_nohash_{seed}.wav"


def write_folder(
    folder: Path,
    words: Sequence[str],
    train: int = 3,
    validation: int = 1,
    test: int = 2,
) -> Path:
    """Write the official folder; recording i of a word is noise(100 * label + i)."""
    lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    for label, word in enumerate(words):
        (folder / word).mkdir(parents=True)
        for i in range(train + validation + test):
            content = encode_sound(noise(100 * label + i))
            (folder / word / file_name(i)).write_bytes(content)
            if i >= train + validation:
                lists["testing_list.txt"].append(f"{word}/{file_name(i)}")
            elif i >= train:
                lists["validation_list.txt"].append(f"{word}/{file_name(i)}")
    for name, lines in lists.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def write_shard(
    file: Path,
    column: str,
    contents: Iterable[bytes | None],
    labels: Sequence[str],
    speakers: Sequence[str] | None = None,
) -> Path:
    """Write columns `column` (struct<bytes, path>), `label` and `speaker_id`."""
    if speakers is None:
        speakers = [SPEAKERS[i % 3] for i in range(len(labels))]
    structs = pa.array([{"bytes": content, "path": None} for content in contents], FILE_TYPE)
    file.parent.mkdir(parents=True, exist_ok=True)
    table = {column: structs, "label": pa.array(labels), "speaker_id": pa.array(speakers)}
    pq.write_table(pa.table(table), file)
    return file
