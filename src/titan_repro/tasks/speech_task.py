"""From listed recordings to a task: decoded once, kept in the cache, standardised per mel band."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from titan_repro.tasks.base import Split, Task
from titan_repro.tasks.cache import cached_task, fingerprint_tensors
from titan_repro.tasks.parallel_decoding import EncodedFile, decode_into
from titan_repro.tasks.speech_recordings import Recordings

BAND_AXIS = 1
"""Of a spectrogram (1, bands, frames)."""

Decoder = Callable[[list[EncodedFile]], Tensor]
"""From n recordings to n spectrograms (n, 1, bands, frames)."""


def build_task(
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
        return Split(inputs, recordings.labels, recordings.owners)

    listed = {f"{part}_labels": parts[part].labels for part in parts} | {
        f"{part}_owners": parts[part].owners for part in parts
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
