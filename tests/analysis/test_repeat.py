"""A run made again is held against the recorded one: bits where they are comparable, else seeds."""

from types import SimpleNamespace

import pytest

from titan_repro.analysis.repeat import repeat_of
from titan_repro.errors import RunFolderError


def made(seed=0, accuracy=0.9, weights="a", *, cpu="Xeon", torch="2.13", rounds=200, **more):
    end = {
        "rounds": rounds,
        "accuracy": accuracy,
        "loss": 1.0,
        "samples": 10,
        "weights_sha256": weights,
        "train_seconds": 1.0,
    }
    summary = {
        **{"task": "digits", "model": "small_cnn", "selector": "rs", "setting": "s"},
        **{"choices": {"delay": 0}, "status": "finished", "final_loss": 1.0, "final_samples": 10},
        "run_id": f"run{seed}",
        "seed": seed,
        "rounds_done": rounds,
        "final_accuracy": accuracy,
        "weights_sha256": weights,
        "processors": [cpu],
        "milestones": [end],
        **more,
    }
    return SimpleNamespace(summary=summary, provenance={"versions": {"torch": torch}})


RECORDED = [made(0, 0.90), made(1, 0.92, "b"), made(2, 0.91, "c"), made(3, 0.1, setting="other")]


def test_the_same_bits_hold():
    found = repeat_of(made(), RECORDED)
    assert not found.moved
    assert (found.seeds, found.weights_moved) == (3, False)
    assert found.spread == pytest.approx(0.02)
    assert found.words() == (
        "digits, small_cnn, rs, seed 0, 200 rounds: 90.00 %, recorded 90.00 %, spread of 3 seeds "
        "2.00 points; same weights"
    )


def test_other_weights_on_the_same_kind_of_machine_moved_however_near_the_accuracy():
    found = repeat_of(made(weights="z"), RECORDED)
    assert found.moved
    assert found.words().endswith("; other weights")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"cpu": "EPYC"}, "recorded one made on Xeon, this one EPYC"),
        ({"torch": "2.14"}, "recorded one made with PyTorch 2.13, this one 2.14"),
    ],
)
def test_elsewhere_accuracy_may_move_as_far_as_seeds_differ(other, why):
    near, far = (repeat_of(made(0, 0.90 + by, "z", **other), RECORDED) for by in (-0.019, 0.021))
    assert (near.moved, far.moved) == (False, True)
    assert near.words().endswith(f"; weights not compared ({why})")


def test_a_longer_recorded_run_is_read_at_the_rounds_of_the_short_one():
    milestones = [
        {**made(0, 0.5, "a").summary["milestones"][0], "rounds": 200},
        {**made(0, 0.9, "z").summary["milestones"][0], "rounds": 400},
    ]
    longer = made(0, 0.9, "z", rounds=400, milestones=milestones)
    found = repeat_of(made(0, 0.5), [longer, RECORDED[1]])
    assert (found.recorded, found.weights_moved) == (0.5, False)


def test_a_run_that_is_not_recorded_or_alone_is_told():
    with pytest.raises(RunFolderError, match="run run9 is not recorded after 200 rounds"):
        repeat_of(made(9), RECORDED)
    with pytest.raises(RunFolderError, match="not recorded after 100 rounds"):
        repeat_of(made(0, rounds=100), RECORDED)
    with pytest.raises(RunFolderError, match="found 1 recorded seed; allowed: at least 2"):
        repeat_of(made(), RECORDED[:1])
