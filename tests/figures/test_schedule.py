"""The figure of several learning rates, from runs written down by hand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from handmade import run, runs_of
from titan_repro.errors import RunFolderError
from titan_repro.figures import schedule
from titan_repro.figures.pictures import pyplot
from titan_repro.paper.published import accuracy_at

CIFAR = {"task": "cifar10", "model": "alexnet"}


def milestones(*found):
    return {"milestones": [{"rounds": at, "accuracy": accuracy} for at, accuracy in found]}


def runs(*every_and_run):
    """Runs, each with its learning_rate_every, or a floor of 0 where that is "no floor"."""
    made = runs_of(*(given for _, given in every_and_run))
    recorded = {
        f"run{number}": SimpleNamespace(
            config={
                "learning_rate_every": 100 if every == "no floor" else every,
                "learning_rate_floor": 0.0 if every == "no floor" else 0.01,
            }
        )
        for number, (every, _) in enumerate(every_and_run)
    }
    return replace(made, recorded=recorded)


PRINTED = [
    (100, run("rs", seed, (0, 0.1, 0), (4000, end, 1), rounds=4000, **CIFAR, **milestones(at)))
    for seed, end, at in ((0, 0.5, (4000, 0.48)), (1, 0.6, (4000, 0.52)))
]
ONCE = (
    5000,
    run(
        "rs",
        0,
        (0, 0.1, 0),
        (6000, 0.4, 1),
        rounds=6000,
        **CIFAR,
        **milestones((4000, 0.45), (6000, 0.41)),
    ),
)
TITAN = (100, run("titan", 0, (0, 0.1, 0), (4000, 0.9, 1), **CIFAR, **milestones((4000, 0.9))))


def test_the_table_has_all_rates_and_the_paper_at_the_milestones():
    [table] = schedule.tables(schedule.by_place([runs(*PRINTED, ONCE, TITAN)], ["Missing."]))
    at = [f"{accuracy_at('alexnet', 'rs', rounds):.1f}" for rounds in (4000, 6000)]
    assert table.rows == [
        ["alexnet", "rs", "4,000", at[0], "50.0 (2)", "none", "45.0 (1)"],
        ["alexnet", "rs", "6,000", at[1], "none", "none", "41.0 (1)"],
    ]
    assert table.notes == (schedule.NOTE, "Missing.")


def test_without_a_floor_every_selector_has_a_panel_and_the_fall_is_not_marked():
    given = {"rounds": 4000, **CIFAR, **milestones((4000, 0.4))}
    floorless = [
        ("no floor", run(name, 0, (0, 0.1, 0), (4000, 0.4, 1), **given)) for name in ("rs", "titan")
    ]
    data = schedule.by_place([runs(*PRINTED, TITAN, *floorless)])
    [table] = schedule.tables(data)
    assert [[row[1], *row[4:]] for row in table.rows] == [
        ["rs", "50.0 (2)", "40.0 (1)", "none"],
        ["titan", "90.0 (1)", "40.0 (1)", "none"],
    ]
    figure, axes = schedule.panels(data)
    schedule.draw(data, axes)
    pyplot().close(figure)
    assert [len(panel.lines) for panel in axes] == [3, 3]
    assert [panel.get_title().split(":")[0] for panel in axes] == ["rs", "titan"]
    [of_rs], [of_titan] = ([text.get_text() for text in panel.texts][:1] for panel in axes)
    assert {of_rs, of_titan} == {"paper", "paper, cis"}  # figure 7 has no Titan


def test_runs_of_the_printed_rate_that_go_on_as_far_take_the_place_of_shorter_ones():
    further = (
        100,
        run(
            "rs",
            0,
            (0, 0.1, 0),
            (6000, 0.6, 1),
            rounds=6000,
            **CIFAR,
            **milestones((4000, 0.48), (6000, 0.55)),
        ),
    )
    [table] = schedule.tables(schedule.by_place([runs(*PRINTED, ONCE), runs(further, ONCE)]))
    assert [row[4] for row in table.rows] == ["48.0 (1)", "55.0 (1)"]


def test_lines_are_means_of_the_seeds_and_the_fall_is_marked():
    data = schedule.by_place([runs(*PRINTED, ONCE)])
    figure, [axes] = schedule.panels(data)
    schedule.draw(data, [axes])
    pyplot().close(figure)
    paper, *ours, fall = axes.lines
    ends = sorted(float(line.get_ydata()[-1]) for line in ours)
    assert ends == pytest.approx([40.0, 55.0])
    assert paper.get_xdata()[-1] <= 6000
    assert list(fall.get_xdata()) == [5000, 5000]
    assert {text.get_text() for text in axes.texts} == {
        "paper",
        "floor 0.01 (2)",
        "0.1, then 0.01 (1)",
    }


def test_a_model_with_the_usual_rate_alone_is_left_out():
    assert schedule.by_place([runs(*PRINTED)]).places == []


def test_without_runs_of_the_experiment_it_says_which_make_them(tmp_path):
    with pytest.raises(RunFolderError, match="titan-run experiment=schedule"):
        schedule.load(tmp_path, None)
