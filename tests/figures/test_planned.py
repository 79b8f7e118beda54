"""Which runs an experiment is made of, which of them are there, and what is said of the rest."""

from pathlib import Path

import pandas as pd
import pytest

from handmade import run, runs_of
from titan_repro.figures import planned as module
from titan_repro.figures.planned import (
    PlannedCell,
    Shown,
    form_of,
    planned,
    seed_words,
    shown_runs,
)
from titan_repro.records.collect import Collection

NOTHING = Collection(Path("data"), (), (), ())
EXPORT = Path(__file__).parents[2] / "results" / "data"


def test_cells_are_the_product_without_seeds():
    cells = planned("campaign_long")
    assert len(cells) == 3 * 3
    assert {cell.seeds for cell in cells} == {(0,)}
    assert {cell.rounds for cell in cells} == {20_000}
    assert cells[0].place == "cifar10, alexnet, clean"
    assert [cell.selector for cell in cells[:3]] == ["rs", "stratified", "titan"]


def test_other_values_are_told():
    assert planned("fig1")[1].selector == "rs batch_size=20"
    assert planned("fig11")[-1].place == "cifar10, mobilenet, label_noise"


def test_a_cell_knows_the_name_of_its_runs():
    """Those of the committed export, made by titan-run: ids are never to change."""
    runs = pd.read_parquet(EXPORT / "runs.parquet", columns=["run_id", "task", "selector", "seed"])
    there = set(runs["run_id"])
    [cell] = [cell for cell in planned("campaign_movement") if cell.selector == "titan"]
    assert {cell.run_id(seed, "npz") for seed in range(10)} <= there
    assert cell.run_id(10, "npz") not in there


@pytest.mark.parametrize(
    ("told", "form"),
    [
        ("cifar10 (parquet, JPEG images)", "parquet"),
        ("dsads (npz)", "npz"),
        ("harbox (authors' folder)", "authors' folder"),
        ("odd", "odd"),
    ],
)
def test_the_form_of_the_data_is_read_off_what_runs_tell(told, form):
    assert form_of(told) == form


@pytest.mark.parametrize(
    ("seeds", "words"),
    [([3], "seed 3"), ([1, 0], "seeds 0, 1"), ([0, 1, 2, 5, 9, 8, 7], "seeds 0 to 2, 5, 7 to 9")],
)
def test_seeds_in_words(seeds, words):
    assert seed_words(seeds) == words


def test_gaps_are_seeds_that_are_missing_or_not_far_enough():
    cell = PlannedCell("fig9", ("digits", "small_cnn", "clean", "rs"), (), (0, 1, 2), 100)
    ids = [cell.run_id(seed, "bundled") for seed in cell.seeds]
    forms = {cell.names: ["bundled"]}
    place = "fig9 (digits, small_cnn, clean, 100 rounds): "
    assert module._gaps([cell], forms, dict.fromkeys(ids, 100)) == []
    assert module._gaps([cell], forms, dict.fromkeys(ids)) == []  # diverged: no more to come
    assert module._gaps([cell], forms, {ids[0]: 100, ids[2]: 99}) == [f"{place}rs seeds 1, 2"]
    assert module._gaps([cell], {}, {}) == [f"{place}rs seeds 0 to 2"]


def made(*rounds):
    """Runs of settings s0, s1, ..., each at its rounds."""
    return runs_of(
        *(
            run("rs", 0, (0, 0.1, 0.0), setting=f"s{n}", rounds=at, milestones=[{"rounds": at}])
            for n, at in enumerate(rounds)
        )
    )


def test_settings_are_cut_at_the_most_rounds_that_all_have(monkeypatch):
    cuts = {4000: made(4000), 2000: made(2000, 2000), 1000: made(1000, 1000)}
    monkeypatch.setattr(module, "runs_at", lambda found, rounds, only: cuts[rounds])
    shown = Shown(made(4000, 2000), (), 0, NOTHING, frozenset())
    assert shown.at_common_rounds() is cuts[2000]
    cuts[2000] = made(2000)
    assert shown.at_common_rounds() is shown.runs  # as good as it gets
    assert Shown(None, (), 0, NOTHING, frozenset()).at_common_rounds() is None


def test_what_is_missing_and_left_out_in_sentences():
    assert Shown(None, ("sweep: rs seed 0",), 0, NOTHING, frozenset()).notes() == (
        "Not run yet, sweep: rs seed 0.",
    )
    assert Shown(None, (), 2, NOTHING, frozenset()).notes() == (
        "2 other runs in the same place are not shown here.",
    )


def test_of_an_export_the_experiments_runs_are_shown_and_others_counted():
    shown = shown_runs(EXPORT, ["campaign_movement"])
    assert set(shown.runs.summaries["task"]) == {"dsads"}
    assert shown.others == len(pd.read_parquet(EXPORT / "runs.parquet", columns=["task"])) - len(
        shown.own
    )
