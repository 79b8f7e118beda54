"""How deep training lies: a reader who follows a run from the command meets few functions."""

import sys
from pathlib import Path
from unittest.mock import patch

import torch

import titan_repro
from titan_repro.cli.run import main

PACKAGE = str(Path(titan_repro.__file__).parent)
MOST = 7


def own_frames():
    """Return the names of this package's functions that are being called, outermost first."""
    names, frame = [], sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names[::-1]


def test_from_the_command_to_the_backward_pass_there_are_seven_functions(tmp_path, monkeypatch):
    backward, seen = torch.Tensor.backward, []

    def looked_at(loss, *arguments, **keywords):
        seen.append(own_frames())
        backward(loss, *arguments, **keywords)

    monkeypatch.setattr(torch.Tensor, "backward", looked_at)
    overrides = ["rounds=2", "evaluation_samples=50", f"paths.runs={tmp_path}", "paths.cache=null"]
    with patch.object(sys, "argv", ["titan-run", *overrides]):
        main()
    assert len(seen) == 2
    for names in seen:
        assert names[0] == "main"
        # the loop, the executor's round and its step, the trainer
        assert names[-4:] == ["run", "run", "train", "gradients"]
        assert len(names) <= MOST, names
