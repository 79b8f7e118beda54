"""The precomputed spectrograms, from small generated parquet files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.parquet_files import encode
from tasks.speech_files import SPEAKERS, write_shard
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.tasks import speech_spectrograms
from titan_repro.tasks.base import Task
from titan_repro.tasks.speech_spectrograms import SpeechSpectrograms

WORDS = ("yes", "no")
SHARD = "train-00000-of-00001.parquet"


def picture(seed: int) -> np.ndarray:
    """Return pixels as they are stored, time downwards: (98, 40)."""
    return np.random.default_rng(seed).integers(0, 256, (98, 40), np.uint8)


def load(data: Path, cache: Path | None = None, **options) -> Task:
    loader = SpeechSpectrograms(WORDS, **options)
    return loader.load(loader.locate(data), cache)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "speech_commands_spectrograms"
    parts = {"train": "yes no bird no", "validation": "no", "test": "no yes"}
    seed = 0
    for part, words in parts.items():
        labels = words.split()
        pictures = [encode(picture(seed + i)) for i in range(len(labels))]
        write_shard(folder / f"{part}-00000-of-00001.parquet", "image", pictures, labels)
        seed += len(labels)
    return folder


def test_pictures_are_turned_to_bands_by_frames(folder: Path) -> None:
    task = load(folder.parent)
    assert task.source == "speech_spectrograms (parquet, 2 words)"
    assert task.input_shape == (1, 40, 98)
    assert task.train.inputs.dtype == torch.uint8
    expected = np.stack([picture(seed).T for seed in (0, 1, 3)])
    np.testing.assert_array_equal(task.train.inputs[:, 0].numpy(), expected)
    assert task.train.labels.tolist() == [0, 1, 1]
    assert task.train.user_ids is not None
    assert task.train.user_ids.tolist() == [int(SPEAKERS[i], 16) for i in (0, 1, 0)]


@pytest.mark.parametrize(
    ("validation", "sizes"), [("drop", (3, 2)), ("train", (4, 2)), ("test", (3, 3))]
)
def test_validation_part_goes_where_it_is_sent(
    folder: Path, validation: str, sizes: tuple[int, int]
) -> None:
    task = load(folder.parent, validation=validation)
    assert (len(task.train), len(task.test)) == sizes


def test_official_parts_are_counted(folder: Path) -> None:
    loader = SpeechSpectrograms(WORDS)
    table = loader.count(loader.locate(folder.parent))
    assert table.to_dict("list") == {"train": [1, 2], "validation": [0, 1], "test": [1, 1]}


def test_standardised_per_band_from_the_training_part(folder: Path) -> None:
    task = load(folder.parent)
    inputs = task.train.inputs.double()
    assert task.mean.shape == task.std.shape == (1, 40, 1)
    assert torch.allclose(task.mean[0, :, 0].double(), inputs.mean((0, 1, 3)))
    assert torch.allclose(task.std[0, :, 0].double(), inputs.std((0, 1, 3), correction=0))


def test_cached_equals_fresh_and_decodes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = load(folder.parent, tmp_path / "cache")
    monkeypatch.setattr(speech_spectrograms, "_picture", None)
    cached = load(folder.parent, tmp_path / "cache")
    assert cached.fingerprint == fresh.fingerprint
    assert torch.equal(cached.train.inputs, fresh.train.inputs)
    assert torch.equal(cached.test.inputs, fresh.test.inputs)


def damages() -> dict[str, tuple[Callable[[Path], object], str]]:
    """Return {damage: (what is done to the folder, what the message says)}."""
    good = encode(picture(0))

    def rewrite(image: bytes | None, column: str = "image", speaker: str = "0a"):
        speakers = ["0a", speaker]
        return lambda f: write_shard(f / SHARD, column, [good, image], ["yes", "no"], speakers)

    colour = np.zeros((98, 40, 3), np.uint8)
    row = f"{SHARD}: row 1 (no)"
    return {
        "turned": (rewrite(encode(picture(0).T)), f"{row}: is 40x98 L; 98x40 L needed"),
        "colour": (rewrite(encode(colour)), f"{row}: is 98x40 RGB; 98x40 L needed"),
        "text": (rewrite(b"text"), f"{row}: cannot be decoded (cannot identify image file)"),
        "cut short": (rewrite(good[: len(good) // 2]), f"{row}: cannot be decoded"),
        "empty": (rewrite(b""), f"{row}: cannot be decoded"),
        "other format": (rewrite(encode(picture(0), "GIF")), f"{row}: cannot be decoded"),
        "null": (rewrite(None), f"{SHARD}: column image is empty in row 1"),
        "wrong column": (rewrite(good, "img"), f"{SHARD}: no column image"),
        "speaker": (rewrite(good, speaker="-0x1"), f"{SHARD}: row 1: speaker '-0x1'; must be"),
        "damaged": (lambda f: (f / SHARD).write_bytes(b"PAR1"), f"{SHARD}: damaged"),
        "no training part": (lambda f: (f / SHARD).unlink(), "no train-00000-of-"),
        "word missing": (
            lambda f: write_shard(f / SHARD, "image", [good], ["no"]),
            "no training recordings of yes; found: no",
        ),
    }


@pytest.mark.parametrize("damage", damages())
def test_damaged_copies_are_refused_in_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    harm, found = damages()[damage]
    harm(folder)
    with pytest.raises(DataError) as caught:
        load(folder.parent, tmp_path / "cache")
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "0x7f" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_every_damaged_picture_is_found(folder: Path) -> None:
    loader = SpeechSpectrograms(WORDS)
    assert list(loader.find_damage(loader.locate(folder.parent))) == []
    for part in ("train", "validation", "test"):
        pictures = [encode(picture(0)), b"text", encode(picture(1)), encode(picture(1).T)]
        write_shard(folder / f"{part}-00000-of-00001.parquet", "image", pictures, ["yes", "no"] * 2)
    lines = list(loader.find_damage(loader.locate(folder.parent)))
    assert [line.split(": ")[1] for line in lines] == ["row 1 (no)", "row 3 (no)"] * 3


def test_missing_data_and_download_say_what_to_do(tmp_path: Path) -> None:
    loader = SpeechSpectrograms(WORDS)
    with pytest.raises(DataError, match=r"no speech_commands_spectrograms/train-.*paths\.data"):
        loader.locate(tmp_path)
    with pytest.raises(DataError, match=r"no download is offered; put .* into .*spectrograms"):
        loader.fetch(tmp_path)


@pytest.mark.parametrize("options", [{"words": ("yes",)}, {"validation": "keep"}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    (key,) = options
    with pytest.raises(ConfigurationError, match=rf"^task.loader.{key}: found .*; allowed: "):
        SpeechSpectrograms(**{"words": WORDS, **options})
