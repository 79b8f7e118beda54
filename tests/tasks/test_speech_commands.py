"""Speech Commands from small generated copies of the official folder and of parquet files."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.speech_files import (
    SPEAKERS,
    encode_sound,
    file_name,
    noise,
    write_folder,
    write_shard,
)
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.runs.build import build_loader
from titan_repro.tasks import speech_commands
from titan_repro.tasks.base import Task
from titan_repro.tasks.readers.audio import LogMel
from titan_repro.tasks.speech_commands import SpeechCommands

WORDS = ("yes", "no", "zero")
V2 = "SpeechCommands/speech_commands_v0.02"
MEL32 = LogMel(bands=32, window_ms=128.0, hop_ms=32.0, highest_hz=8000.0, centred=True)


def load(data: Path, cache: Path | None = None, words: tuple[str, ...] = WORDS, **options) -> Task:
    loader = SpeechCommands(words, **options)
    return loader.load(loader.locate(data), cache)


def refusal(data: Path, words: tuple[str, ...] = WORDS) -> str:
    """Return the one line with which loading is refused; nothing may be left in the cache."""
    cache = data.parent / "cache"
    with pytest.raises(DataError) as caught:
        load(data, cache, words)
    assert not cache.exists() or not list(cache.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def spectrograms(*seeds: int) -> torch.Tensor:
    """Return what the recordings noise(seed) should be loaded as, (n, 1, 40, 98)."""
    waveforms = np.stack([noise(seed) / np.float32(32768) for seed in seeds])
    return LogMel().transform()(torch.from_numpy(waveforms))


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert actual.dtype == torch.float16
    torch.testing.assert_close(actual.float(), expected.float(), atol=0.01, rtol=0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder that holds the official layout: 3 training, 1 validation, 2 test a word."""
    write_folder(tmp_path / "data" / V2, (*WORDS, "bird"))
    return tmp_path / "data"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """Return a folder that holds two training shards and one test shard, FLAC and WAV."""
    folder = tmp_path / "parquet" / "speech_commands_audio"
    flac = [encode_sound(noise(seed), "FLAC") for seed in range(4)]
    wav = [encode_sound(noise(seed)) for seed in range(4, 8)]
    shard = folder / "train-00000-of-00002.parquet"
    write_shard(shard, "audio", flac, ["yes", "bird", "no", "zero"])
    write_shard(folder / "train-00001-of-00002.parquet", "audio", wav[:2], ["no", "yes"])
    write_shard(folder / "test-00000-of-00001.parquet", "audio", wav[2:], ["zero", "yes"])
    return tmp_path / "parquet"


