"""The page: sound HTML that asks for nothing, and what it says of runs written down by hand."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from evidence_by_hand import evidence, judged, seeds
from html_facts import facts
from hypothesis import given
from hypothesis import strategies as st

from handmade import run, runs_of
from titan_repro.claims.verdicts import Verdict
from titan_repro.figures.differences import gaps
from titan_repro.figures.findings import findings
from titan_repro.figures.page.build import headline, page
from titan_repro.figures.page.cells import columns, table1_blocks
from titan_repro.figures.page.colours import style_class
from titan_repro.figures.page.evidence import gather
from titan_repro.figures.page.svg import dash_array, nice_ticks, thinned

EXPORT = Path(__file__).parents[2] / "results" / "data"
OUTPUT = Path("results", "index.html")

RUNS = [
    *seeds("rs", [0.50, 0.52, 0.54]),
    *seeds("titan", [0.60, 0.62, 0.63]),
    *seeds("ll", [0.20, 0.21]),
    run("mine<b>", 0, (0, 0.1, 0.0), (100, 0.5, 2.0)),
]


@pytest.fixture(scope="module")
def made():
    return page(evidence(*RUNS), OUTPUT)


@pytest.fixture(scope="module")
def real():
    """The page of the export, as committed; `make check-figures` holds it to the export."""
    return (EXPORT.parent / "index.html").read_text(encoding="utf-8")


@pytest.fixture(params=["made", "real"])
def document(request):
    return request.getfixturevalue(request.param)


def test_elements_nest_ids_are_unique_and_every_reference_has_its_target(document):
    found = facts(document)
    assert len(found.ids) == len(set(found.ids))
    targets = set(found.ids)
    assert {link[1:] for link in found.values("href") if link.startswith("#")} <= targets
    for name in ("popovertarget", "aria-labelledby"):
        assert set(found.values(name)) <= targets


def test_nothing_is_asked_of_anyone_and_nothing_runs(document):
    found = facts(document)
    assert not {tag for tag, _ in found.tags} & {"script", "img", "iframe", "object", "embed"}
    assert not re.search(r"url\(|@import|https?://", document)
    assert found.values("src") == []
    assert not [name for _, given in found.tags for name in given if name.startswith("on")]


def test_links_lead_to_anchors_data_and_the_export_alone(real):
    links = [link for link in facts(real).values("href") if link[0] != "#"]
    kinds = [link for link in links if not link.startswith("data:")]
    assert kinds == ["data"]
    assert (EXPORT.parent / kinds[0]).is_dir()


def test_the_findings_speak_of_titan_though_there_are_sweeps_over_its_choices(real):
    assert "Titan against random selection" in real
    assert "What stratification alone is worth" in real


def test_the_page_is_small_and_the_same_bytes_every_time(made, real):
    assert len(real.encode()) < 2_000_000
    assert page(evidence(*RUNS), OUTPUT) == made


@pytest.mark.slow
@pytest.mark.parametrize("document", ["page", "reproduction"])
def test_two_processes_write_the_same_bytes(document, tmp_path):
    written = []
    for number in ("1", "2"):
        path = tmp_path / number
        command = ("titan_repro.cli.report", document, EXPORT, "--output", path)
        environment = {**os.environ, "PYTHONHASHSEED": number}
        subprocess.run([sys.executable, "-m", *map(str, command)], env=environment, check=True)
        written.append(path.read_bytes())
    assert written[0] == written[1]


@pytest.mark.slow
def test_every_run_is_there_with_commit_data_and_command(real):
    ids = ["table1.accuracy.mlp.titan", "theory.lemma1"]  # tests/claims judges all
    found = gather(EXPORT, lambda *_: None, {}, lambda _: [judged(name) for name in ids])
    text = facts(real).text
    for row in found.runs.summaries.to_dict("records"):
        assert f'id="run-{row["run_id"]}"' in real
        assert row["data_fingerprint"] in text
    assert all(found.commands.values())  # of this version's own runs


def test_the_runs_can_be_taken_away_as_csv(made):
    uris = [link for link in facts(made).values("href") if link.startswith("data:text/csv")]
    runs = base64.b64decode(uris[0].partition(",")[2]).decode().splitlines()
    assert runs[0].startswith("run,task,model,selector,seed,rounds")
    assert len(runs) == 1 + len(RUNS)


def test_names_from_outside_are_escaped(made):
    assert "mine<b>" in facts(made).text
    assert "<b>:" not in made


def test_the_headline_counts_verdicts_and_contradictions_apart():
    verdicts = [
        judged("headline.time", Verdict.HOLDS),
        judged("headline.accuracy", Verdict.FAILS),
        judged("fig8.accuracy_drop", Verdict.FAILS),
    ]
    found = evidence(*RUNS, judgements=verdicts)
    lines = headline(found, findings(found))
    assert lines[0] == (
        "Of the paper's 3 claims, 1 hold, 0 hold in direction only, 2 do not hold, "
        "0 point the other way, 0 are undecided, 0 are not tested."
    )
    assert "Titan ends above random selection" in lines[1]
    assert "9 runs in 1 setting, with at most 3 seeds" in lines[2]


def test_a_claim_shows_its_number_its_interval_and_its_runs():
    behind = ("run3", "measurement")  # which the page does not list
    held = judged(
        "headline.accuracy", Verdict.HOLDS, runs=behind, value=5.0, interval=(4.0, 6.0), seeds=3
    )
    document = page(evidence(*RUNS, judgements=[held]), OUTPUT)
    assert "5 points [4, 6]" in facts(document).text
    assert '<dd><a href="#run-run3">run3</a> measurement</dd>' in document


def test_filters_hide_what_they_do_not_name_and_say_when_nothing_is_left():
    document = page(evidence(*RUNS, judgements=[judged("theory.lemma1", Verdict.HOLDS)]), OUTPUT)
    assert "#claims:has(#verdict-holds:checked) .claim:not(.v-holds){display:none}" in document
    assert "#claims:has(#source-lemma-1:checked) .claim:not(.o-lemma-1){display:none}" in document
    for verdict, source, shown in (
        ("undecided", "all", True),
        ("undecided", "lemma-1", True),
        ("holds", "lemma-1", False),
        ("holds", "all", False),
    ):
        rule = f"#claims:has(#verdict-{verdict}:checked):has(#source-{source}:checked) .none"
        assert (rule in document) == shown


def test_a_cell_is_marked_by_the_interval_of_its_paired_gain():
    found = evidence(*RUNS)
    blocks = table1_blocks(found)
    [own] = [block for block in blocks if block.title.startswith("small_cnn")]
    cell_of = dict(zip(columns(found), own.rows[0], strict=True))
    assert {name: cell.mark for name, cell in cell_of.items() if cell and cell.runs} == {
        "rs": "",
        "ll": "below",
        "titan": "above",
        "mine<b>": "open",
    }
    assert cell_of["titan"].ours == {"accuracy": "61.7", "rounds": "1.00", "time": "1.00"}
    assert not cell_of["camel"].runs
    assert len(blocks) == 7  # one of our own, and the paper's six models without a run


def test_variants_of_a_selector_get_rows_of_their_own():
    other = seeds("titan", [0.4, 0.4], label="titan sampling=multinomial")
    found = evidence(*RUNS, *other)
    [own] = [block for block in table1_blocks(found) if block.title.startswith("small_cnn")]
    labels = [cell.label for row in own.rows for cell in row if cell and cell.runs]
    assert len(own.rows) == 2
    assert {"titan", "titan sampling=multinomial"} <= set(labels)


def test_what_was_deleted_from_an_export_is_named():
    fewer = [one for one in RUNS if (one["selector"], one["seed"]) != ("titan", 1)]
    missing = "Seeds without a run, small_cnn on digits: "
    assert gaps(runs_of(*RUNS).summaries) == [f"{missing}ll: 2; mine<b>: 1, 2."]
    assert gaps(runs_of(*fewer).summaries) == [f"{missing}ll: 2; titan: 1; mine<b>: 1, 2."]


def test_the_page_names_the_gaps(made):
    assert "Seeds without a run, small_cnn on digits: ll: 2; mine<b>: 1, 2." in facts(made).text


def test_a_page_without_random_selection_says_so():
    text = facts(page(evidence(*seeds("titan", [0.5])), OUTPUT)).text
    assert "No setting has runs of Titan and of random selection yet." in text
    assert "No setting has a pair of runs with the same seed yet." in text


@given(st.integers(1, 500))
def test_thinning_keeps_both_ends(number):
    points = [(float(i), 0.0) for i in range(number)]
    kept = thinned(points)
    assert len(kept) <= 60
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(set(kept))


@given(st.floats(-100, 100), st.floats(0.01, 1000))
def test_ticks_are_inside(low, width):
    ticks = nice_ticks(low, low + width)
    assert all(low - 1e-6 <= at <= low + width + 1e-6 for at, _ in ticks)
    assert 1 <= len(ticks) <= 7


def test_dashes_follow_the_width_of_the_line():
    assert dash_array("solid") == ""
    assert dash_array((0, (5, 1.5)), width=2) == "10 3"


def test_any_name_makes_a_class():
    assert style_class("titan") == "s-titan"
    assert re.fullmatch(r"[A-Za-z0-9-]+", style_class("mine <b> é"))
    assert style_class("a b") != style_class("a-20-b")
