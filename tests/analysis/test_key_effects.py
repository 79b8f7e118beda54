"""What keys are worth beside the default Titan: what counts as one change, and at which rounds."""

from types import SimpleNamespace

import pytest

from titan_repro.analysis.default_config import default_config
from titan_repro.analysis.key_effects import DEFAULT, changes, find_effects

CONFIG = {
    "task": {"name": "digits"},
    "model": {"name": "mlp", "norm": "none", "widths": [100], "learning_rate": 0.1, "network": {}},
    "stream": {"name": "clean", "velocity": 100, "source": {}},
    "device": {"tensors": "cpu", "threads": 1},
    "learning_rate": 0.1,
    "learning_rate_floor": 0.01,
    "selector": {"name": "titan", "policy": {"memory": 0.9}, "filter": {}},
    "filter": {"score": "rep", "blocks": 1, "pooling": "none"},
    "gradient": "full",
    "weighting": "none",
    "delay": 1,
}
TITAN = {
    "name": "titan",
    "filter": {"_target_": "CoarseFilter", "score": "rep"},
    "policy": {"_target_": "CIS", "gradient": "full", "memory": 0.9},
    "delay": 1,
    "blocks": 1,
    "pooling": "none",
}
RS = {"name": "rs", "filter": None, "policy": {"_target_": "Uniform"}, "delay": 0}


def default_of(task, model, stream, selector):
    if selector == "mine":
        return None
    return {**CONFIG, "delay": 1 if selector == "titan" else 0}


def recorded(selector="titan", seed=0, at=((100, 0.5),), status="finished", config=None, **choices):
    known = {**(TITAN if selector == "titan" else RS), "name": selector, **choices}
    milestones = [
        {
            "rounds": rounds,
            "accuracy": accuracy,
            "loss": 1.0,
            "samples": 10,
            "train_seconds": 1.0,
            "weights_sha256": "00",
        }
        for rounds, accuracy in at
    ]
    summary = {
        **dict.fromkeys(("task", "model", "stream", "data_source"), "x"),
        **{"selector": selector, "seed": seed, "choices": known, "status": status},
        "milestones": milestones,
        "rounds_done": at[-1][0],
        "rounds": at[-1][0],
        **dict.fromkeys(("final_accuracy", "final_loss", "final_samples"), at[-1][1]),
    }
    return SimpleNamespace(summary=summary, config={**CONFIG, **(config or {})})


def effects(*runs):
    return find_effects(SimpleNamespace(runs=runs), default_of)


def rows(one):
    return {effect.gain.label: list(effect.gain.deltas) for effect in one.effects}


def test_only_what_the_selector_uses_is_a_change():
    assert changes(CONFIG, TITAN, CONFIG) == {}
    assert changes({**CONFIG, "gradient": "logits"}, TITAN, CONFIG) == {}
    assert changes(CONFIG, RS, {**CONFIG, "delay": 0}) == {}
    policy = {**TITAN["policy"], "gradient": "logits", "memory": 0.5}
    found = changes(CONFIG, {**TITAN, "policy": policy, "blocks": 2, "delay": 0}, CONFIG)
    keys = {"gradient": "logits", "selector.policy.memory": 0.5, "filter.blocks": 2, "delay": 0}
    assert found == keys  # as a user types them


def test_what_a_selectors_file_fixes_is_compared_with_the_file():
    fixed = {**CONFIG, "selector": {"policy": {"weighting": "unbiased"}, "filter": None}}
    choices = {**RS, "policy": {"weighting": "unbiased"}, "delay": 1}
    assert changes(CONFIG, choices, fixed) == {}


def test_network_and_floor_are_changes_and_the_learning_rate_is_none():
    model = {**CONFIG["model"], "widths": [200, 100], "learning_rate": 7}
    config = {**CONFIG, "model": model, "learning_rate_floor": 0.0, "learning_rate": 7}
    found = changes(config, TITAN, CONFIG)
    assert found == {"model.widths": [200, 100], "learning_rate_floor": 0.0}


def test_pairs_share_their_seed_and_all_else():
    one = {"filter": {"score": "div"}}
    two = {**one, "blocks": 2}
    [found] = effects(
        recorded(),
        recorded(seed=1, at=((100, 0.6),)),
        recorded(**one, at=((100, 0.52),)),
        recorded(**one, seed=1, at=((100, 0.61),)),
        recorded(**one, seed=2, at=((100, 0.99),)),  # has no default
        recorded(**two, at=((100, 0.45),)),
        recorded("rs", at=((100, 0.48),)),
        recorded("mine", at=((100, 0.99),)),
        recorded(config={"learning_rate": 0.2}, at=((100, 0.99),)),  # another family, all alone
    )
    expected = {
        "selector=rs": [-2],
        "filter.score=div filter.blocks=2": [-5],
        "filter.score=div": [2, 1],
    }
    assert list(rows(found)) == list(expected)  # selectors, then by size
    for label, deltas in expected.items():
        assert rows(found)[label] == pytest.approx(deltas)
    assert [effect.keys for effect in found.effects][1] == "filter.score x filter.blocks"
    assert (found.group["label"] == DEFAULT).sum() == 2


def test_a_network_of_another_kind_is_paired_too_and_divergence_is_counted():
    none = {"model": {**CONFIG["model"], "norm": "group"}}
    [found] = effects(
        recorded(),
        recorded(config=none, at=((100, 0.3),)),
        recorded(seed=1, config=none, at=((7, 0.1),), status="diverged"),
    )
    [effect] = found.effects
    assert (effect.gain.label, effect.diverged) == ("model.norm=group", 1)
    assert effect.gain.deltas == pytest.approx([-20])


def test_another_selector_is_not_compared_together_with_another_floor():
    floor = {"learning_rate_floor": 0.0}
    [found] = effects(
        recorded(),
        recorded(config=floor, at=((100, 0.3),)),
        recorded("rs", config=floor, at=((100, 0.2),)),
    )
    assert rows(found) == {"learning_rate_floor=0.0": pytest.approx([-20])}


def test_runs_are_compared_at_the_most_rounds_that_half_of_the_pairs_have_and_then_beyond():
    short, long = ((50, 0.3), (100, 0.5)), ((50, 0.3), (100, 0.5), (200, 0.7))
    near, far = effects(
        recorded(at=long),
        recorded(seed=1, at=short),
        recorded(delay=0, at=((50, 0.3), (100, 0.6))),
        recorded(delay=0, seed=1, at=((50, 0.3), (100, 0.6))),
        recorded("rs", at=((50, 0.2),)),  # of 4 pairs at 50 rounds 3 go on to 100 and 1 to 200
        recorded(blocks=2, at=((50, 0.3), (100, 0.5), (200, 0.6))),
    )
    assert (set(near.group["rounds"]), near.later) == ({100}, False)
    assert (set(far.group["rounds"]), far.later) == ({200}, True)
    assert rows(near)["delay=0"] == pytest.approx([10, 10])
    assert rows(far) == {"filter.blocks=2": pytest.approx([-10])}


def test_without_a_pair_there_is_nothing():
    assert effects() == []
    assert effects(recorded("rs"), recorded(seed=1)) == []


def test_the_default_is_what_titan_run_composes():
    composed = default_config("digits", "small_cnn", "clean", "titan")
    assert composed["delay"] == 1
    assert composed["selector"]["policy"]["memory"] == 0.9
    assert default_config("digits", "small_cnn", "clean", "mine") is None
