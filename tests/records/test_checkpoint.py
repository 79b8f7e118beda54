from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from titan_repro.records.checkpoint import Checkpoint, load, save


def test_what_an_executor_keeps_comes_back_equal(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    state = {
        "model": model.state_dict(),
        "optimiser": {"state": {0: {"momentum": torch.ones(2)}}, "groups": [{"fused": None}]},
        "in_flight": (torch.arange(3), None, [1.5, True]),
        "text": "x",
        "generator": torch.Generator().get_state(),
    }
    save(tmp_path / "c.pt", Checkpoint(state, next_round=5, evaluation_bytes=7))
    loaded = load(tmp_path / "c.pt")
    assert loaded is not None
    assert (loaded.next_round, loaded.evaluation_bytes) == (5, 7)
    assert state.pop("text") == loaded.state.pop("text")
    torch.testing.assert_close(loaded.state, state, rtol=0, atol=0)


def test_there_may_be_none(tmp_path: Path) -> None:
    assert load(tmp_path / "c.pt") is None


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"filter": {"mean": np.float64(1.0)}}, r"^state\['filter'\]\['mean'\] is a float64"),
        ({"a": [1, {2}]}, r"^state\['a'\]\[1\] is a set"),
        ({"a": OrderedDict({1.5: object()})}, r"^state\['a'\]\[1.5\] is a object"),
        ({(1, Path()): 1}, r"^the key .* of state\[1\] is a "),
        ({"a": namedtuple("Batch", "x")(1)}, r"^state\['a'\] is a Batch"),
    ],
)
def test_what_could_not_be_read_back_is_refused_by_name(
    tmp_path: Path, state: dict[str, object], named: str
) -> None:
    with pytest.raises(TypeError, match=named):
        save(tmp_path / "c.pt", Checkpoint(state, 0, 0))
    assert list(tmp_path.iterdir()) == []
