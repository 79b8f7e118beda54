"""Every range and every impossible combination is refused in one line, before data are loaded."""

import inspect
import re

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from titan_repro.binding import bound
from titan_repro.conf_path import conf_dir
from titan_repro.config import RULES, identity, validate
from titan_repro.errors import ConfigurationError
from titan_repro.records.identity import run_id
from titan_repro.runs.build import build_network, build_selector

BAD_VALUES = [
    ("seed=-1", "seed", "-1"),
    ("seed=3000000000", "seed", "2147483647"),
    ("task.name=../evil", "task.name", "a name without /"),
    ("model.name=..", "model.name", "a name without /"),
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
    ("filter.budget=Adaptive", "filter.budget", "or adaptive"),
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
    ("idle=constant idle.share=1.5", "idle.share", "1.5"),
    ("idle=constant idle.share=half", "idle.share", "half"),
    ("idle=square_wave idle.period_seconds=0", "idle.period_seconds", "0"),
    ("idle=square_wave idle.high=2", "idle.high", "2"),
    ("idle=square_wave idle.low=-0.1", "idle.low", "-0.1"),
    ("idle=square_wave idle.duty=1", "idle.duty", "1"),
    ("idle=random_walk idle.step=0", "idle.step", "0"),
    ("idle=random_walk idle.every_seconds=inf", "idle.every_seconds", "inf"),
    ("idle=random_walk idle.start=nan", "idle.start", "nan"),
    ("idle=random_walk idle.seed=0.5", "idle.seed", "0.5"),
    ("idle=csv", "idle.path", "found null"),
    ("task=speech_commands task.front_end=mel64", "task.front_end", "mel40, mel32"),
    ("task=speech_commands_10 task.front_end=null", "task.front_end", "found null"),
    ("idle=csv idle.path=a.csv idle.repeat_seconds=0", "idle.repeat_seconds", "0"),
]


@pytest.mark.parametrize(("override", "key", "mentioned"), BAD_VALUES)
def test_a_wrong_value_names_key_value_and_what_is_allowed(configure, override, key, mentioned):
    words = [override] if "'" in override else override.split()
    with pytest.raises(ConfigurationError) as caught:
        validate(configure(*words))
    message = str(caught.value)
    assert message.startswith(f"{key}: found ")
    assert mentioned in message
    assert "allowed: " in message
    assert "\n" not in message


MODELLED = ["filter.budget=adaptive", "device=jetson_nano"]
MEASURED = ["filter.budget=adaptive", "executor=processes"]

