"""Every file in conf/stream builds its stream, from its own values alone."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from titan_repro.binding import bound, construct_bound
from titan_repro.streams.clean import CleanStream
from titan_repro.streams.mixture import MixtureStream
from titan_repro.streams.noise import FeatureNoise, LabelNoise
from titan_repro.tasks.base import Task

CONF = Path(__file__).parents[2] / "conf" / "stream"
STREAMS = {
    "clean": CleanStream,
    "feature_noise": FeatureNoise,
    "label_noise": LabelNoise,
    "drift": MixtureStream,
    "imbalanced": MixtureStream,
}


def test_every_file_is_listed_here() -> None:
    assert {file.stem for file in CONF.glob("*.yaml")} == set(STREAMS)


@pytest.mark.parametrize("name", STREAMS)
def test_file_builds_its_stream(name: str, task: Task) -> None:
    config = OmegaConf.create({"stream": OmegaConf.load(CONF / f"{name}.yaml")})
    assert config.stream.name == name
    keys = set(bound(config, "stream.source")) - {"_target_"}
    assert set(config.stream) - {"name", "source"} == keys
    subset = torch.arange(250)
    stream = construct_bound(config, "stream.source", task=task, seed=0, subset=subset)
    assert type(stream) is STREAMS[name]
    arrivals = stream.round(3)
    assert len(arrivals) == stream.velocity == 100
    assert arrivals.indices.max() < 250
    assert stream.inputs(arrivals).shape == (100, 3, 4, 4)


def test_written_mixes_pass_through_the_configuration(task: Task) -> None:
    config = OmegaConf.create({"stream": OmegaConf.load(CONF / "drift.yaml")})
    config.stream.schedule, config.stream.period = "piecewise", None
    config.stream.mixes = [[0, [1, 0, 0, 0, 0]], [10, [0, 0, 0, 0, 1]]]
    stream = construct_bound(config, "stream.source", task=task, seed=0)
    assert set(stream.round(0).labels.tolist()) == {0}
    assert set(stream.round(10).labels.tolist()) == {4}


@pytest.mark.parametrize("name", STREAMS)
def test_file_opens_with_its_command(name: str) -> None:
    first_line = (CONF / f"{name}.yaml").read_text().splitlines()[0]
    assert first_line.startswith(f"# titan-run stream={name}")