class TestOfficialFolder:
    def test_split_lists_are_honoured(self, data: Path) -> None:
        task = load(data)
        assert task.source == "speech_commands (official folder v0.02, 3 words)"
        assert task.classes == WORDS
        assert task.input_shape == (1, 40, 98)
        assert task.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
        assert task.test.labels.tolist() == [0] * 2 + [1] * 2 + [2] * 2

    def test_recordings_speakers_and_labels_belong_together(self, data: Path) -> None:
        task = load(data)
        seeds = [sorted((file_name(i), 100 * label + i) for i in range(3)) for label in range(3)]
        expected = [pair for word in seeds for pair in word]
        assert_close(task.train.inputs, spectrograms(*[seed for _, seed in expected]))
        assert task.train.user_ids is not None
        assert task.train.user_ids.tolist() == [int(name[:8], 16) for name, _ in expected]

    @pytest.mark.parametrize(
        ("validation", "sizes"), [("drop", (9, 6)), ("train", (12, 6)), ("test", (9, 9))]
    )
    def test_validation_part_goes_where_it_is_sent(
        self, data: Path, validation: str, sizes: tuple[int, int]
    ) -> None:
        task = load(data, validation=validation)
        assert (len(task.train), len(task.test)) == sizes
        added = {"train": task.train, "test": task.test}.get(validation)
        if added is not None:
            assert_close(added.inputs[-3:], spectrograms(3, 103, 203))
            assert added.labels[-3:].tolist() == [0, 1, 2]

    @pytest.mark.parametrize(
        "layout",
        [
            "SpeechCommands/speech_commands_v0.01",
            "speech_commands_v0.01",
            "speech_commands_v0.02",
        ],
    )
    def test_both_versions_are_found_bare_and_as_downloaded(
        self, tmp_path: Path, layout: str
    ) -> None:
        write_folder(tmp_path / layout, WORDS)
        assert load(tmp_path).source.endswith(f"(official folder {layout[-5:]}, 3 words)")

    def test_the_version_can_be_chosen(self, data: Path) -> None:
        write_folder(data / "speech_commands_v0.01", WORDS, train=2)
        assert len(load(data).train) == 9
        assert len(load(data, version="v0.01").train) == 6

    def test_only_the_words_asked_for_are_counted(self, data: Path) -> None:
        loader = SpeechCommands(("bird", "no"))
        table = loader.count(loader.locate(data))
        assert table.to_dict("list") == {"train": [3, 3], "validation": [1, 1], "test": [2, 2]}
        assert list(table.index) == ["bird", "no"]

    def test_listed_recordings_that_are_absent_are_counted(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        lines = "".join(f"{word}/00aa_nohash_{i}.wav\n" for word in WORDS for i in range(2))
        with (data / V2 / "validation_list.txt").open("a") as file:
            file.write(lines + "cat/00aa_nohash_0.wav\n")  # a word that is not asked for
        assert len(load(data).train) == 9
        assert "6 recordings of the split lists are not there" in caplog.text

    def test_files_with_other_names_are_counted_and_left_out(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("._00f0204f_nohash_0.wav", "new.WAV"):
            (data / V2 / "no" / name).write_bytes(b"")
        (data / V2 / "no" / "notes.txt").write_text("no recording")
        assert len(load(data).train) == 9
        assert "2 files not named <speaker>_nohash_<number>.wav are left out" in caplog.text

    def test_upper_case_endings_stay_in_their_official_part(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = load(data).fingerprint
        for i in (0, 3, 5):  # one of each part
            file = data / V2 / "no" / file_name(i)
            file.rename(file.with_suffix(".WAV"))
        assert load(data).fingerprint == before
        assert not caplog.records

    def test_other_files_and_folders_change_nothing(self, data: Path) -> None:
        before = load(data).fingerprint
        noise_folder = data / V2 / "_background_noise_"
        noise_folder.mkdir()
        (noise_folder / "running_tap.wav").write_bytes(b"no recording of a word")
        for folder in (data / V2, data / V2 / "no"):
            (folder / ".DS_Store").write_bytes(b"\0")
        assert load(data).fingerprint == before

    @pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
    def test_other_widths_of_sample_give_the_same(self, data: Path, subtype: str) -> None:
        before = load(data)
        samples = noise(0) / 32768
        content = encode_sound(samples, subtype=subtype)
        (data / V2 / "yes" / file_name(0)).write_bytes(content)
        assert load(data).fingerprint == before.fingerprint

    def test_words_without_test_recordings_are_named(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        lines = (data / V2 / "testing_list.txt").read_text().splitlines(keepends=True)
        (data / V2 / "testing_list.txt").write_text("".join(x for x in lines if "no/" not in x))
        assert len(load(data).test) == 4
        assert "no test recordings of no" in caplog.text


class TestParquet:
    def test_shards_are_read_in_order_and_other_words_left_out(self, parquet: Path) -> None:
        task = load(parquet)
        assert task.source == "speech_commands (parquet, 3 words)"
        assert task.train.labels.tolist() == [0, 1, 2, 1, 0]
        assert_close(task.train.inputs, spectrograms(0, 2, 3, 4, 5))
        assert_close(task.test.inputs, spectrograms(6, 7))
        assert task.train.user_ids is not None
        speakers = [SPEAKERS[i] for i in (0, 2, 0, 0, 1)]
        assert task.train.user_ids.tolist() == [int(speaker, 16) for speaker in speakers]

    def test_a_validation_part_is_optional(self, parquet: Path) -> None:
        assert len(load(parquet, validation="train").train) == 5
        shard = parquet / "speech_commands_audio" / "validation-00000-of-00001.parquet"
        write_shard(shard, "audio", [encode_sound(noise(9))], ["no"])
        assert len(load(parquet).train) == 5
        assert len(load(parquet, validation="train").train) == 6

    def test_missing_words_are_named_with_a_way_on(self, parquet: Path) -> None:
        message = refusal(parquet, ("yes", "no", "one", "two"))
        assert (
            "speech_commands_audio: no training recordings of one, two; found: yes, no" in message
        )
        assert "task=speech_commands_10" in message

    def test_every_size_of_batch_gives_the_same(
        self, parquet: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = load(parquet)
        monkeypatch.setattr("titan_repro.tasks.readers.recordings.BATCH", 1)
        assert_close(load(parquet).train.inputs, whole.train.inputs)


class TestCache:
    def test_cached_equals_fresh_and_decodes_nothing(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fresh = load(data, tmp_path / "cache")
        monkeypatch.setattr(speech_commands, "decode", None)
        cached = load(data, tmp_path / "cache")
        for part in ("train", "test"):
            for kind in ("inputs", "labels", "user_ids"):
                name = f"{part}.{kind}"
                values = [getattr(getattr(task, part), kind) for task in (fresh, cached)]
                assert torch.equal(*values), name
        assert torch.equal(fresh.mean, cached.mean)
        assert torch.equal(fresh.std, cached.std)
        assert fresh.fingerprint == cached.fingerprint

    @pytest.mark.parametrize(
        "options",
        [
            {"bands": 20},
            {"highest_hz": 8000.0},
            {"floor": 1e-5},
            {"validation": "train"},
            {"words": ("no", "yes", "zero")},
        ],
    )
    def test_a_changed_setting_is_another_entry(
        self, data: Path, tmp_path: Path, options: dict[str, object]
    ) -> None:
        first = load(data, tmp_path / "cache")
        second = load(data, tmp_path / "cache", **options)
        assert len(list((tmp_path / "cache").iterdir())) == 2
        assert first.fingerprint != second.fingerprint

    def test_a_changed_recording_is_another_entry(self, data: Path, tmp_path: Path) -> None:
        first = load(data, tmp_path / "cache")
        (data / V2 / "yes" / file_name(0)).write_bytes(encode_sound(noise(999)))
        assert load(data, tmp_path / "cache").fingerprint != first.fingerprint

    def test_exchanged_words_are_another_entry(self, data: Path, tmp_path: Path) -> None:
        load(data, tmp_path / "cache")
        folder = data / V2
        (folder / "yes").rename(folder / "old")
        (folder / "no").rename(folder / "yes")
        (folder / "old").rename(folder / "no")
        (folder / "yes" / file_name(2)).rename(folder / "no" / "aa_nohash_0.wav")
        assert load(data, tmp_path / "cache").train.labels.tolist() == [0] * 2 + [1] * 4 + [2] * 3


def test_standardised_per_band_from_the_training_part_only(data: Path) -> None:
    task = load(data)
    assert task.mean.shape == task.std.shape == (1, 40, 1)
    normalised = task.normalise(task.train.inputs)
    assert normalised.mean((0, 1, 3)).abs().max() < 1e-3
    assert (normalised.var((0, 1, 3), correction=0) - 1).abs().max() < 1e-3
    for name in (data / V2 / "testing_list.txt").read_text().split():
        (data / V2 / name).write_bytes(encode_sound(noise(1) // 50))
    quieter = load(data)
    assert quieter.test.inputs.float().mean() < task.test.inputs.float().mean() - 3
    assert torch.equal(quieter.mean, task.mean)
    assert torch.equal(quieter.std, task.std)


def folder_damages() -> dict[str, tuple[Callable[[Path], object], str]]:
    """Return {damage: (what is done to the folder, what the message says)}."""

    def replace(name: str, content: bytes) -> Callable[[Path], object]:
        return lambda folder: (folder / name).write_bytes(content)

    def folder_for_file(folder: Path) -> None:
        (folder / "no" / file_name(0)).unlink()
        (folder / "no" / file_name(0)).mkdir()

    def broken_link(folder: Path) -> None:
        (folder / "no" / file_name(0)).unlink()
        (folder / "no" / file_name(0)).symlink_to(folder / "nothing")

    def file_for_folder(folder: Path) -> None:
        shutil.rmtree(folder / "no")
        (folder / "no").write_text("no folder")

    recording = f"no/{file_name(0)}"
    return {
        "empty recording": (replace(recording, b""), f"{recording}: cannot be decoded"),
        "text": (replace(recording, b"text"), f"{recording}: cannot be decoded"),
        "stereo": (
            replace(recording, encode_sound(np.stack([noise(0), noise(1)], 1))),
            f"{recording}: has 2 channels",
        ),
        "wrong rate": (
            replace(recording, encode_sound(noise(0), rate=8000)),
            f"{recording}: has a rate of 8000 Hz",
        ),
        "no samples": (
            replace(recording, encode_sound(noise(0)[:0])),
            f"{recording}: has no samples",
        ),
        "16-bit numbers as floats": (
            replace(recording, encode_sound(noise(0).astype(np.float32), subtype="FLOAT")),
            f"{recording}: holds floats up to",
        ),
        "cut short": (
            replace(recording, encode_sound(noise(0))[:1000]),
            f"{recording}: is cut short",
        ),
        "a folder for a file": (folder_for_file, f"{recording}: "),
        "a broken link": (broken_link, f"{recording}: "),
        "a file for a folder": (file_for_folder, "no: cannot be listed (Not a directory)"),
        "long speaker": (
            lambda folder: (folder / "no" / f"{'a' * 16}_nohash_0.wav").write_bytes(b""),
            "speaker 'aaaaaaaaaaaaaaaa'; must be a hexadecimal number",
        ),
        "no test list": (
            lambda folder: (folder / "testing_list.txt").unlink(),
            "testing_list.txt: cannot be read (No such file or directory)",
        ),
        "list is no text": (
            replace("validation_list.txt", b"\xff\xfe\x00"),
            "validation_list.txt: cannot be read (no text)",
        ),
        "nothing to test": (replace("testing_list.txt", b""), "no test recordings of any"),
        "no such word": (
            lambda folder: shutil.rmtree(folder / "no"),
            "no training recordings of no",
        ),
    }


@pytest.mark.parametrize("kind", folder_damages())
def test_damaged_folders_are_refused_in_one_line(data: Path, kind: str) -> None:
    harm, found = folder_damages()[kind]
    harm(data / V2)
    assert found in refusal(data)


@pytest.mark.parametrize(
    ("operation", "found"),
    [
        ("iterdir", "yes: cannot be listed (Permission denied)"),
        ("read_bytes", f"yes/{file_name(0)}: cannot be read (Permission denied)"),
        ("read_text", "validation_list.txt: cannot be read (Permission denied)"),
    ],
)
def test_no_permission_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, operation: str, found: str
) -> None:
    def denied(path: Path, *_: object, **__: object) -> None:  # root could read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, operation, denied)
        with pytest.raises(DataError) as caught:
            load(data)
    assert found in str(caught.value)


def parquet_damages() -> dict[str, tuple[Callable[[Path], object], str]]:
    """Return {damage: (what is done to the folder of parquet files, what the message says)}."""
    sound = encode_sound(noise(0), "FLAC")
    shard = "train-00000-of-00002.parquet"

    def rewrite(column: str, content: bytes | None, speaker: str = SPEAKERS[0]):
        return lambda folder: write_shard(
            folder / shard, column, [sound, content], ["yes", "no"], [SPEAKERS[0], speaker]
        )

    def truncate(folder: Path) -> None:
        (folder / shard).write_bytes((folder / shard).read_bytes()[:5000])

    return {
        "wrong column": (rewrite("sound", sound), f"{shard}: no column audio"),
        "no bytes": (rewrite("audio", None), f"{shard}: column audio is empty in row 1"),
        "no sound": (rewrite("audio", b"text"), f"{shard}: row 1 (no): cannot be decoded"),
        "speaker": (rewrite("audio", sound, "Ann"), f"{shard}: row 1: speaker 'Ann'; must be"),
        "cut short": (truncate, f"{shard}: damaged or incomplete"),
        "shard missing": (lambda folder: (folder / shard).unlink(), f"{shard}: not found"),
        "no test part": (
            lambda folder: (folder / "test-00000-of-00001.parquet").unlink(),
            "no test-00000-of-",
        ),
    }


@pytest.mark.parametrize("kind", parquet_damages())
def test_damaged_parquet_files_are_refused_in_one_line(parquet: Path, kind: str) -> None:
    harm, found = parquet_damages()[kind]
    harm(parquet / "speech_commands_audio")
    assert found in refusal(parquet, ("yes", "no"))


def damage(data: Path, words: tuple[str, ...] = WORDS) -> list[str]:
    loader = SpeechCommands(words)
    return list(loader.find_damage(loader.locate(data)))


def test_every_damaged_recording_is_found(data: Path) -> None:
    assert damage(data) == []
    harmed = [f"yes/{file_name(0)}", f"yes/{file_name(3)}", f"zero/{file_name(5)}"]  # one a part
    for name in harmed:
        (data / V2 / name).write_bytes(b"text")
    lines = damage(data)
    assert len(lines) == 3
    assert all(any(name in line for line in lines) for name in harmed)


def test_damage_of_parquet_files_and_absent_words_are_found(parquet: Path) -> None:
    folder = parquet / "speech_commands_audio"
    assert damage(parquet) == []
    (line,) = damage(parquet, ("yes", "one"))
    assert "no training recordings of one" in line
    sounds = [encode_sound(noise(0)), b"text", b""]
    write_shard(folder / "test-00000-of-00001.parquet", "audio", sounds, ["yes", "yes", "no"])
    assert [line.split(": ")[1] for line in damage(parquet)] == ["row 1 (yes)", "row 2 (no)"]
    for i in range(2):
        (folder / f"train-0000{i}-of-00002.parquet").write_bytes(b"PAR1")
    assert len(damage(parquet)) == 2


def test_missing_data_says_what_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    message = refusal(tmp_path / "data")
    for part in (V2, "speech_commands_v0.01", "speech_commands_audio/train-", "titan-data fetch"):
        assert part in message
    with pytest.raises(DataError) as caught:
        SpeechCommands(WORDS, version="v0.01").locate(tmp_path)
    assert "v0.02" not in str(caught.value)
    assert "parquet" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"words": ("yes",)}, "words"),
        ({"words": ("yes", "no", "yes")}, "words"),
        ({"words": (True, False)}, "words"),
        ({"words": "yes"}, "words"),
        ({"validation": "keep"}, "validation"),
        ({"version": "0.02"}, "version"),
        ({"bands": 0}, "bands"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^task.loader.{key}: found .*; allowed: "):
        SpeechCommands(**{"words": WORDS, **options})


def test_loaders_of_equal_options_are_equal() -> None:
    assert SpeechCommands(["yes", "no"]) == SpeechCommands(("yes", "no"))
    assert hash(SpeechCommands(["yes", "no"])) == hash(SpeechCommands(("yes", "no")))


@pytest.mark.parametrize("name", ["speech_commands", "speech_commands_10", "speech_spectrograms"])
def test_declared_classes_and_shape_are_the_loaders(configure, name: str) -> None:
    config = configure(f"task={name}")
    loader = build_loader(config)
    assert config.task.name == name
    assert config.task.num_classes == len(loader.words)
    assert all(type(word) is str for word in loader.words)
    assert tuple(config.task.input_shape) == LogMel().shape


def test_declared_front_end_is_the_default(configure) -> None:
    loader = build_loader(configure("task=speech_commands"))
    assert loader == SpeechCommands(loader.words)
    assert loader == build_loader(configure("task=speech_commands", "task.front_end=mel40"))


@pytest.mark.parametrize("name", ["speech_commands", "speech_commands_10"])
@pytest.mark.parametrize("front_end", ["mel40", "mel32"])
def test_one_key_chooses_the_front_end_and_its_shape(configure, name: str, front_end: str) -> None:
    config = configure(f"task={name}", f"task.front_end={front_end}")
    loader = build_loader(config)
    settings = {field.name: getattr(loader, field.name) for field in fields(LogMel)}
    assert LogMel(**settings) == {"mel40": LogMel(), "mel32": MEL32}[front_end]
    assert tuple(config.task.input_shape) == LogMel(**settings).shape


def test_a_setting_of_ones_own_goes_before_the_front_ends(configure) -> None:
    loader = build_loader(
        configure("task=speech_commands", "task.front_end=mel32", "task.loader.highest_hz=4000")
    )
    assert (loader.bands, loader.highest_hz) == (32, 4000)


def test_mel32_is_loaded_in_its_own_shape_and_kept_apart_in_the_cache(
    data: Path, tmp_path: Path
) -> None:
    cache, settings = tmp_path / "cache", asdict(MEL32)
    first = [load(data, cache), load(data, cache, **settings)]
    assert [task.input_shape for task in first] == [(1, 40, 98), (1, 32, 32)]
    assert first[1].train.inputs.dtype == torch.float16
    assert len(list(cache.iterdir())) == 2
    again = [load(data, cache), load(data, cache, **settings)]
    assert [task.fingerprint for task in again] == [task.fingerprint for task in first]
    assert again[0].fingerprint != again[1].fingerprint


def test_the_cache_tells_centred_windows_apart_that_give_the_same_shape(
    data: Path, tmp_path: Path
) -> None:
    for centred in (False, True):
        load(data, tmp_path / "cache", window_ms=10.0, hop_ms=300.0, bands=4, centred=centred)
    assert len(list((tmp_path / "cache").iterdir())) == 2
