"""rules.csv: every claim has a rule, and what a rule says can be done."""

import csv
from fnmatch import fnmatchcase
from importlib import resources
from typing import get_args

import pytest
from hydra import compose, initialize_config_dir

from titan_repro.analysis.load import velocity
from titan_repro.claims.groups import NORM, STANDARD, chosen
from titan_repro.claims.quantities import QUANTITIES
from titan_repro.claims.rules import (
    CONTRADICTION,
    Comparison,
    all_claims,
    contradictions,
    question,
    rule_of,
    rules,
)
from titan_repro.conf_path import conf_dir
from titan_repro.config import identity, register_schema
from titan_repro.paper.published import claims, table1_cell


def test_all_150_claims_come_first_and_then_the_contradictions():
    ids = [claim.id for claim in all_claims()]
    assert ids[:150] == list(claims())
    assert ids[150:] == [CONTRADICTION + each.id for each in contradictions()]
    assert len(set(ids)) == len(ids)


def test_every_claim_has_a_rule_that_can_be_followed():
    for claim in all_claims():
        _check_rule(claim)


def _check_rule(claim):
    rule = rule_of(claim.id)
    assert rule.quantity in QUANTITIES
    assert rule.comparison in get_args(Comparison)
    assert rule.words.endswith(tuple("abcdefghijklmnopqrstuvwxyz0123456789)%"))
    if rule.comparison in ("reach", "match", "arrival"):
        parts = tuple(rule.paper) or ("",)
        assert all(question(claim).number(part) is not None for part in parts)
    if rule.comparison in ("reach", "order", "at_most", "at_least", "arrival"):
        assert rule.threshold is not None


def test_every_rule_is_the_first_for_some_claim():
    used = {rule_of(claim.id).claims for claim in all_claims()}
    assert used == {rule.claims for rule in rules()}


def test_no_claim_is_without_a_rule_by_accident():
    with pytest.raises(LookupError, match=r"no rule for fig12\.new"):
        rule_of("fig12.new")


def test_whole_times_are_those_of_selectors_that_table1_shows_short_of_rs():
    for claim in claims().values():
        if claim.id.startswith("table1.time."):
            *_, model, selector = claim.id.split(".")
            short = table1_cell(model, selector).accuracy < table1_cell(model, "rs").accuracy
            assert (rule_of(claim.id).quantity == "arrival") == short, claim.id


def test_numbers_by_model_are_of_the_models_asked_for_and_inside_the_claimed_range():
    for claim in claims().values():
        asked = question(claim)
        if asked.rule.paper:
            assert set(asked.rule.paper) == set(asked.all("model"))
            low, high = map(float, claim.paper_value.split("-"))
            numbers = asked.rule.paper.values()
            assert low <= min(numbers)
            assert max(numbers) <= high


def test_a_condition_and_what_the_rule_adds_are_asked_together():
    asked = question(claims()["table1.accuracy.resnet34.titan"])
    assert asked.asked == {
        "task": "speech_commands",
        "model": "resnet34",
        "selector": "titan",
        "over": "rs",
    }
    assert question(claims()["fig2b.heuristics_below_rs"]).all("selector") == ("hl", "ce", "ocs")
    assert question(claims()["theory.theorem1"]).one("number") == "Theorem 1"
    assert question(claims()["fig9.accuracy_low"]).number("squeezenet") == 77.9


@pytest.mark.parametrize(
    ("claim", "sign"),
    [
        ("table1.time.alexnet.titan", -1),
        ("table1.time.alexnet.is", 1),
        ("fig7.accuracy.alexnet", 1),
        ("fig2b.heuristics_below_rs", -1),
        ("fig6d.energy.mobilenet", -1),
    ],
)
def test_the_papers_side_of_the_threshold(claim, sign):
    assert question(claims()[claim]).sign == sign


def test_rules_have_no_pattern_that_only_spells_another_one():
    file = resources.files("titan_repro.claims").joinpath("rules.csv")
    patterns = [row["claims"] for row in csv.DictReader(file.read_text("utf-8").splitlines())]
    for place, pattern in enumerate(patterns):
        assert not any(fnmatchcase(pattern, earlier) for earlier in patterns[:place])


def test_open_choices_are_at_their_defaults_in_conf():
    """What counts as the paper's own setting is what titan-run takes where nothing is said."""
    register_schema()
    for model, norm in NORM.items():
        task = {"mlp": "dsads", "resnet34": "speech_spectrograms"}.get(model, "cifar10")
        for selector, choices in STANDARD.items():
            config = composed(f"task={task}", f"model={model}", f"selector={selector}")
            assert config.model.norm == norm
            found = {"choices": identity(config, "", scoring=True)["choices"]}
            assert {key: chosen(found, key) for key in choices} == choices
            if selector == "titan":
                assert (chosen(found, "filter.budget"), chosen(found, "blocks")) == (30, 1)
            assert (config.batch_size, velocity(row_of(config))) == (10, 100)


def composed(*overrides):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", list(overrides))


def row_of(config):
    return {"config.stream.velocity": config.stream.velocity}
