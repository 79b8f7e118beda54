"""What a single key changes: only runs that differ in it alone make a pair."""

import pandas as pd
import pytest

from handmade import run, runs_of
from titan_repro.analysis.effects import effects
from titan_repro.analysis.gaps import missing_seeds


def made(*given):
    """Build summaries; `config` of a run are its columns of the configuration."""
    frame = runs_of(*[run(name, seed, (0, 0.1, 0.0), **more) for name, seed, more in given])
    summaries = frame.summaries
    extra = pd.DataFrame([more.get("config", {}) for _, _, more in given]).add_prefix("config.")
    return pd.concat([summaries.drop(columns="config", errors="ignore"), extra], axis=1)


def titan(seed, final, sampling="systematic", **more):
    choices = {"policy": {"_target_": "CIS", "sampling": sampling}, "delay": more.pop("delay", 1)}
    return "titan", seed, {"final": final, "choices": choices, **more}


def test_a_choice_of_the_selector_is_paired_by_seed():
    runs = made(
        titan(0, 0.50),
        titan(1, 0.60),
        titan(2, 0.70),
        titan(0, 0.53, "multinomial"),
        titan(1, 0.61, "multinomial"),
    )
    [effect] = effects(runs, ["sampling", "delay"])
    assert (effect.key, effect.value, effect.other) == ("sampling", "multinomial", "systematic")
    assert effect.interval.estimate == pytest.approx(2.0)
    assert effect.interval.number == 2
    assert sorted(effect.runs) == ["run0", "run1", "run3", "run4"]


def test_runs_that_differ_in_something_else_too_make_no_pair():
    runs = made(titan(0, 0.5), titan(0, 0.6, "multinomial", delay=0))
    assert effects(runs, ["sampling", "delay"]) == []
    other = made(titan(0, 0.5), titan(0, 0.6, "multinomial", stream="drift"))
    assert effects(other, ["sampling"]) == []
    longer = made(titan(0, 0.5), titan(0, 0.6, "multinomial", rounds=200))
    assert effects(longer, ["sampling"]) == []


def test_a_key_of_the_setting_counts_with_the_nodes_that_are_bound_to_it():
    def of(norm):
        return {"model.norm": norm, "model.network.norm": norm, "learning_rate": 0.1}

    runs = made(
        ("rs", 0, {"final": 0.5, "config": of("batch")}),
        ("rs", 1, {"final": 0.5, "config": of("batch")}),
        ("rs", 0, {"final": 0.4, "setting": "s2", "config": of("none")}),
    )
    [effect] = effects(runs, ["model.norm"])
    assert (effect.value, effect.other, effect.selector) == ("none", "batch", "rs")
    assert effect.interval.estimate == pytest.approx(-10.0)


def test_diverged_runs_and_single_values_make_nothing():
    runs = made(titan(0, 0.5), titan(0, 0.6, "multinomial", status="diverged"))
    assert effects(runs, ["sampling", "filter.score"]) == []


def test_seeds_that_a_label_lacks():
    runs = made(("rs", 0, {}), ("rs", 1, {}), ("rs", 2, {}), ("ll", 1, {}), titan(3, 0.5))
    assert missing_seeds(runs) == {"rs": [3], "ll": [0, 2, 3], "titan": [0, 1, 2]}
    assert missing_seeds(runs[runs["label"] == "rs"]) == {}
