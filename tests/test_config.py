"""Every range and every impossible combination is refused in one line, before data are loaded."""

import inspect

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from titan_repro.conf_path import conf_dir
from titan_repro.config import RULES, identity, validate
from titan_repro.errors import ConfigurationError
from titan_repro.experiments.build import build_network, build_selector

BAD_VALUES = [
    ("seed=-1", "seed", "-1"),
    ("rounds=0", "rounds", "0"),
    ("batch_size=0", "batch_size", "0"),
    ("learning_rate=0", "learning_rate", "0"),
    ("learning_rate=1e300", "learning_rate", "1e+300"),
    ("paths.runs=' '", "paths.runs", "a folder"),
    ("selector.name=a/b", "selector.name", "a/b"),
    ("learning_rate=inf", "learning_rate", "inf"),
    ("learning_rate=nan", "learning_rate", "nan"),
    ("learning_rate_decay=1.5", "learning_rate_decay", "1.5"),
    ("delay=2", "delay", "2"),
    ("stream.velocity=0", "stream.velocity", "0"),
    ("stream.velocity=12.5", "stream.velocity", "12.5"),
    ("filter.budget=many", "filter.budget", "many"),
    ("filter.blocks=0", "filter.blocks", "0"),
    ("filter.decay=0", "filter.decay", "0"),
    ("filter.score=best", "filter.score", "rep_plus_div"),
    ("filter.quota=fair", "filter.quota", "per_class_equal"),
    ("gradient=first_layer", "gradient", "last_layer"),
    ("class_importance=none", "class_importance", "bessel"),
    ("class_mass=all", "class_mass", "stream"),
    ("weighting=some", "weighting", "self_normalised"),
    ("sampling=dice", "sampling", "multinomial"),
    ("scoring_norm=layer", "scoring_norm", "running"),
    ("model.norm=layer", "model.norm", "group"),
    ("evaluate_every=0", "evaluate_every", "0"),
    ("checkpoint_seconds=-1", "checkpoint_seconds", "-1"),
]


@pytest.mark.parametrize(("override", "key", "mentioned"), BAD_VALUES)
def test_a_wrong_value_names_key_value_and_what_is_allowed(configure, override, key, mentioned):
    with pytest.raises(ConfigurationError) as caught:
        validate(configure(override))
    message = str(caught.value)
    assert message.startswith(f"{key}: found ")
    assert mentioned in message
    assert "allowed: " in message
    assert "\n" not in message


IMPOSSIBLE = [
    (["stream.velocity=20"], "filter.budget: found 30"),
    (["filter.budget=8"], "batch_size: found 10"),
    (["selector.filter.budget=200"], "filter.budget: found 200"),
    (["stream.source.velocity=7"], "filter.budget: found 30"),
    (["selector=rs", "stream.velocity=9"], "batch_size: found 10"),
    (["filter.blocks=4"], "filter.blocks: found 4; allowed: 1 to 3"),
    (["gradient=full", "scoring_norm=batch"], "scoring_norm: found batch"),
    (["model=mlp"], "model: mlp"),
    (["task=cifar10", "model=mlp"], "model: mlp"),
    (["task=dsads", "model=mobilenet"], "model: mobilenet"),
    (["model=mlp", "task=dsads", "model.norm=batch"], "model: mlp"),
]


@pytest.mark.parametrize(("overrides", "start"), IMPOSSIBLE)
def test_an_impossible_combination_is_refused_without_data(configure, overrides, start):
    config = configure("paths.data=/nowhere", *overrides)
    with pytest.raises(ConfigurationError) as caught:
        check_without_data(config)
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)


def check_without_data(config):
    validate(config)
    build_network(config)


def test_filter_blocks_do_not_matter_without_a_filter(configure):
    config = configure("selector=rs", "filter.blocks=40", "filter.budget=500")
    validate(config)
    build_network(config)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_every_default_is_allowed(configure, rule):
    rule.check(configure())


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


@pytest.mark.parametrize("selector", names("selector"))
def test_every_selector_file_builds(configure, selector):
    config = configure(f"selector={selector}")
    validate(config)
    build_selector(config)
    assert config.selector.name == selector
    assert config.delay == (1 if selector.startswith("titan") else 0)


@pytest.mark.parametrize(
    ("group", "name", "node"),
    [
        *(("model", name, "network") for name in names("model")),
        *(("task", name, "loader") for name in names("task")),
        *(("stream", name, "source") for name in names("stream")),
    ],
)
def test_every_target_takes_its_files_parameters(configure, group, name, node):
    config = configure(f"{group}={name}")
    parameters = OmegaConf.to_container(config[group][node], resolve=True)
    target = get_object(parameters.pop("_target_"))
    extra = {
        "model": {"input_shape": (), "num_classes": 2},
        "task": {},
        "stream": {"task": None, "seed": 0},
    }[group]
    inspect.signature(target).bind(**parameters, **extra)
    assert config[group].name == name


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_run_of_an_experiment_is_valid(configure, experiment):
    whole = configure(f"experiment={experiment}", hydra=True)
    params = OmegaConf.to_container(whole.hydra.sweeper.params, resolve=True)
    assert whole.hydra.mode.name == "MULTIRUN"
    for key, values in params.items():
        for value in values.split(","):
            config = configure(f"experiment={experiment}", f"{key}={value}")
            validate(config)
            if key == "model":
                build_network(config)


@pytest.mark.parametrize("model", names("model"))
def test_figure_8_has_every_block_of_every_model(configure, model):
    task = {"mlp": "dsads", "resnet34": "speech_spectrograms"}.get(model, "cifar10")
    whole = configure("experiment=fig8", f"model={model}", f"task={task}", hydra=True)
    network = build_network(configure(f"task={task}", f"model={model}"))
    expected = ",".join(str(n) for n in range(1, len(network.blocks) + 1))
    assert whole.hydra.sweeper.params["filter.blocks"] == expected


@pytest.mark.parametrize(
    "group",
    ["task", "model", "selector", "stream", "budget", "device", "executor", "experiment"],
)
def test_every_file_names_the_command_that_runs_it(group):
    for path in (conf_dir() / group).glob("*.yaml"):
        head = path.read_text().splitlines()[:2]
        assert any(line.startswith("# titan-run ") for line in head), path
        assert any(f"{group}={path.stem}" in line for line in head), path


def test_identity_leaves_out_what_cannot_change_a_result(configure):
    def facts(*overrides: str):
        return identity(configure("selector=rs", *overrides), "bundled", scoring=False)

    same = facts()
    for override in (
        "paths.data=elsewhere",
        "paths.runs=there",
        "checkpoint_seconds=1",
        "tensorboard=true",
        "filter.budget=50",
        "class_importance=plugin",
        "scoring_norm=batch",
    ):
        assert facts(override) == same, override


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "rounds=7",
        "batch_size=5",
        "stream.velocity=50",
        "learning_rate=0.3",
        "filter.budget=20",
        "filter.blocks=2",
        "filter.decay=0.9",
        "filter.pooling=average",
        "class_importance=plugin",
        "class_mass=stream",
        "weighting=unbiased",
        "sampling=multinomial",
        "gradient=logits",
        "scoring_norm=batch",
        "delay=0",
        "model.norm=batch",
        "stream=label_noise",
        "evaluation_samples=5",
    ],
)
def test_identity_holds_what_changes_a_result(configure, override):
    base = identity(configure(), "bundled", scoring=True)
    assert identity(configure(override), "bundled", scoring=True) != base


def test_identity_tells_forms_of_the_data_apart(configure):
    config = configure()
    assert identity(config, "parquet", scoring=True) != identity(config, "other", scoring=True)
