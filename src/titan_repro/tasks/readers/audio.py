"""The bytes of a recording become its log-mel spectrogram.

The paper does not describe its audio front end. Two are named in conf/task/speech_commands.yaml,
and `task.front_end` chooses:

mel40, the default, is the one usual for these recordings since TensorFlow's speech_commands
    example: 30 ms windows every 10 ms, 40 mel bands up to 4 kHz, which gives 98 frames a second. It
    also agrees with the precomputed `speech_spectrograms`.
mel32 has the sizes of the audio front end in other code of the paper's authors (Delta, MobiCom
    2024): windows of 2048 samples every 512, centred, and 32 mel bands, here over all frequencies
    up to 8 kHz. That makes 32 frames a second, a quarter of mel40's numbers.
"""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from titan_repro.compat import import_torchaudio
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.tasks.readers.lfs import refuse_pointer

SAMPLE_RATE = 16_000
CLIP_SAMPLES = SAMPLE_RATE  # every recording becomes one second
ALLOWED = f"a WAV or FLAC recording of one channel at {SAMPLE_RATE} Hz is needed"
FORMATS = ("WAV", "WAVEX", "FLAC")
LOUDEST = 4.0
"""Largest sample of a recording in floats. They may pass 1, full scale, by a little (4 is 12 dB);
beyond that they are on another scale, such as that of 16-bit numbers."""
UNKNOWN_LENGTH = 0xFFFFFFFF
"""Written as a WAV file's length by programs that stream."""
KINDS = {"bands": ((int,), "whole numbers"), "centred": ((bool,), "true, false")}
"""KINDS gives the types of the `LogMel` settings that are no floats, and their names in errors."""


@dataclass(frozen=True)
class LogMel:
    """Settings of a log-mel spectrogram of one second: log(mel power + floor).

    bands: number of mel bands (HTK scale, triangles of height 1) from lowest_hz to highest_hz.
    window_ms, hop_ms: length of the Hann windows and the distance between their starts.
    centred: whether the first window's centre is the first sample, as torchaudio has it by default;
        the sound is then mirrored at its ends. Otherwise only windows wholly inside it count.
    floor: added to the power before the logarithm, so that digital silence is finite. The default
        lies above the power of 16-bit rounding noise in 30 ms windows.

    Raises ConfigurationError where no spectrogram can be made with the settings.
    """

    bands: int = 40
    window_ms: float = 30.0
    hop_ms: float = 10.0
    lowest_hz: float = 0.0
    highest_hz: float = 4000.0
    floor: float = 1e-6
    centred: bool = False

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            types, allowed = KINDS.get(key, ((int, float), "numbers"))
            if type(value) not in types:
                raise _refusal(key, value, allowed)
        rules = {
            "bands": (self.bands >= 1, "at least 1"),
            "window_ms": (1 <= self.window_ms <= 1000, "1 to 1000"),
            "hop_ms": (1 <= self.hop_ms <= 1000, "1 to 1000"),
            "lowest_hz": (0 <= self.lowest_hz < self.highest_hz, "0 or more, below highest_hz"),
            "highest_hz": (self.highest_hz <= SAMPLE_RATE / 2, f"at most {SAMPLE_RATE // 2}"),
            "floor": (0 < self.floor < math.inf, "above 0"),
        }
        for key, (holds, allowed) in rules.items():
            if not holds:
                raise _refusal(key, getattr(self, key), allowed)

    @property
    def window(self) -> int:
        """Length of a window in samples."""
        return round(self.window_ms * SAMPLE_RATE / 1000)

    @property
    def hop(self) -> int:
        """Distance between the starts of two windows in samples."""
        return round(self.hop_ms * SAMPLE_RATE / 1000)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one spectrogram: (1, bands, frames), the lowest band first."""
        padding = 2 * (self.window // 2) if self.centred else 0
        return 1, self.bands, 1 + (CLIP_SAMPLES + padding - self.window) // self.hop

    def transform(self) -> Callable[[Tensor], Tensor]:
        """Return the function from waveforms (n, 16000) float32 to (n, 1, bands, frames) float16.

        It may be called by several threads at once.
        """
        mel = self._mel_spectrogram()

        def log_mel(waveforms: Tensor) -> Tensor:
            power: Tensor = mel(waveforms)  # (n, bands, frames)
            return (power + self.floor).log_().half().unsqueeze(1)

        return log_mel

    def _mel_spectrogram(self) -> torch.nn.Module:
        """Build torchaudio's transform. Raises ConfigurationError if a band would stay empty."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # empty bands: refused below
            mel: torch.nn.Module = import_torchaudio("torchaudio.transforms").MelSpectrogram(
                sample_rate=SAMPLE_RATE,
                n_fft=self.window,
                hop_length=self.hop,
                f_min=self.lowest_hz,
                f_max=self.highest_hz,
                n_mels=self.bands,
                center=self.centred,
            )
        weights: Tensor = mel.mel_scale.fb  # type: ignore[union-attr, assignment]  # (bins, bands)
        empty = int((weights.amax(0) == 0).sum())
        if empty:
            raise _refusal(
                "bands",
                f"{self.bands}, of which {empty} hold no frequency of a {self.window_ms} ms window",
                "fewer bands, longer windows or a wider range",
            )
        return mel


