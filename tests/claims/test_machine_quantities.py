"""Quantities without seeds: the modelled board, costs measured here, theory, arithmetic, fig5."""

import json
from pathlib import Path

import pytest

from claims.made_up import CLAIMS, MadeUp, judged
from handmade import costs
from titan_repro.claims.comparisons import Verdict
from titan_repro.errors import RunFolderError
from titan_repro.records.variance import FACTS
from titan_repro.theory.statement import Statement

HOLDS, DIRECTION, FAILS, AGAINST, UNDECIDED, NOT_TESTED = Verdict
MODELS = ("alexnet", "mobilenet", "squeezenet", "resnet50")


@pytest.fixture
def measured(tmp_path):
    """Return a function that makes evidence of costs.json, measured on a machine."""

    def made(*contents, cpu="a desktop"):
        path = tmp_path / "costs.json"
        told = {"machine": {"cpu": cpu, "cores": 2}}
        path.with_name("provenance.json").write_text(json.dumps(told))
        return MadeUp(costs=[(content, path) for content in contents])

    return made


def test_a_fitted_number_is_no_evidence():
    for claim in ("fig6d.power.alexnet", "fig8.delay.mobilenet", "fig6b.latency"):
        found = judged(claim, MadeUp())
        assert (found.verdict, found.value) == (NOT_TESTED, None)
        assert found.note.startswith("not tested (fitted)")


def test_a_number_that_the_board_was_not_fitted_to_is():
    assert judged("fig6c.memory.resnet50", MadeUp()).verdict is HOLDS  # 138 MB, paper 114
    found = judged("fig6c.memory.alexnet", MadeUp())  # 256 MB, paper 105
    assert (found.verdict, found.seeds, found.interval) == (DIRECTION, 0, None)
    assert found.note == "modelled, not measured"


def test_another_machine_shows_a_direction_at_best(measured):
    evidence = measured(*map(costs, MODELS))
    for claim, value in (("fig6a.pipeline_masks", 90), ("fig6b.latency", 0.5),
                         ("fig8.delay.alexnet", 4)):  # fmt: skip
        found = judged(claim, evidence)
        assert (found.verdict, found.value) == (DIRECTION, value)
        assert "measured on a desktop, 2 cores" in found.note


def test_the_papers_board_may_show_more(measured):
    evidence = measured(*map(costs, MODELS), cpu="Jetson Nano")
    assert judged("fig6a.pipeline_masks", evidence).verdict is HOLDS
    assert judged("fig8.delay.alexnet", evidence).verdict is DIRECTION  # 4 of 32 times
    fast = measured(costs("alexnet", latency__measured__cis__arriving_ms=20), cpu="Jetson Nano")
    assert judged("fig8.delay.alexnet", fast).verdict is HOLDS


def test_a_model_that_hides_little_decides(measured):
    little = costs("resnet50", rounds__measured__hidden_percent=20)
    found = judged("fig6a.pipeline_masks", measured(*map(costs, MODELS[:3]), little))
    assert (found.verdict, found.value) == (AGAINST, 20)
    assert found.note.startswith("resnet50; ")
    some = judged("fig6a.pipeline_masks", measured(costs("alexnet")))
    assert "not tested: mobilenet, squeezenet, resnet50" in some.note


def statements(*outcomes):
    evidence = MadeUp()
    evidence.statements = [
        Statement(f"Lemma 2, part {n}", "", "", "", outcome, 1e-12,
                  condition="classes are large" if outcome != "holds" else "",
                  counterexample="a case" if outcome == "does not hold" else "")
        for n, outcome in enumerate(outcomes)
    ]  # fmt: skip
    return evidence


def test_a_statement_holds_as_stated_or_under_a_condition():
    whole, part, none = "holds", "holds under a condition", "does not hold"
    assert judged("theory.lemma2", statements(whole, whole)).verdict is HOLDS
    found = judged("theory.lemma2", statements(whole, part))
    assert (found.verdict, found.note) == (DIRECTION, "Lemma 2, part 1; if classes are large")
    found = judged("theory.lemma2", statements(whole, part, none))
    assert (found.verdict, found.note) == (FAILS, "Lemma 2, part 2; a case")
    with pytest.raises(LookupError, match="Theorem 1"):
        judged("theory.theorem1", statements(whole))


