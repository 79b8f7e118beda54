"""Names of runs that exist: a run that is restructured keeps its folder, so that it is not redone.

Frozen with the code of identity format 2, when every parameter was spelt out in conf/. A board's
numbers are part of the name where its clock sets budgets, and of a measurement's: these names are
those of conf/device/jetson_nano.yaml as fitted to the paper's figures by kind of layer.
"""

import pytest

from titan_repro.config import identity
from titan_repro.costs.measure import _identity
from titan_repro.records.identity import run_id
from titan_repro.runs.build import build_selector
from titan_repro.runs.candidate_budget import budget_choices
from titan_repro.tasks.base import Source

NAMES = [
    ("selector=rs", "dc37b5f55bdf"),
    ("selector=stratified", "58463dade7a5"),
    ("selector=is", "148a62b17e23"),
    ("selector=ll", "37b829708965"),
    ("selector=hl", "917092ec0fed"),
    ("selector=ce", "2aec033176b9"),
    ("selector=ocs", "12291c4fd82e"),
    ("selector=camel", "7d916a1aaf87"),
    ("selector=cis", "874b2722428e"),
    ("selector=titan", "7fc0e05f7163"),
    ("selector=titan_literal", "e0ab40ae688b"),
    ("selector=titan_random", "833f5a7551f2"),
    ("selector=titan_equal", "9fb4b58d273a"),
    ("selector=camel_equal", "222cb81ab64f"),
    ("selector=grad_topk", "8b2d4f2e74f9"),
    ("selector=el2n", "ad86e8e27d67"),
    ("selector=rho_loss", "6383b7b284f7"),
    ("selector=uds", "c7341da76ad9"),
    ("selector=divbs", "77d6ddf58513"),
    ("selector=craig", "2fe95cf2f98f"),
    ("selector=gradmatch", "b420c3a8b4b0"),
    ("selector=kcenter", "0741611388bc"),
    ("selector=rs2", "9a368973910a"),
    ("selector=ours", "b20854cf7958"),
    ("stream=drift", "c5c7a7f33be0"),
    ("stream=drift stream.period=200 stream.window=0.3", "a80d937d7323"),
    ("stream=feature_noise stream.sigma=0.5", "08633f07fccc"),
    ("stream=imbalanced stream.ratio=50 stream.order=seeded", "feefdc5f2e3a"),
    ("stream=label_noise stream.fraction=0.2", "44de572e0d61"),
    ("stream.velocity=50", "05a34daa3cd5"),
    ("task=cifar10 model=alexnet", "fe17e4174c5f"),
    ("task=cifar10 model=mobilenet selector=cis", "4d038046adb1"),
    ("task=cifar10 model=squeezenet", "7af8c6f72355"),
    ("task=cifar10 model=resnet50 model.norm=group", "7ef9741220ee"),
    ("task=speech_spectrograms model=resnet34", "d101cd6201bd"),
    ("task=dsads model=mlp model.widths=[200,100]", "e840b82b0492"),
    ("task=speech_commands_10 model=resnet34 task.front_end=mel32", "438beedf6f3b"),
    ("task=harbox model=mlp", "8fa00db885d0"),
    ("gradient=full", "c5c990f0580e"),
    (
        "gradient=logits class_importance=ema class_mass=stream weighting=unbiased "
        "sampling=multinomial",
        "168980a3c627",
    ),
    ("selector=is gradient=logits weighting=none sampling=systematic", "05bb8057b7e3"),
    ("selector=ocs gradient=logits", "53e89bdb8e5d"),
    ("selector=cis class_importance=plugin scoring_norm=batch", "77781544e50c"),
    ("selector=cis selector.policy.memory=0.5", "bd4beaac9727"),
    ("filter.budget=20 filter.blocks=2 filter.pooling=average filter.decay=0.9", "647974160a36"),
    ("filter.score=rank_mix filter.quota=global delay=0", "9cff1d9762ea"),
    ("seed=3 batch_size=5 learning_rate=0.3 learning_rate_floor=0.001", "7af2864cfb20"),
    ("filter.budget=adaptive executor=processes", "6936fcfc3e0a"),
    ("filter.budget=adaptive device=jetson_nano", "3e619f603430"),
    ("filter.budget=adaptive device=jetson_nano idle=constant idle.share=0.3", "650d4ad43a74"),
    (
        "filter.budget=adaptive device=jetson_nano idle=square_wave idle.period_seconds=60",
        "d7862596367d",
    ),
    ("filter.budget=adaptive device=jetson_nano idle=random_walk idle.seed=1", "15d4be513048"),
]


@pytest.mark.parametrize(("overrides", "name"), NAMES, ids=[row[0] for row in NAMES])
def test_a_run_keeps_its_name(configure, overrides, name):
    config = configure(*overrides.split())
    scoring = build_selector(config).runs_network
    assert run_id(identity(config, "form", scoring=scoring, budget=budget_choices(config))) == name


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "6d3c59fa722a"),
        (["task=dsads", "model=mlp", "gradient=logits", "model.norm=none"], "d0410a5df54b"),
    ],
)
def test_a_measurement_keeps_its_name(configure, overrides, name):
    config = configure("experiment=fig6", *overrides)
    assert run_id(_identity(config, Source("form", ()))) == name


def test_the_choices_of_titan_are_spelt_out(configure):
    choices = identity(configure("selector=titan"), "form", scoring=True)["choices"]
    assert choices["filter"] == {
        "_target_": "CoarseFilter",
        "budget": 30,
        "score": "rep_plus_div",
        "quota": "per_class_proportional",
        "decay": 1.0,
    }
    assert choices["policy"] == {
        "_target_": "ClassifiedImportanceSampling",
        "gradient": "last_layer",
        "class_importance": "bessel",
        "class_mass": "candidates",
        "weighting": "none",
        "sampling": "systematic",
        "memory": 0.9,
    }
