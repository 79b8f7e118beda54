"""The log-mel front end against a plain reference, and recordings that cannot be taken."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.speech_files import RATE, encode_sound, noise
from titan_repro.compat import import_torchaudio
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.tasks.readers.audio import LogMel, decode

SECOND = np.arange(RATE) / RATE
MEL32 = LogMel(bands=32, window_ms=128, hop_ms=32, highest_hz=8000, centred=True)


def mel(hertz: float | np.ndarray) -> float | np.ndarray:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def corners(front_end: LogMel) -> np.ndarray:
    """Return the mel values between which the triangles stand, (bands + 2,)."""
    return np.linspace(mel(front_end.lowest_hz), mel(front_end.highest_hz), front_end.bands + 2)


def reference(samples: np.ndarray, front_end: LogMel) -> np.ndarray:
    """Compute the spectrogram (bands, frames) window by window and band by band."""
    bins = np.arange(front_end.window // 2 + 1) * RATE / front_end.window
    edges = 700 * (10 ** (corners(front_end) / 2595) - 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front_end.window) / front_end.window)
    if front_end.centred:  # mirrored about the first and the last sample, which come once
        half = front_end.window // 2
        samples = np.concatenate([samples[half:0:-1], samples, samples[-2 : -half - 2 : -1]])
    columns = []
    for start in range(0, len(samples) - front_end.window + 1, front_end.hop):
        power = np.abs(np.fft.rfft(samples[start : start + front_end.window] * hann)) ** 2
        column = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
            column.append(power @ np.maximum(0, np.minimum(rising, falling)))
        columns.append(column)
    return np.log(np.array(columns).T + front_end.floor)


@pytest.mark.parametrize(
    "front_end",
    [
        LogMel(),
        LogMel(bands=20, window_ms=25, hop_ms=20, lowest_hz=125, highest_hz=7500),
        MEL32,
        LogMel(window_ms=25, centred=True),
    ],
)
def test_equals_a_plain_reference(front_end: LogMel) -> None:
    samples = noise(0).astype(np.float32) / 32768
    spectrogram = front_end.transform()(torch.from_numpy(samples).unsqueeze(0))
    assert spectrogram.dtype == torch.float16
    assert spectrogram.shape == (1, *front_end.shape)
    np.testing.assert_allclose(spectrogram[0, 0].float(), reference(samples, front_end), atol=0.01)


def test_mel32_is_torchaudios_spectrogram_with_the_sizes_of_delta() -> None:
    waveforms = torch.from_numpy(np.stack([noise(0), noise(1)]) / 32768).float()
    transforms = import_torchaudio("torchaudio.transforms")
    mel = transforms.MelSpectrogram(16_000, 2048, hop_length=512, n_mels=32)  # 0 to 8000 Hz
    expected = (mel(waveforms) + 1e-6).log().unsqueeze(1)
    assert expected.shape == (2, 1, 32, 32)
    assert torch.equal(MEL32.transform()(waveforms), expected.half())


def test_centred_windows_begin_and_end_with_the_second() -> None:
    """A click at either end is loudest in the first or the last frame, uncentred or not at all."""
    clicks = torch.zeros(2, RATE)
    clicks[0, 1] = clicks[1, -2] = 1
    centred = MEL32.transform()(clicks)[:, 0].float().mean(1)  # (2, frames)
    assert centred.argmax(1).tolist() == [0, 31]
    uncentred = replace(MEL32, centred=False)
    assert uncentred.shape == (1, 32, 28)
    assert uncentred.transform()(clicks)[:, 0].float().mean(1).max() < centred.max() - 5


@pytest.mark.parametrize("hertz", [110, 440, 1000, 2500, 3700])
def test_a_tone_is_loudest_in_the_band_of_its_frequency(hertz: int) -> None:
    front_end = LogMel()
    tone = torch.from_numpy(np.sin(2 * np.pi * hertz * SECOND)).float()
    spectrogram = front_end.transform()(tone.unsqueeze(0))[0, 0]  # (bands, frames)
    band = int(np.abs(corners(front_end)[1:-1] - mel(hertz)).argmin())
    assert spectrogram.argmax(0).tolist() == [band] * front_end.shape[2]


def test_a_rise_in_time_goes_along_the_last_axis() -> None:
    spectrogram = LogMel().transform()(torch.from_numpy(noise(0) / 32768).float().unsqueeze(0))
    over_time = spectrogram[0, 0].float().mean(0)
    assert over_time[-10:].mean() > over_time[:10].mean() + 3


def test_silence_is_the_logarithm_of_the_floor() -> None:
    spectrogram = LogMel(floor=1e-5).transform()(torch.zeros(1, RATE))
    assert torch.equal(spectrogram, torch.full_like(spectrogram, math.log(1e-5)))


def test_sixteen_bit_rounding_noise_stays_near_the_floor() -> None:
    lowest_bit = torch.from_numpy(np.random.default_rng(0).integers(-1, 2, RATE) / 32768).float()
    spectrogram = LogMel().transform()(lowest_bit.unsqueeze(0))
    assert (spectrogram - math.log(1e-6)).abs().max() < 2


def test_a_recording_does_not_depend_on_its_neighbours() -> None:
    waveforms = torch.stack([torch.from_numpy(noise(i) / 32768).float() for i in range(5)])
    transform = LogMel().transform()
    alone = torch.cat([transform(waveform.unsqueeze(0)) for waveform in waveforms])
    assert torch.allclose(transform(waveforms).float(), alone.float(), atol=0.01)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (1, 40, 98)),
        ({"window_ms": 25}, (1, 40, 98)),
        ({"window_ms": 1000, "bands": 64}, (1, 64, 1)),
        ({"hop_ms": 20.0}, (1, 40, 49)),
        ({"centred": True}, (1, 40, 101)),
        ({"centred": True, "window_ms": 1000, "hop_ms": 1000}, (1, 40, 2)),
        ({"centred": True, "window_ms": 25.0625}, (1, 40, 100)),
        (asdict(MEL32), (1, 32, 32)),
    ],
)
def test_shape_is_announced(settings: dict[str, float], shape: tuple[int, ...]) -> None:
    front_end = LogMel(**settings)
    assert front_end.shape == shape
    assert front_end.transform()(torch.zeros(2, RATE)).shape == (2, *shape)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"bands": 0}, "bands"),
        ({"bands": 40.0}, "bands"),
        ({"bands": "many"}, "bands"),
        ({"window_ms": 0.5}, "window_ms"),
        ({"window_ms": 1001}, "window_ms"),
        ({"hop_ms": 0}, "hop_ms"),
        ({"hop_ms": math.nan}, "hop_ms"),
        ({"lowest_hz": -1}, "lowest_hz"),
        ({"lowest_hz": 4000}, "lowest_hz"),
        ({"highest_hz": 8001}, "highest_hz"),
        ({"highest_hz": True}, "highest_hz"),
        ({"centred": 1}, "centred"),
        ({"centred": "yes"}, "centred"),
        ({"floor": 0}, "floor"),
        ({"floor": math.inf}, "floor"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^task.loader.{key}: found .*; allowed: "):
        LogMel(**settings)


def test_bands_without_a_frequency_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"found 400, of which \d+ hold no frequency"):
        LogMel(bands=400).transform()


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "FLAC"])
def test_samples_are_decoded_exactly(kind: str) -> None:
    samples = noise(1)
    decoded = decode(encode_sound(samples, kind), "a")
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, samples / 32768)


def test_short_recordings_are_padded_and_long_ones_cut_at_their_end() -> None:
    short = decode(encode_sound(noise(1, 12_000)), "a")
    np.testing.assert_array_equal(short[:12_000], noise(1, 12_000) / 32768)
    assert not short[12_000:].any()
    long = noise(1, 20_000)
    np.testing.assert_array_equal(decode(encode_sound(long), "a"), long[:RATE] / 32768)


def test_a_wav_file_of_unknown_length_is_read() -> None:
    content = bytearray(encode_sound(noise(1)))
    position = content.index(b"data") + 4
    content[position : position + 4] = b"\xff" * 4
    np.testing.assert_array_equal(decode(bytes(content), "a"), noise(1) / 32768)


def damaged() -> dict[str, tuple[bytes, str]]:
    """Return {damage: (contents, what the message says of them)}."""
    wav, flac = encode_sound(noise(2)), encode_sound(noise(2), "FLAC")
    not_finite = np.where(np.arange(RATE) == 77, np.nan, 0.1)
    return {
        "empty file": (b"", "cannot be decoded (empty file)"),
        "text": (b"this is no sound\n" * 50, "cannot be decoded"),
        "random": (np.random.default_rng(0).bytes(32_000), "cannot be decoded"),
        "header only": (wav[:30], "cannot be decoded"),
        "wrong rate": (encode_sound(noise(2), rate=44_100), "has a rate of 44100 Hz"),
        "flac of wrong rate": (encode_sound(noise(2), "FLAC", 8_000), "has a rate of 8000 Hz"),
        "stereo": (encode_sound(np.stack([noise(2), noise(3)], 1)), "has 2 channels"),
        "no samples": (encode_sound(noise(2)[:0]), "has no samples"),
        "wav cut short": (wav[:20_000], "is cut short"),
        "flac cut short": (flac[: len(flac) // 2], ""),
        "not finite": (encode_sound(not_finite, subtype="FLOAT"), "holds NaN or infinity"),
        "other format": (encode_sound(noise(2), "AIFF"), "is AIFF"),
    }


@pytest.mark.parametrize("damage", damaged())
def test_damaged_recordings_are_named(damage: str) -> None:
    content, found = damaged()[damage]
    with pytest.raises(DataError) as caught:
        decode(content, "yes/0a_nohash_0.wav")
    message = str(caught.value)
    assert message.startswith(f"yes/0a_nohash_0.wav: {found}")
    assert message.endswith("a WAV or FLAC recording of one channel at 16000 Hz is needed")
    assert "\n" not in message


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    kind=st.sampled_from(["WAV", "FLAC"]),
    harm=st.dictionaries(st.integers(0, 99), st.integers(0, 255), min_size=1, max_size=4),
    length=st.none() | st.integers(0, 3_000),
)
def test_any_damage_to_a_header_is_an_error_of_the_data_or_none(
    kind: str, harm: dict[int, int], length: int | None
) -> None:
    content = bytearray(encode_sound(noise(4, 1_200), kind))
    for position, value in harm.items():
        content[position] = value
    try:
        clip = decode(bytes(content[:length]), "a")
    except DataError:
        return
    assert clip.shape == (RATE,)
    assert np.isfinite(clip).all()
