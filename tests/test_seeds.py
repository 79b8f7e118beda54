"""Derived generators: reproducible, and independent between purposes, seeds and rounds."""

import torch

from titan_repro.seeds import derive_seed, generator, global_generator


def test_the_same_purpose_draws_the_same_numbers():
    assert torch.equal(
        torch.rand(5, generator=generator(3, "order", 7)),
        torch.rand(5, generator=generator(3, "order", 7)),
    )


def test_every_seed_purpose_and_index_has_its_own_stream():
    seeds = {
        derive_seed(seed, purpose, index)
        for seed in range(20)
        for purpose in ("order", "selection", "noise")
        for index in range(100)
    }
    assert len(seeds) == 20 * 3 * 100


def test_values_are_pinned_so_that_old_runs_can_be_continued():
    assert derive_seed(0, "weights").to_bytes(8, "little").hex() == "09babcdc8d20893c"


def test_global_generator_restores_the_callers_state():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with global_generator(1, "weights"):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with global_generator(1, "weights"):
        assert torch.equal(torch.rand(2), inside)
