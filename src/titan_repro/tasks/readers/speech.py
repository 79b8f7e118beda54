"""What the tasks of spoken words share, from their options to a task that is ready for training."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor
from tqdm import tqdm

from titan_repro.errors import ConfigurationError, DataError
from titan_repro.tasks.base import Source, Split, Task, count_labels
from titan_repro.tasks.cache import USER_IDS, cached_task, fingerprint_tensors
from titan_repro.tasks.readers.parquet import unreadable_files
from titan_repro.tasks.readers.recordings import EncodedFile, Recordings, decode_into

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

VALIDATION = ("drop", "train", "test")
BAND_AXIS = 1
"""Position of the bands in a spectrogram's shape (1, bands, frames)."""

Decoder = Callable[[list[EncodedFile]], Tensor]
"""From n recordings to n spectrograms (n, 1, bands, frames)."""


def check_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return a task's classes as a tuple. Raises ConfigurationError unless they can be classes."""
    key = "task.loader.words"
    if isinstance(words, str) or len(words) < 2 or len(set(words)) < len(words):
        raise ConfigurationError(f"{key}: found {words}; allowed: a list of two or more words")
    for word in words:
        if not isinstance(word, str):
            raise ConfigurationError(
                f"{key}: found {word!r}; allowed: text, so that in YAML yes, no, on and off stand "
                "in quotes"
            )
    return tuple(words)


def check_validation(validation: str) -> None:
    """Raise ConfigurationError unless it says where the official validation part goes."""
    if validation not in VALIDATION:
        raise ConfigurationError(
            f"task.loader.validation: found {validation}; allowed: {', '.join(VALIDATION)}"
        )


def count_parts(parts: Mapping[str, Recordings], words: Sequence[str]) -> "pd.DataFrame":
    """Count recordings: a row a word, a column an official part."""
    return count_labels(tuple(words), {part: parts[part].labels for part in parts})


def train_and_test(
    parts: Mapping[str, Recordings], validation: str, words: Sequence[str], source: Path
) -> dict[str, Recordings]:
    """Make {"train", "test"} of the official parts; `validation` says where that part goes.

    Raises DataError, naming the `source`, if a word has no training recording or nothing is left
    to test on. Words without a test recording only cost a warning.
    """
    chosen = {"train": parts["train"], "test": parts["test"]}
    if validation != "drop" and "validation" in parts:
        chosen[validation] += parts["validation"]
    missing = _absent(chosen["train"], words)
    if missing:
        found = [word for word in words if word not in missing]
        raise DataError(
            f"{source}: no training recordings of {', '.join(missing)}; found: "
            f"{', '.join(found) or 'none of the words'}. For a copy with fewer words take "
            "task=speech_commands_10 (the ten command words), or task.loader.words=[...] and "
            "task.num_classes"
        )
    if not len(chosen["test"]):
        raise DataError(f"{source}: no test recordings of any of the {len(words)} words")
    untested = _absent(chosen["test"], words)
    if untested:
        log.warning("%s: no test recordings of %s", source, ", ".join(untested))
    return chosen


def _absent(recordings: Recordings, words: Sequence[str]) -> list[str]:
    present = set(recordings.labels.tolist())
    return [word for label, word in enumerate(words) if label not in present]


def build_speech_task(
    name: str,
    form: str,
    words: Sequence[str],
    parts: Mapping[str, Recordings],
    storage: Tensor,
    make_decoder: Callable[[], Decoder],
    settings: Mapping[str, object],
    cache: Path | None,
) -> Task:
    """Decode the "train" and "test" recordings, or take them from the cache.

    storage: an empty (0, 1, bands, frames) tensor of the type in which spectrograms are kept.
    make_decoder: only called if something has to be decoded.
    settings: everything that decides what decoding gives, beside the files and their labels.

    The spectrograms exist once, in their storage type; never all of them as float32.
    """

    def prepare() -> tuple[Split, Split]:
        decoder = make_decoder()
        return decode("train", decoder), decode("test", decoder)

    def decode(part: str, decoder: Decoder) -> Split:
        recordings = parts[part]
        inputs = storage.new_empty(len(recordings), *storage.shape[1:])
        decode_into(inputs, recordings.encoded(), decoder, f"{name} {part}")
        return Split(inputs, recordings.labels, recordings.user_ids)

    listed = {f"{part}_labels": parts[part].labels for part in parts} | {
        f"{part}_{USER_IDS}": parts[part].user_ids for part in parts
    }
    return cached_task(
        cache,
        name=name,
        source=f"{name} ({form}, {len(words)} words)",
        classes=tuple(words),
        settings={**settings, "words": list(words), "recordings": fingerprint_tensors(listed)},
        files=sorted((file for part in parts.values() for file in part.files), key=str),
        prepare=prepare,
        channel=BAND_AXIS,
    )


def damaged_recordings(
    source: Source,
    folder: Path,
    words: Sequence[str],
    validation: str,
    list_parts: Callable[[], Mapping[str, Recordings]],
    decode: Callable[[EncodedFile], object],
) -> Iterator[str]:
    """Yield one line for each damaged file or recording, beginning with the one that loading meets.

    Where the recordings cannot be listed, all parquet files of the `source` are read through. A
    validation part that loading drops is decoded last.
    """
    try:
        parts = list_parts()
    except DataError as error:
        yield str(error)
        yield from unreadable_files(source.files, str(error))
        return
    chosen = dict(parts)
    try:
        chosen = {**train_and_test(parts, validation, words, folder)}
    except DataError as error:
        yield str(error)
    if validation == "drop" and "validation" in parts:
        chosen["validation"] = parts["validation"]
    for part, recordings in chosen.items():
        yield from _complaints(part, recordings, decode)


def _complaints(
    part: str, recordings: Recordings, decode: Callable[[EncodedFile], object]
) -> Iterator[str]:
    files = tqdm(
        recordings.encoded(), part, len(recordings), leave=False, unit="file", disable=None
    )
    try:
        for file in files:
            try:
                decode(file)
            except DataError as error:
                yield str(error)
    except DataError as error:  # a file that holds many recordings, and ends its part
        yield str(error)
