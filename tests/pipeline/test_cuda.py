"""Rounds on a real GPU, for whoever has one: `pytest tests/pipeline/test_cuda.py`.

These tests have been run on no GPU yet: they are skipped where there is none. tests/pipeline/
test_devices.py and test_placements.py hold on any machine what can be held without one.
"""

import json

import pandas as pd
import pytest
import torch

from titan_repro.runs.run import run

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU that this PyTorch can use (CUDA)"
)

TINY = ("task=digits", "model=small_cnn", "model.norm=batch", "delay=1", "rounds=30")
PIPELINED = ("executor=processes", "executor.timeout_seconds=120")
NEAR = 0.05
"""Rounding differs between devices, and thirty rounds make more of it."""


@pytest.fixture
def finished(configure):
    """Return what runs a configuration; accuracy and the batches that it trained come back."""

    def complete(*overrides):
        folder = run(configure(*TINY, *overrides)).folder
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["status"] == "finished"
        batches = pd.read_parquet(folder / "rounds.parquet")["trained_indices"].map(list)
        return summary["final_accuracy"], list(batches)

    return complete


@pytest.mark.parametrize("stream", ["clean", "feature_noise", "label_noise"])
def test_on_one_gpu_random_selection_trains_the_batches_of_the_cpu(finished, stream):
    settings = ("selector=rs", f"stream={stream}")
    accuracy, batches = finished(*settings, "device=host")
    on_gpu, same = finished(*settings, "device=cuda")
    assert same == batches
    assert on_gpu == pytest.approx(accuracy, abs=NEAR)


@pytest.mark.parametrize("selector", ["is", "ll", "hl", "ce", "ocs", "camel", "cis", "titan"])
def test_every_selector_learns_on_one_gpu_as_on_the_cpu(finished, selector):
    accuracy, _ = finished(f"selector={selector}", "device=host")
    on_gpu, _ = finished(f"selector={selector}", "device=cuda")
    assert on_gpu == pytest.approx(accuracy, abs=2 * NEAR)  # batches part where scores are close


@pytest.mark.parametrize("tensors", ["cpu+cuda", "cuda+cpu", "cuda"])
def test_three_processes_take_every_placement(finished, tensors):
    there = ("device=host_gpu", f"device.tensors={tensors}", *PIPELINED)
    accuracy, batches = finished("selector=rs", "device=host")
    on_gpu, same = finished("selector=rs", *there)
    assert same == batches
    assert on_gpu == pytest.approx(accuracy, abs=NEAR)
    accuracy, _ = finished("selector=titan", "device=host")
    on_gpu, _ = finished("selector=titan", *there)
    assert on_gpu == pytest.approx(accuracy, abs=2 * NEAR)


@pytest.mark.parametrize("tensors", ["cpu+cuda", "cuda"])
def test_candidates_are_scored_on_the_gpu_until_training_is_done(finished, tensors):
    there = ("device=host_gpu", f"device.tensors={tensors}", *PIPELINED)
    accuracy, _ = finished("selector=titan", "filter.budget=adaptive", *there)
    assert accuracy > 0.5


def test_two_runs_on_one_gpu_end_on_the_same_bits(configure):
    hashes = []
    for name in ("first", "second"):
        folder = run(
            configure(*TINY, "selector=titan", "device=cuda", f"selector.name={name}")
        ).folder
        hashes.append(json.loads((folder / "summary.json").read_text())["weights_sha256"])
    assert hashes[0] == hashes[1]