def test_the_papers_theory_as_it_stands():
    verdicts = {name: judged(name, MadeUp()).verdict for name in CLAIMS
                if name.startswith(("theory.", "filter."))}  # fmt: skip
    assert verdicts.pop("filter.rep_div") is FAILS
    assert set(verdicts.values()) == {DIRECTION}  # each needs a condition


def test_contradictions_are_arithmetic():
    found = judged("contradiction.table1.alexnet", MadeUp())
    assert (found.verdict, found.claim.paper_value) == (FAILS, "3.98")
    assert found.value == pytest.approx(1 + 100 * 0.1295 / 3.15)
    assert found.is_contradiction
    assert judged("contradiction.without_filter.resnet50", MadeUp()).verdict is HOLDS


# --- figure 5


SIZES = (5, 10, 20)


def variance(seed, model="alexnet", pearson=0.98, **distances):
    """Build a variance.json: distances over rs by selector, or by selector and size."""
    table = {"rs": 1.0, "is": 0.7, "ll": 2, "hl": 2, "ce": 2, "ocs": 2, "camel": 1.5,
             "cis_unbiased": 0.3, "titan_unbiased": 0.32, **distances}  # fmt: skip
    errors = [
        {
            "state": state,
            "gradients": "last_layer",
            "batch_size": size,
            "selector": name,
            "mean_squared": (1 + state) * (1 + 1e-3 * seed)
            * (value[size] if isinstance(value, dict) else value),
            **dict.fromkeys(("variance", "squared_bias", "standard_error"), 0.0),
        }
        for state in (0, 500) for size in SIZES for name, value in table.items()
    ]  # fmt: skip
    stability = [
        {"state": 0, "lag": lag, "pearson": pearson / lag, "spearman": 0.9, "samples": 100}
        for lag in (1, 2)
    ]
    facts = {"id": f"{model}{seed}", "experiment": "fig5", "task": "cifar10", "model": model}
    unused = dict.fromkeys(FACTS, 0) | {"decomposition": []}
    return {**unused, **facts, "seed": seed, "errors": errors, "stability": stability}


def files(folder: Path, *contents) -> MadeUp:
    for content in contents:
        path = folder / content["id"] / "variance.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return MadeUp(source=folder)


GAP = {"is": {5: 0.5, 10: 0.6, 20: 0.6}, "cis_unbiased": {5: 0.1, 10: 0.3, 20: 0.4}}


@pytest.mark.parametrize(
    ("claim", "value"),
    [("fig5a.cis_lowest_variance", -0.2), ("fig5a.gap_grows", -0.1), ("fig5b.filter_loss", 2),
     ("fig5c.stable_importance", 0.98)],
)  # fmt: skip
def test_measured_variances(claim, value, tmp_path):
    own = GAP if claim.startswith("fig5a") else {}
    evidence = files(tmp_path, *(variance(seed, **own) for seed in (0, 1, 2)))
    found = judged(claim, evidence)
    assert (found.verdict, found.seeds) == (HOLDS, 3)
    assert found.value == pytest.approx(value)
    assert found.runs == ("alexnet0", "alexnet1", "alexnet2")


def test_one_seed_of_variances_decides_nothing(tmp_path):
    found = judged("fig5b.filter_loss", files(tmp_path, variance(0)))
    assert (found.verdict, found.value) == (UNDECIDED, pytest.approx(2))


def test_a_model_where_another_selector_is_lower(tmp_path):
    good = [variance(seed) for seed in (0, 1, 2)]
    bad = [variance(seed, "mobilenet", camel=0.1) for seed in (0, 1, 2)]
    found = judged("fig5a.cis_lowest_variance", files(tmp_path, *good, *bad))
    assert (found.verdict, found.note) == (FAILS, "mobilenet")
    assert found.value == pytest.approx(0.2)


def test_no_variances_and_damaged_ones(tmp_path):
    another = variance(0) | {"experiment": "why", "errors": []}
    assert judged("fig5b.filter_loss", files(tmp_path, another)).verdict is NOT_TESTED
    other = variance(0)
    del other["stability"]
    with pytest.raises(RunFolderError, match=r"variance\.json.*no stability"):
        judged("fig5b.filter_loss", files(tmp_path, other))
    other["stability"] = []
    other["errors"] = [row for row in other["errors"] if row["selector"] != "camel"]
    with pytest.raises(RunFolderError, match=r"variance\.json"):
        judged("fig5a.cis_lowest_variance", files(tmp_path, other))
