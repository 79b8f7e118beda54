"""Small pieces of the real copies of Speech Commands, below the folder that TITAN_DATA names."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf

from titan_repro.conf_path import conf_dir
from titan_repro.runs.build import build_loader
from titan_repro.tasks.base import counts
from titan_repro.tasks.speech_commands import SpeechCommands
from titan_repro.tasks.speech_spectrograms import SpeechSpectrograms

DATA = Path(os.environ.get("TITAN_DATA") or "data")
SAMPLE = DATA / "speech_commands_v0.01_sample"
AUDIO = DATA / "speech_commands_audio"
PICTURES = DATA / "speech_commands_spectrograms"
WORDS = tuple(OmegaConf.load(conf_dir() / "task" / "speech_commands.yaml").loader.words)
TEN = WORDS[:10]


TRAIN, TEST = "train-00000-of-00001.parquet", "test-00000-of-00001.parquet"
IDENTITY = ["label", "speaker_id", "utterance_id"]


def needs(folder: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not folder.is_dir(), reason=f"TITAN_DATA has no {folder.name}")


def first_rows(source: Path, target: Path, rows: int) -> None:
    """Write the first rows of a folder's training and test files to another folder."""
    target.mkdir(parents=True)
    for name in (TRAIN, TEST):
        pq.write_table(pq.read_table(source / name).slice(0, rows), target / name)


@needs(SAMPLE)
def test_sample_of_the_official_folder(caplog: pytest.LogCaptureFixture) -> None:
    loader = SpeechCommands(WORDS)
    source = loader.locate(SAMPLE)
    assert source.form == "official folder v0.01"
    found = loader.count(source)
    assert found.sum(axis=1).tolist() == [10] * 20
    assert "recordings of the split lists are not there" in caplog.text
    task = loader.load(source, None)
    assert counts(task)["test"].tolist() == found["test"].tolist()
    assert torch.isfinite(task.train.inputs).all()


@needs(PICTURES)
def test_pictures_have_the_published_counts() -> None:
    loader = SpeechSpectrograms(WORDS)
    found = loader.count(loader.locate(DATA))
    assert found.sum().to_dict() == {"train": 36_920, "validation": 4_460, "test": 4_882}
    assert (found.loc[list(TEN)].sum(axis=1) > 3_600).all()
    assert (found.loc[list(WORDS[10:])].sum(axis=1) < 820).all()


@needs(PICTURES)
def test_pictures_are_read(tmp_path: Path) -> None:
    first_rows(PICTURES, tmp_path / PICTURES.name, 300)
    loader = SpeechSpectrograms(WORDS)
    task = loader.load(loader.locate(tmp_path), None)
    assert (len(task.train), len(task.test)) == (300, 300)
    assert 50 < task.mean.mean() < 120


@needs(AUDIO)
def test_recordings_have_the_published_counts() -> None:
    loader = SpeechCommands(TEN)
    found = loader.count(loader.locate(DATA))
    assert found.sum().to_dict() == {"train": 3_046, "test": 907}


@needs(AUDIO)
def test_mel32_of_real_recordings(configure, tmp_path: Path) -> None:
    """Standardised by band it is what a network can take: finite, and speech stands out."""
    first_rows(AUDIO, tmp_path / AUDIO.name, 150)
    config = configure("task=speech_commands_10", "task.front_end=mel32")
    loader = build_loader(config)
    task = loader.load(loader.locate(tmp_path), None)
    assert task.input_shape == tuple(config.task.input_shape) == (1, 32, 32)
    inputs = task.normalise(task.train.inputs)
    assert torch.isfinite(inputs).all()
    assert abs(float(inputs.mean())) < 0.01
    over_time = inputs.mean(dim=(0, 1, 2))  # (frames,): words stand in the middle of the second
    assert over_time[10:22].mean() > over_time[[0, 1, 2, -3, -2, -1]].mean() + 0.5


@needs(AUDIO)
@needs(PICTURES)
def test_front_end_agrees_with_the_pictures_of_the_same_recordings(tmp_path: Path) -> None:
    first_rows(AUDIO, tmp_path / AUDIO.name, 150)
    first_rows(PICTURES, tmp_path / PICTURES.name, 300)
    heard = pq.read_table(tmp_path / AUDIO.name / TRAIN, columns=IDENTITY).to_pylist()
    pictures = pq.read_table(PICTURES / TEST)
    order = pictures.select(IDENTITY).to_pylist()
    same = pictures.take([order.index(recording) for recording in heard])
    pq.write_table(same, tmp_path / PICTURES.name / TEST)
    audio, seen = SpeechCommands(TEN), SpeechSpectrograms(WORDS)
    agreement = [
        np.corrcoef(a.flatten().float(), b.flatten().float())[0, 1]
        for a, b in zip(
            audio.load(audio.locate(tmp_path), None).train.inputs,
            seen.load(seen.locate(tmp_path), None).test.inputs,
            strict=True,
        )
    ]
    assert np.median(agreement) > 0.98
