"""Keys that are missing or read by nothing, classes that lack something: refused by name."""

import pytest
from omegaconf import OmegaConf

from titan_repro.binding import address, bound
from titan_repro.contracts import check_methods
from titan_repro.errors import ConfigurationError
from titan_repro.keys import check_known
from titan_repro.selection.base import Policy
from titan_repro.selection.cis import ClassifiedImportanceSampling


@pytest.mark.parametrize(
    "overrides",
    [
        ["selector=titan"],
        ["stream=drift"],
        ["task=speech_commands_10", "model=resnet34"],
        ["experiment=fig6"],
        ["experiment=fig8"],
        ["device=jetson_nano_5w", "idle=square_wave", "filter.budget=adaptive"],
        ["executor=processes"],
        ["+task.mine=2", "rounds=${task.mine}"],
    ],
    ids=" ".join,
)
def test_files_and_keys_that_others_refer_to_are_known(configure, overrides):
    check_known(configure(*overrides))


def test_a_configuration_without_interpolations_is_known(configure):
    check_known(OmegaConf.create(OmegaConf.to_yaml(configure(), resolve=True)))


class Passing(ClassifiedImportanceSampling):
    """Adds a parameter and passes the others on, so that it takes what its base takes."""

    def __init__(self, *, extra, **keywords):
        super().__init__(**keywords)


def test_a_subclass_that_passes_keywords_on_is_bound_as_its_base(configure):
    target = f"selector.policy._target_={__name__}.Passing"
    config = configure(target, "+selector.policy.extra=1", "gradient=logits")
    node = bound(config, "selector.policy")
    assert (node["gradient"], node["extra"], node["memory"]) == ("logits", 1, 0.9)
    assert address(config, "selector.policy", "gradient") == "gradient"
    assert address(config, "selector.policy", "memory") == "selector.policy.memory"
    check_known(config)


class NoState:
    def select(self, candidates, batch_size, generator):
        return None


class OtherSelect(NoState):
    def select(self, candidates):
        return None

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        return None


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (NoState(), "selector.policy: test_keys.NoState has no method state_dict; allowed: "),
        (object(), "selector.policy: builtins.object has no method select; allowed: classes with"),
        (OtherSelect(), "selector.policy: found test_keys.OtherSelect.select(candidates); allowed"),
        (OtherSelect, "selector.policy: found test_keys.OtherSelect.select(self, candidates); all"),
    ],
)
def test_what_a_policy_lacks_is_named(thing, says):
    with pytest.raises(ConfigurationError) as caught:
        check_methods("selector.policy", thing, Policy)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
