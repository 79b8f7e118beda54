"""The fixture that composes configurations for all other tests gives what Hydra gives."""

import shlex

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from composing import quickly, whole


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "task=dsads model=mlp model.widths=[7,5] seed=3",
        "seed=3 task=cifar10 model=mobilenet model.norm=none learning_rate=1e-3 seed=4",
        "experiment=fig6 experiment.rounds=4 selector.name=mine",
        "stream=label_noise stream.fraction=0.1 device=jetson_nano idle=constant idle.share=0",
        "filter.budget=adaptive paths.data='a\\ b' +more.of=1",
        "tensorboard=true paths.cache=null",
        "hydra/job_logging=none ~idle",
    ],
)
def test_it_gives_what_hydra_gives(overrides):
    words = shlex.split(overrides)
    for _ in range(2):  # composed, and remembered
        found, expected = quickly(*words), whole(*words)
        assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
        assert OmegaConf.is_struct(found) == OmegaConf.is_struct(expected)
        found.seed = 99  # what a test does to its own is not remembered


@pytest.mark.parametrize("override", ["no_such_key=1", "seed=many", "task=none", "filter.x=1"])
def test_what_hydra_refuses_is_refused(override):
    with pytest.raises(ConfigCompositionException) as expected:
        whole(override)
    with pytest.raises(ConfigCompositionException) as found:
        quickly(override)
    assert str(found.value) == str(expected.value)