def _refusal(key: str, found: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"task.loader.{key}: found {found}; allowed: {allowed}")


def decode(content: bytes, name: str) -> NDArray[np.float32]:
    """Decode a recording to one second at 16 kHz, (16000,), full scale being -1 to 1.

    Shorter recordings are padded with zeros at their end, longer ones are cut there. Nothing is
    resampled or mixed. Raises DataError beginning with `name` if the recording is empty, cut
    short, of another format, rate, scale or number of channels, or holds values that are not
    finite.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            _check_header(sound, content, name)
            announced = min(sound.frames, CLIP_SAMPLES)  # a damaged header may announce terabytes
            samples: NDArray[np.float32] = sound.read(announced, dtype="float32")
    except soundfile.LibsndfileError as error:
        refuse_pointer(content, name)
        reason = error.error_string.rstrip(".") if content else "empty file"
        raise DataError(f"{name}: cannot be decoded ({reason}); {ALLOWED}") from None
    if len(samples) < announced:
        raise DataError(f"{name}: ends after {len(samples)} of {announced} samples; {ALLOWED}")
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: holds NaN or infinity; {ALLOWED}")
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > LOUDEST:
        raise DataError(
            f"{name}: holds floats up to {peak:.3g}, on another scale than -1 to 1; {ALLOWED}"
        )
    clip = np.zeros(CLIP_SAMPLES, dtype=np.float32)
    clip[: len(samples)] = samples
    return clip


def _check_header(sound: soundfile.SoundFile, content: bytes, name: str) -> None:
    """Raise DataError unless the file announces what `decode` takes."""
    if sound.format not in FORMATS:
        found = f"is {sound.format}"
    elif sound.samplerate != SAMPLE_RATE:
        found = f"has a rate of {sound.samplerate} Hz"
    elif sound.channels != 1:
        found = f"has {sound.channels} channels"
    elif _wav_is_cut_short(content):
        found = "is cut short"
    elif sound.frames == 0:
        found = "has no samples"
    else:
        return
    raise DataError(f"{name}: {found}; {ALLOWED}")


def _wav_is_cut_short(content: bytes) -> bool:
    """Tell whether a WAV file's data end before their announced length, which libsndfile allows."""
    position = 12 if content.startswith(b"RIFF") else len(content)
    while position + 8 <= len(content):
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        if content[position : position + 4] == b"data":
            return length != UNKNOWN_LENGTH and position + 8 + length > len(content)
        position += 8 + length + length % 2
    return False
