"""What two executors must have in common, and how a state goes from one to the other."""

import io

import torch


def facts(result):
    """Return all of a round but how long it took."""
    return {name: fact for name, fact in vars(result).items() if not name.startswith("seconds_")}


def assert_same(first, second):
    """Compare nested states of tensors and numbers."""
    if isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for mine, its in zip(first, second, strict=True):
            assert_same(mine, its)
    else:
        assert first == second


def through_a_file(state):
    """Return a state as a checkpoint gives it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
