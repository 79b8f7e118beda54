"""A round lets the host wait for a GPU once: when its record is fetched.

Feature noise takes another path on a GPU than here; tests/streams holds the two against each other.
"""

import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes

from sync_guard import forbid_synchronisation
from titan_repro.pipeline import inline
from titan_repro.pipeline.round import to_host
from titan_repro.selection import class_statistics


@pytest.mark.parametrize(
    "overrides",
    [
        ["selector=rs"],
        ["selector=stratified"],
        ["selector=is"],
        ["selector=hl"],
        ["selector=ce"],
        ["selector=ocs"],
        ["selector=camel"],
        ["selector=cis"],
        ["selector=titan"],
        ["selector=titan", "model.norm=batch", "scoring_norm=batch", "class_importance=ema"],
        ["selector=titan", "sampling=without_replacement", "weighting=unbiased"],
        ["selector=titan", "stream=label_noise"],
        ["selector=titan", "filter.budget=adaptive", "device=jetson_nano"],
        ["filter.budget=adaptive", "device=jetson_nano", "idle=constant", "idle.share=0"],
    ],
    ids=" ".join,
)
def test_a_round_waits_for_the_device_only_for_its_record(build, monkeypatch, overrides):
    monkeypatch.setattr(class_statistics, "on_arrays", lambda _: False)  # as on a GPU
    executor = build(*overrides)
    executor.run(0)  # the first round allocates what later ones use
    fetched = []

    def fetch(*arguments, **counts):
        fetched.append(arguments)
        with _disable_current_modes(), torch._C.DisableTorchFunction():  # the one wait
            return to_host(*arguments, **counts)

    monkeypatch.setattr(inline, "to_host", fetch)
    with forbid_synchronisation():
        rounds = [executor.run(1), executor.run(2)]
    assert [result.round for result in rounds] == [1, 2]
    assert len(fetched) == 2
