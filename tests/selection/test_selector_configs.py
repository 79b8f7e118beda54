"""conf/selector: every file composes, sets its top-level keys and builds the policy it names."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from titan_repro.binding import bound, construct_bound
from titan_repro.config import register_schema
from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Needs
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.uniform import UniformSampling

CONF = Path(__file__).parents[2] / "conf"

NEEDS = {
    "rs": Needs.NOTHING,
    "stratified": Needs.NOTHING,
    "is": Needs.EMBEDDINGS,
    "ll": Needs.LOGITS,
    "hl": Needs.LOGITS,
    "ce": Needs.LOGITS,
    "ocs": Needs.EMBEDDINGS,
    "camel": Needs.INPUTS,
    "cis": Needs.EMBEDDINGS,
    "titan": Needs.EMBEDDINGS,
    "titan_literal": Needs.EMBEDDINGS,
    "titan_random": Needs.EMBEDDINGS,
    "titan_equal": Needs.NOTHING,
    "camel_equal": Needs.INPUTS,
    "grad_topk": Needs.EMBEDDINGS,
    "el2n": Needs.LOGITS,
    "rho_loss": Needs.INPUTS_AND_LOGITS,
    "uds": Needs.LOGITS,
    "divbs": Needs.EMBEDDINGS,
    "craig": Needs.EMBEDDINGS,
    "gradmatch": Needs.EMBEDDINGS,
    "kcenter": Needs.EMBEDDINGS,
    "rs2": Needs.NOTHING,
    "ours": Needs.LOGITS,
}
OF_THE_FIELD = (
    *("grad_topk", "el2n", "rho_loss", "uds", "divbs", "craig", "gradmatch", "kcenter", "rs2"),
    *("titan_random", "titan_equal", "camel_equal", "ours"),
)
"""Selectors that are not among the paper's."""


def configuration(*overrides: str) -> DictConfig:
    register_schema()
    with initialize_config_dir(str(CONF), version_base=None):
        return compose("config", list(overrides))


def test_every_file_is_tested() -> None:
    assert {path.stem for path in (CONF / "selector").glob("*.yaml")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_selector_composes_and_builds_its_policy(name: str) -> None:
    config = configuration(f"selector={name}")
    titan = name.startswith("titan") or name == "ours"  # filtered, and beside training
    assert config.selector.name == name
    assert config.delay == (1 if titan else 0)
    assert (config.selector.filter is not None) == titan
    assert construct_bound(config, "selector.policy").needs is NEEDS[name]


@pytest.mark.parametrize("name", NEEDS)
def test_first_line_is_the_package_and_the_second_the_command(name: str) -> None:
    """Hydra ignores a package line that follows any other comment."""
    first, second = (CONF / "selector" / f"{name}.yaml").read_text().splitlines()[:2]
    assert first == "# @package _global_"
    assert second == f"# titan-run task=cifar10 model=mobilenet selector={name}"


@pytest.mark.parametrize("name", OF_THE_FIELD)
def test_a_selector_that_is_not_the_papers_says_so_under_the_line_that_help_shows(
    name: str,
) -> None:
    shown, source = (CONF / "selector" / f"{name}.yaml").read_text().splitlines()[2:4]
    assert len(shown.removeprefix("# ").removesuffix(".")) <= 78
    assert source.startswith("# Not one of the paper's eight")


def test_titans_controls_are_titan_but_for_what_they_control() -> None:
    titan = configuration("selector=titan")
    random, equal = configuration("selector=titan_random"), configuration("selector=titan_equal")
    assert random.selector.policy == titan.selector.policy
    assert bound(random, "selector.filter") == {
        **bound(titan, "selector.filter"),
        "score": "random",
    }
    assert bound(equal, "selector.filter") == {
        **bound(random, "selector.filter"),
        "quota": "per_class_equal",
    }
    assert isinstance(construct_bound(equal, "selector.policy"), UniformSampling)


def test_ours_has_a_filter_that_looks_at_no_feature_and_settings_that_follow_no_key() -> None:
    config = configuration("selector=ours", "gradient=full", "weighting=unbiased")
    assert bound(config, "selector.filter")["score"] == "random"
    assert bound(config, "selector.policy") == {
        "_target_": "titan_repro.selection.defensive.DefensiveImportanceSampling",
        "gradient": "logits",
        "share": 1.0,
        "power": 2.0,
    }


def test_el2n_is_the_gradient_of_logits_whatever_the_key_says() -> None:
    policy = construct_bound(configuration("selector=el2n", "gradient=full"), "selector.policy")
    assert policy.needs is Needs.LOGITS


def test_register_keys_reach_the_policy() -> None:
    policy = construct_bound(
        configuration(
            "selector=titan",
            "gradient=full",
            "class_importance=ema",
            "class_mass=stream",
            "weighting=unbiased",
            "sampling=multinomial",
        ),
        "selector.policy",
    )
    assert isinstance(policy, ClassifiedImportanceSampling)
    assert policy.needs is Needs.FULL_GRADIENTS
    assert policy.class_importance == "ema"
    assert policy.class_mass == "stream"
    assert policy.weighting == "unbiased"
    assert policy.sampling == "multinomial"


def test_keys_of_cis_do_not_change_published_importance_sampling() -> None:
    config = configuration("selector=is", "weighting=none", "sampling=systematic")
    policy = construct_bound(config, "selector.policy")
    assert isinstance(policy, ImportanceSampling)
    assert (policy.weighting, policy.sampling) == ("unbiased", "multinomial")


def test_literal_titan_keeps_the_printed_score_in_one_queue() -> None:
    config = configuration("selector=titan_literal")
    assert (config.filter.score, config.filter.quota) == ("rep_plus_div", "global")
    assert bound(config, "selector.filter")["quota"] == "global"
    assert configuration("selector=titan").filter.quota != "global"


def test_the_command_line_wins_over_the_file() -> None:
    config = configuration("selector=titan", "delay=0", "filter.quota=per_class_equal")
    assert config.delay == 0
    assert bound(config, "selector.filter")["quota"] == "per_class_equal"


def test_impossible_gradient_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gradient: found 'full'; allowed: last_layer"):
        construct_bound(configuration("selector=ocs", "gradient=full"), "selector.policy")
