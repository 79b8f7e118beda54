"""Figures 8 and 9 from small real runs: what is drawn is what the records say."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from handmade import costs, write_costs
from titan_repro.analysis.load import load_runs
from titan_repro.analysis.spread import Spread
from titan_repro.analysis.sweeps import find_sweeps, load_sweeps
from titan_repro.cli.report import main, replay_on
from titan_repro.errors import ConfigurationError, RunFolderError
from titan_repro.figures import fig8, fig9
from titan_repro.figures.costs_table import digits
from titan_repro.figures.figure import draw_to
from titan_repro.figures.spreads import spread_cells
from titan_repro.figures.table import render
from titan_repro.records.folder import RunFolder
from titan_repro.records.recorded import FolderRun
from titan_repro.records.storage import sha256_of
from titan_repro.runs.run import run

TINY = ("rounds=8", "evaluate_every=2", "evaluation_samples=100")
SWEEPS = (
    ("selector=rs",),
    ("selector=cis",),
    ("selector=titan",),
    ("selector=titan", "filter.blocks=3"),
    ("selector=titan", "filter.budget=15"),
)
SEEDS = (0, 1)
KEYS = ("selector", "filter.blocks", "filter.budget", "seed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sweeps") / "runs"


@pytest.fixture
def runs(configure, folder) -> Path:
    """Two sweeps, made once."""
    if not folder.exists():
        for overrides in SWEEPS:
            for seed in SEEDS:
                run(configure(*TINY, *overrides, f"seed={seed}", f"paths.runs={folder}"))
    return folder


@pytest.fixture
def nano():
    return replay_on("device=jetson_nano")


@pytest.fixture
def axes(monkeypatch):
    """The axes of the last figure that was saved."""
    saved = []
    save = Figure.savefig

    def keep(self, *given, **more):
        saved[:] = self.axes
        save(self, *given, **more)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def drawn(figure, runs, path, nano):
    """Draw a figure of runs and return its tables."""
    data = figure.load(runs, lambda override: nano)
    draw_to(figure, data, path)
    return render(figure.tables(data))


def summaries(folder, **wanted):
    """Return summaries of all runs with these choices, by seed."""
    found = {}
    for path in folder.rglob("summary.json"):
        summary = json.loads(path.read_text())
        flat = {**summary, **summary["choices"], **(summary["choices"]["filter"] or {})}
        if all(flat.get(key) == value for key, value in wanted.items()):
            found[summary["seed"]] = {**summary, "path": path.parent}
    return found


def accuracy(found):
    return 100 * np.mean([summary["final_accuracy"] for summary in found.values()])


def lines(axes):
    """Return places and heights of everything in the legend that has both."""
    handles, labels = axes.get_legend_handles_labels()
    drawn = {}
    for handle, label in zip(handles, labels, strict=True):
        line = getattr(handle, "lines", [handle])[0]
        if hasattr(line, "get_xdata"):
            drawn[label] = (list(line.get_xdata()), list(line.get_ydata()))
    return drawn


def with_costs(runs, target, **changes):
    """Copy runs, and put a measurement beside them that went block by block."""
    copy_as(runs, target, **changes)
    content = costs(changes.get("model", "small_cnn"), task="digits")
    content["latency"]["filter_by_blocks"] = {
        str(n): {"arriving_ms": 0.5 * n, "bulk_ms": 0.1 * n} for n in (1, 2, 3)
    }
    write_costs(target, content)
    return target


def test_figure_8_draws_latency_and_accuracy_by_blocks(runs, axes, nano, tmp_path):
    measured = with_costs(runs, tmp_path / "measured")
    text = drawn(fig8, measured, tmp_path / "fig8.png", nano)
    assert (tmp_path / "fig8.png").stat().st_size > 10_000
    by_blocks = {n: summaries(runs, selector="titan", blocks=n, budget=30) for n in (1, 3)}
    line, cis = axes[0].lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 3], [0.5, 1.5])
    assert list(cis.get_ydata()) == [2.0, 2.0]
    assert "C-IS takes 4.00 x the filter" in axes[0].get_title("left")
    final = lines(axes[1])
    assert final["titan"] == ([1, 3], pytest.approx([accuracy(f) for f in by_blocks.values()]))
    for name, label in (("cis", "cis on everything"), ("rs", "rs")):
        expected = accuracy(summaries(runs, selector=name))
        assert final[label][1] == pytest.approx([expected, expected])
    board = nano.device.board
    for blocks, found in by_blocks.items():
        work = nano.counter(FolderRun(found[0]["path"])).filter(1, 1)
        modelled = 1e3 * board.processors["gpu"].seconds(work)
        [row] = [row for row in text.splitlines() if row.startswith(f"| {blocks} ")]
        assert f"| {digits(modelled)} " in row
    assert "2 seeds" in text
    assert text.count("\n| ") == 1 + 2 + 2  # header, blocks, cis and rs


def test_figure_8_names_the_papers_speed_up(runs, axes, nano, tmp_path):
    copied = with_costs(runs, tmp_path / "copied", model="squeezenet")
    text = drawn(fig8, copied, tmp_path / "fig8.png", nano)
    assert axes[0].get_title("left").endswith(", paper: 6.50 x the filter of 1 block")
    [row] = [line for line in text.splitlines() if line.startswith("| 1 ")]
    assert "| 6.50 " in row


def copy_as(runs, target, **changes):
    """Copy runs, changing entries of their summaries."""
    shutil.copytree(runs, target)
    for path in target.rglob("summary.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return target


def test_figure_9_draws_accuracy_and_time_saved_by_candidates(runs, axes, nano, tmp_path):
    text = drawn(fig9, runs, tmp_path / "fig9.png", nano)
    assert (tmp_path / "fig9.png").stat().st_size > 10_000
    final, saved = map(lines, axes)
    by_budget = {n: summaries(runs, selector="titan", blocks=1, budget=n) for n in (15, 30)}
    assert final["titan"] == ([15, 30], pytest.approx([accuracy(f) for f in by_budget.values()]))
    random = summaries(runs, selector="rs")
    for clock, name in (
        ("rounds", "titan, rounds"),
        ("modelled", "titan, time modelled on jetson_nano, pipelined"),
    ):
        places, heights = saved[name]
        assert places == [15, 30]
        expected = [
            mean_saved({seed: (random[seed], one) for seed, one in found.items()}, clock, nano)
            for found in by_budget.values()
        ]
        assert heights == pytest.approx(expected, nan_ok=True)
    assert "73 to 77.9 % with 15" in axes[0].get_title("left")
    assert "| 15 " in text


def mean_saved(paired, clock, nano):
    """Return the mean saving in percent, from curves and rounds, pair by pair."""
    saved = []
    for random, own in paired.values():
        curves = [RunFolder(one["path"]).evaluations() for one in (random, own)]
        target = curves[0]["accuracy"].iloc[-1]
        there = [curve[curve["accuracy"] >= target] for curve in curves]
        if there[0]["round"].iloc[0] == 0 or len(there[1]) == 0:
            continue
        first = [arrived.iloc[0] for arrived in there]
        if clock == "rounds":
            times = [arrived["round"] for arrived in first]
        else:
            replayed = [nano.run(FolderRun(one["path"]), one) for one in (random, own)]
            times = [r.seconds[int(f["round"])] for r, f in zip(replayed, first, strict=True)]
        saved.append(100 * (1 - times[1] / times[0]))
    return np.mean(saved) if saved else math.nan


def adapt(folder: Path, seed: int, trace: str) -> None:
    """Pass a run of 30 candidates off as one that adapted, with twenty more in half its rounds."""
    one = summaries(folder, selector="titan", blocks=1, budget=30)[seed]
    target = one["path"].with_name(f"adapted{trace}{seed}")
    shutil.copytree(one.pop("path"), target)
    one["choices"]["filter"]["budget"] = "adaptive"
    one["choices"]["idle"] = trace
    config = yaml.safe_load((target / "config.yaml").read_text())
    (target / "config.yaml").write_text(yaml.safe_dump({**config, "idle": {"name": trace}}))
    rounds = pd.read_parquet(target / "rounds.parquet")
    rounds.loc[::2, "candidates"] += 20
    rounds.to_parquet(target / "rounds.parquet")
    files = {name: sha256_of(target / name) for name in one["files"]}
    changed = {**one, "run_id": target.name, "files": files}
    (target / "summary.json").write_text(json.dumps(changed))


def test_figure_9_marks_adaptive_budgets_at_their_mean(runs, axes, nano, tmp_path):
    copied = copy_as(runs, tmp_path / "copied")
    for seed in SEEDS:
        adapt(copied, seed, "always")
        adapt(copied, seed, "square_wave")
    text = drawn(fig9, copied, tmp_path / "fig9.png", nano)
    final = lines(axes[0])
    expected = accuracy(summaries(runs, selector="titan", blocks=1, budget=30))
    for name in ("adaptive, always", "adaptive, square_wave"):
        assert final[name] == ([40], [pytest.approx(expected)])
        assert f"| {name} " in text
        assert f"{name}, modelled" in axes[1].get_legend_handles_labels()[1]
    assert final["titan"][0] == [15, 30]


def test_a_sweep_has_only_runs_that_differ_in_its_choice(runs):
    loaded = load_runs(runs)
    [blocks] = find_sweeps(runs, loaded, "blocks", "fig8")
    assert list(blocks.titan["at"]) == [1, 1, 3, 3]
    assert set(blocks.titan["config.filter.budget"]) == {30}
    [budgets] = find_sweeps(runs, loaded, "filter.budget", "fig9")
    assert list(budgets.titan["at"]) == [15, 15, 30, 30]
    assert set(budgets.titan["config.filter.blocks"]) == {1}
    assert len(blocks.rs) == len(budgets.rs) == len(blocks.cis) == 2


def test_a_sweep_has_only_the_seeds_that_every_value_has(runs):
    loaded = load_runs(runs)
    all_runs, deep = loaded.summaries, loaded.summaries["config.filter.blocks"] == 3
    fewer = replace(loaded, summaries=all_runs[~(deep & (all_runs["seed"] == 1))])
    [blocks] = find_sweeps(runs, fewer, "blocks", "fig8")
    assert list(zip(blocks.titan["at"], blocks.titan["seed"], strict=True)) == [(1, 0), (3, 0)]
    assert set(blocks.rs["seed"]) == set(blocks.cis["seed"]) == {0}
    own = {False: 0, True: 1}  # none in common: better than nothing
    apart = replace(loaded, summaries=all_runs[all_runs["seed"] == deep.map(own)])
    [blocks] = find_sweeps(runs, apart, "blocks", "fig8")
    assert list(zip(blocks.titan["at"], blocks.titan["seed"], strict=True)) == [(1, 0), (3, 1)]


def test_rounds_are_those_of_the_sweep_whatever_else_was_run(runs, configure, tmp_path):
    copied = copy_as(runs, tmp_path / "copied")
    before = load_sweeps(copied).summaries
    for seed in range(12):
        longer = ("rounds=10", "selector=titan", "filter.score=random", f"seed={seed}")
        run(configure(*TINY[1:], *longer, f"paths.runs={copied}"))
    found = load_sweeps(copied).summaries
    assert set(found["run_id"]) == set(before["run_id"])
    assert set(found["rounds"]) == {8}


def test_c_is_with_another_rule_is_no_reference(runs, configure, tmp_path):
    copied = copy_as(runs, tmp_path / "copied")
    run(configure(*TINY, "selector=cis", "weighting=unbiased", f"paths.runs={copied}"))
    [blocks] = find_sweeps(copied, load_runs(copied), "blocks", "fig8")
    assert set(blocks.cis["config.weighting"]) == {"none"}


def test_without_c_is_or_random_selection_the_rest_is_drawn(runs, axes, nano, tmp_path):
    copied = copy_as(runs, tmp_path / "copied")
    for name in ("cis", "rs"):
        shutil.rmtree(copied / "digits" / "small_cnn" / name)
    text = drawn(fig8, copied, tmp_path / "fig8.png", nano)
    assert list(lines(axes[1])) == ["titan"]
    assert axes[0].get_title("left").endswith("not yet, titan-run experiment=fig6")
    assert len(axes[0].lines) == 0
    assert text.count("\n| ") == 1 + 2
    text = drawn(fig9, copied, tmp_path / "fig9.png", nano)
    assert np.isnan(lines(axes[1])["titan, rounds"][1]).all()


@pytest.mark.parametrize("number", [8, 9])
def test_nothing_to_draw_is_one_line(tmp_path, capsys, number):
    (tmp_path / "runs").mkdir()
    with pytest.raises(SystemExit) as end:
        main(["figure", f"fig{number}", str(tmp_path / "runs")])
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"titan-report: {tmp_path / 'runs'}: found no finished runs")


def test_runs_that_do_not_differ_are_no_sweep(runs, tmp_path, nano):
    lone = tmp_path / "lone"
    shutil.copytree(runs / "digits" / "small_cnn" / "rs", lone / "rs")
    says = r"lone: found no finished runs of titan that differ in blocks; titan-run experiment=fig8"
    with pytest.raises(RunFolderError, match=says):
        drawn(fig8, lone, tmp_path / "fig8.png", nano)


def test_a_measured_device_models_no_latency(runs, tmp_path):
    with pytest.raises(ConfigurationError, match="device: found host; allowed: a modelled device"):
        drawn(fig8, runs, tmp_path / "fig8.png", replay_on("device=host"))


def test_spreads():
    assert Spread.of([1.0, math.nan, None, 4.0]) == Spread(2.5, 1.0, 4.0, 2)
    assert spread_cells(Spread.of([1.0, 4.0])) == ["2.50", "1.00 to 4.00", "2"]
    assert spread_cells(Spread.of([3.0])) == ["3.00", "one seed", "1"]
    assert spread_cells(Spread.of([])) == ["none", "", "0"]