IMPOSSIBLE = [
    (["stream.velocity=20"], "filter.budget: found 30"),
    (["filter.budget=8"], "batch_size: found 10"),
    (["filter.budget=200"], "filter.budget: found 200"),
    (["stream.velocity=7"], "filter.budget: found 30"),
    (["selector=hl", "selector.policy.prefer=odd"], "selector.policy.prefer: found 'odd'"),
    (["selector.policy.memory=2"], "selector.policy.memory: found 2"),
    (["selector=ocs", "gradient=full"], "gradient: found 'full'; allowed: last_layer, logits"),
    (["model=resnet50", "model.norm=none"], "model.norm: found 'none'; allowed: batch, group"),
    (["selector=rs", "stream.velocity=9"], "batch_size: found 10"),
    (["filter.blocks=4"], "filter.blocks: found 4; allowed: 1 to 3"),
    (["gradient=full", "scoring_norm=batch"], "scoring_norm: found batch"),
    (["model=mlp"], "model: mlp"),
    (["task=cifar10", "model=mlp"], "model: mlp"),
    (["task=dsads", "model=mobilenet"], "model: mobilenet"),
    (["model=mlp", "task=dsads", "model.norm=batch"], "model.norm: found 'batch'; allowed: none"),
    (["filter.budget=adaptive"], "filter.budget: found adaptive with executor=inline"),
    (["filter.budget=adaptive", "device=cuda"], "filter.budget: found adaptive with executor="),
    ([*MODELLED, "delay=0"], "delay: found 0 with filter.budget=adaptive"),
    ([*MEASURED, "delay=0"], "delay: found 0 with filter.budget=adaptive"),
    ([*MODELLED, "scoring_norm=batch"], "scoring_norm: found batch with filter.budget=adaptive"),
    ([*MEASURED, "gradient=full"], "gradient: found full with filter.budget=adaptive"),
    ([*MODELLED, "device.modelled.select=cpu"], "device.modelled.select: found cpu, which trains"),
    ([*MODELLED, "stream.velocity=9"], "batch_size: found 10; allowed: at most the 9"),
    (["idle=square_wave"], "idle: found square_wave; allowed: always"),
    (["idle=square_wave", "device=jetson_nano"], "idle: found square_wave; allowed: always"),
    ([*MEASURED, "idle=constant"], "idle: found constant; allowed: always"),
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
    build_selector(config)


def test_filter_blocks_do_not_matter_without_a_filter(configure):
    config = configure("selector=rs", "filter.blocks=40", "filter.budget=500")
    validate(config)
    build_network(config)


@pytest.mark.parametrize(
    "overrides", [MODELLED, [*MODELLED, "gradient=full"], [*MODELLED, "idle=random_walk"], MEASURED]
)
def test_adaptive_budgets_are_possible_on_a_modelled_clock_and_beside_training(
    configure, overrides
):
    check_without_data(configure(*overrides))


@pytest.mark.parametrize("selector", ["rs", "cis", "ll"])
def test_budget_and_idle_time_do_not_matter_without_a_filter(configure, selector):
    check_without_data(configure(f"selector={selector}", "filter.budget=adaptive", "idle=constant"))


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
    ahead = selector.startswith("titan") or selector == "ours"
    assert config.delay == (1 if ahead else 0)


@pytest.mark.parametrize(
    ("group", "name", "node"),
    [
        *(("model", name, "network") for name in names("model")),
        *(("task", name, "loader") for name in names("task")),
        *(("stream", name, "source") for name in names("stream")),
        *(("idle", name, "trace") for name in names("idle")),
    ],
)
def test_every_target_takes_its_files_parameters(configure, group, name, node):
    config = configure(f"{group}={name}")
    parameters = bound(config, f"{group}.{node}")
    target = get_object(parameters.pop("_target_"))
    extra = {
        "model": {"input_shape": (), "num_classes": 2},
        "task": {},
        "stream": {"task": None, "seed": 0},
        "idle": {},
    }[group]
    inspect.signature(target).bind(**parameters, **extra)
    assert config[group].name == name


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_is_valid(configure, experiment):
    """Of a sweep, the last value of every key; the slow test takes all of them."""
    whole = configure(f"experiment={experiment}", hydra=True)
    if experiment == "theory":  # the only one that is no sweep: statements need no runs
        validate(whole)
        assert whole.hydra.mode is None
        return
    assert whole.hydra.mode.name == "MULTIRUN"
    swept, alone = keys_of(whole)
    last = {key: values[-1] for key, values in swept.items()}
    validate(configure(f"experiment={experiment}", *chosen(last)))
    for key, values in alone.items():
        validate(configure(f"experiment={experiment}", *chosen({key: values[-1]})))


@pytest.mark.slow  # Hydra reads its sixty files for each
@pytest.mark.parametrize("experiment", [name for name in names("experiment") if name != "theory"])
def test_every_run_of_an_experiment_is_valid(configure, experiment):
    """Every value of every key, in some run."""
    swept, alone = keys_of(configure(f"experiment={experiment}", hydra=True))
    for number in range(max(map(len, swept.values()))):
        at = {key: values[number % len(values)] for key, values in swept.items()}
        config = configure(f"experiment={experiment}", *chosen(at))
        validate(config)
        if number < len(swept.get("model", ())):
            build_network(config)
    for key, values in alone.items():
        for value in values:
            validate(configure(f"experiment={experiment}", *chosen({key: value})))


def keys_of(whole):
    """Return the values of each key that a sweep varies, and of each that it changes alone."""
    sweeper = OmegaConf.to_container(whole.hydra.sweeper, resolve=True)
    return [values_of(sweeper[part] or {}) for part in ("params", "alone")]


def chosen(values):
    return [f"{key}={value}" for key, value in values.items()]


def values_of(keys):
    """Return the values of each key that has any."""
    found = {key: re.findall(r"\[[^]]*\]|[^,]+", values or "") for key, values in keys.items()}
    return {key: values for key, values in found.items() if values}


def test_the_register_fits_models_of_images(configure):
    given = ("experiment=register", "task=cifar10", "model=squeezenet")
    alone = configure(*given, hydra=True).hydra.sweeper.alone
    assert (alone["model.widths"], alone["filter.blocks"]) == (None, "1,2,3")
    for value in alone["model.norm"].split(","):
        build_network(configure(*given, f"model.norm={value}"))


@pytest.mark.parametrize("model", names("model"))
def test_figure_8_has_every_block_of_every_model(configure, model):
    task = {"mlp": "dsads", "resnet34": "speech_spectrograms"}.get(model, "cifar10")
    whole = configure("experiment=fig8", f"model={model}", f"task={task}", hydra=True)
    network = build_network(configure(f"task={task}", f"model={model}"))
    expected = ",".join(str(n) for n in range(1, len(network.blocks) + 1))
    assert whole.hydra.sweeper.params["filter.blocks"] == expected


@pytest.mark.parametrize(
    "group",
    [
        *("task", "model", "selector", "stream", "budget", "device", "executor", "idle"),
        *("federation", "experiment"),
    ],
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
        "rounds=7",
        "budget=paper",
        "paths.data=elsewhere",
        "paths.runs=there",
        "checkpoint_seconds=1",
        "tensorboard=true",
        "filter.budget=50",
        "class_importance=plugin",
        "scoring_norm=batch",
        "filter.budget=adaptive",
        "idle=constant",
    ):
        assert facts(override) == same, override


def test_run_folders_of_before_keep_their_names(configure):
    """Titan's and random selection's runs on the default task, as the campaign's are named."""
    titan = identity(configure("selector=titan"), "bundled", scoring=True)
    random = identity(configure("selector=rs"), "bundled", scoring=False)
    assert (run_id(titan), run_id(random)) == ("e3e9b45689af", "ea9b89e6e788")


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "batch_size=5",
        "stream.velocity=50",
        "learning_rate=0.3",
        "learning_rate_floor=0.1",
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


def test_identity_holds_a_federation_without_its_processes(configure):
    def facts(*overrides: str):
        config = configure(*(overrides and ["federation=fedavg", *overrides]))
        return identity(config, "bundled", scoring=True)["setting"]

    default = facts("federation.devices=50")
    assert "federation" not in facts()
    assert {**facts(), "federation": default["federation"]} == default
    for same in ("federation.workers=2", "federation.timeout_seconds=9", "federation.alpha=9"):
        assert facts(same) == default, same
    for other in (
        "federation.devices=49",
        "federation.by=dirichlet",
        "federation.classes_per_device=4",
        "federation.share=0.1",
        "federation.local_iterations=2",
        "federation.proximal=0.1",
        "federation.batchnorm=local",
    ):
        assert facts(other) != default, other


def test_identity_tells_front_ends_apart_by_what_they_do(configure):
    """By settings, not by name: a front end that is spelt out is the same run."""

    def facts(*overrides: str):
        return identity(configure("task=speech_commands_10", *overrides), "parquet", scoring=True)

    mel40, mel32 = facts(), facts("task.front_end=mel32")
    assert mel40 == facts("task.front_end=mel40")
    assert mel40 != mel32
    settings = ("bands=32", "window_ms=128.0", "hop_ms=32.0", "centred=true", "highest_hz=8000.0")
    assert facts(*(f"task.loader.{setting}" for setting in settings)) == mel32


def test_identity_tells_forms_of_the_data_apart(configure):
    config = configure()
    assert identity(config, "parquet", scoring=True) != identity(config, "other", scoring=True)
