"""The whole measurement on digits: what is kept, what is not repeated, what is refused."""

import json

import numpy as np
import pytest

from titan_repro.analysis.variance import load_variance
from titan_repro.cli.variance_summary import variance_summary
from titan_repro.costs.measure import is_measurement
from titan_repro.errors import ConfigurationError, RunFolderError
from titan_repro.records import measured as folders
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.records.variance import GREEDY, GREEDY_WEIGHTED, findings_of
from titan_repro.runs.build import build_loader, load_task
from titan_repro.runs.run import run
from titan_repro.tasks.base import locate
from titan_repro.variance import measure
from titan_repro.variance.measure import measure_variance
from titan_repro.variance.states import training_states

TINY = (
    "experiment=fig5",
    "task=digits",
    "model=small_cnn",
    "model.norm=batch",
    "experiment.states=[0,3]",
    "experiment.batch_sizes=[5,40]",
    "experiment.rounds=2",
    "experiment.draws=4",
    "experiment.trained_draws=3",
    "experiment.lags=[1,3]",
    "experiment.warm_up=1",
)
SELECTORS = {
    *("rs", "stratified", "is", "ll", "hl", "ce", "ocs", "camel", "cis", "cis_unbiased"),
    *("grad_topk", "el2n", "kcenter", "craig", "gradmatch", "divbs", "uds"),
    *("titan", "titan_unbiased", "random_cis", "random_cis_unbiased", "coarse_random"),
}
FILTERED = {name for name in SELECTORS if name.startswith(("titan", "random_", "coarse"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("variance") / "runs"


@pytest.fixture
def measured(configure, folder):
    """One real measurement, made once."""
    return measure_variance(configure(*TINY, f"paths.runs={folder}"), ["titan-run", "a=b"])


def test_everything_is_measured(measured, folder):
    content = json.loads((measured.folder / "variance.json").read_text())
    assert content == measured.content
    assert measured.folder.relative_to(folder).parts[:-1] == ("digits", "small_cnn", "fig5")
    files = {path.name for path in measured.folder.iterdir()}
    assert files == {"config.yaml", "provenance.json", "variance.json"}
    found = findings_of(content)
    kinds = [(split.state, split.gradients) for split in found.decomposition]
    assert kinds == [(0, "last_layer"), (0, "full"), (3, "last_layer"), (3, "full")]
    rows = {(row.state, row.gradients, row.batch_size, row.selector) for row in found.errors}
    small = SELECTORS | {GREEDY, GREEDY_WEIGHTED}
    expected = {
        (state, gradients, size, name)
        for state in (0, 3)
        for gradients, sizes in (("last_layer", (5, 40)), ("full", (5, 40)))
        for size in sizes
        for name in (small if size == 5 else small - FILTERED)
    }
    trained = {(state, "as_trained", 10, name) for state in (0, 3) for name in SELECTORS}
    own = {row for row in rows if row[2] == 10 and row[1] != "as_trained"}  # the batch of training
    assert rows - own == expected | trained
    assert {(row.state, row.lag) for row in found.stability} == {(0, 1), (0, 3), (3, 1), (3, 3)}
    assert all(row.samples == 200 for row in found.stability)


def test_the_numbers_belong_together(measured, folder):
    (record,) = load_variance(folder)
    for split in record.findings.decomposition:
        assert split.rs >= split.stratified >= split.cis > 0
        assert split.rs >= split.importance_sampling >= split.cis
    for row in record.findings.errors:
        assert row.mean_squared == pytest.approx(row.variance + row.squared_bias)
        assert row.variance >= 0
        if row.selector in ("ll", "hl", "ce", "ocs", "camel", GREEDY, GREEDY_WEIGHTED):
            assert row.variance == row.standard_error == 0
    best = record.over_rs(3, 5, GREEDY_WEIGHTED)
    assert 0 <= best < record.over_rs(3, 5, GREEDY) < 1 < record.over_rs(3, 5, "ll")
    assert record.over_rs(3, 40, "titan") != record.over_rs(3, 40, "titan")  # 30 candidates
    now = [row for row in record.findings.stability if row.lag == 1]
    assert all(-1 <= row.pearson <= 1 and -1 <= row.spearman <= 1 for row in now)
    told = variance_summary(measured)
    assert "3 rounds, variance of a batch over that of rs: stratified 0." in told


def test_the_state_is_that_of_a_run(configure, tmp_path):
    config = configure("task=digits", "model=small_cnn", "selector=rs", "rounds=3")
    summary = run(config).summary
    loader = build_loader(config)
    task = load_task(config, loader, locate(loader, tmp_path))
    *_, (done, network) = training_states(config, task, [1, 3], lambda _: None)
    assert (done, weights_sha256(network.state_dict())) == (3, summary["weights_sha256"])


def test_what_has_been_measured_is_not_measured_again(measured, configure, folder, monkeypatch):
    monkeypatch.setattr(measure, "load_task", None)  # calling it would fail
    again = measure_variance(configure(*TINY, f"paths.runs={folder}"))
    assert again.already_there
    assert again.content == measured.content
    assert "measured before, not measured again" in variance_summary(again)


def test_damage_is_named(measured, configure, folder):
    path = measured.folder / "variance.json"
    whole = path.read_text()
    path.write_text(whole[:-100])
    with pytest.raises(RunFolderError, match=r"variance\.json: damaged \("):
        measure_variance(configure(*TINY, f"paths.runs={folder}"))
    content = json.loads(whole)
    del content["errors"][2]["variance"]
    path.write_text(json.dumps(content))
    with pytest.raises(RunFolderError, match=r"json: damaged \(no errors\[2\]\.variance\)"):
        load_variance(folder)
    path.write_text(whole)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["experiment.states=[]"], "experiment.states: found []; allowed: whole numbers of at "),
        (["experiment.states=[3,0]"], "experiment.states: found [3, 0]; allowed: whole numbers"),
        (["experiment.batch_sizes=[0]"], "experiment.batch_sizes: found [0]; allowed: whole num"),
        (["experiment.batch_sizes=[101]"], "experiment.batch_sizes: found 101; allowed: at most"),
        (["experiment.draws=2"], "experiment.draws: found 2; allowed: whole numbers of at least"),
        (["experiment.trained_draws=1"], "experiment.trained_draws: found 1; allowed: 0 for none"),
        (["experiment.lags=3"], "experiment.lags: found 3; allowed: whole numbers of at least 1"),
        (["gradient=full"], "gradient: found 'full'; allowed: last_layer, logits"),
        (["scoring_norm=batch"], "scoring_norm: found 'batch'; allowed: running"),
        (["filter.budget=adaptive"], "filter.budget: found adaptive with experiment.measurement"),
        (["~experiment.selectors.rs"], "experiment.selectors: found no rs; allowed: any sel"),
        (["executor=processes", "delay=1"], "executor.name: found 'processes'; allowed: inline"),
        (["federation=fedavg"], "federation: found fedavg with experiment.measurement=variance; a"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    configure, tmp_path, overrides, says
):
    with pytest.raises(ConfigurationError) as caught:
        measure_variance(configure(*TINY, *overrides))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_training_that_diverges_leaves_nothing_half_written(configure, tmp_path):
    config = configure(*TINY, "model.norm=none", "learning_rate=1e9", "experiment.states=[9]")
    with pytest.raises(ConfigurationError, match=r"^learning_rate: found .*; training diverged in"):
        measure_variance(config)
    assert list(tmp_path.rglob("variance.json")) == []
    assert list(tmp_path.rglob(".lock")) == []


def test_the_name_of_a_measurement(configure, monkeypatch):
    """It is that of another one if another number would come out."""
    names = {}

    def stop(folder):
        names[overrides] = folder.name
        raise ZeroDivisionError

    monkeypatch.setattr(folders, "exclusive", stop)
    same = [(), ("evaluate_every=7", "experiment.name=other", "experiment.megabytes=9")]
    other = [
        ("seed=1",),
        ("selector=cis",),
        ("experiment.states=[0,4]",),
        ("filter.budget=20",),
        ("class_importance=plugin",),
        ("learning_rate=0.04",),
    ]
    for overrides in (*same, *other):
        with pytest.raises(ZeroDivisionError):
            measure_variance(configure(*TINY, *overrides))
    assert len({names[overrides] for overrides in same}) == 1
    assert len(set(names.values())) == 1 + len(other)


def test_lags_measure_nothing_where_none_are_asked_for(configure, tmp_path):
    small = ("experiment.states=[2]", "experiment.lags=[]", "experiment.full_rounds=0")
    config = configure(*TINY, *small, "experiment.rounds=1")
    found = findings_of(measure_variance(config).content)
    assert found.stability == ()
    assert {row.gradients for row in found.errors} == {"last_layer"}
    assert np.isfinite([row.mean_squared for row in found.errors]).all()
    assert is_measurement(config)
