"""Replaying real run folders: on the device that made them, and on a board that is not here."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay, _idle
from titan_repro.binding import plain
from titan_repro.boards.clock import Replayed, modelled, pipelined_round
from titan_repro.boards.cost_model import RoundCost, inline_cost, pipelined_cost
from titan_repro.boards.idle import ALWAYS
from titan_repro.boards.memory import round_memory
from titan_repro.boards.round_work import RoundCounter, RoundSize
from titan_repro.cli.report import _count_rounds, _device, main, replay_on
from titan_repro.figures.replay import _rows, replay_tables
from titan_repro.models.small_cnn import small_cnn
from titan_repro.records.folder import RunFolder
from titan_repro.runs.build import build_network, build_selector
from titan_repro.runs.candidate_budget import build_budget
from titan_repro.runs.counter import build_counter
from titan_repro.runs.run import run
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter

NANO = ["device=jetson_nano"]
ROUNDS = 8


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replay") / "runs"


@pytest.fixture
def runs(configure, runs_folder) -> Path:
    """Three finished runs, made once."""
    if not runs_folder.exists():
        for selector in ("rs", "ll", "titan"):
            config = configure(
                "task=digits",
                "model=small_cnn",
                f"selector={selector}",
                f"rounds={ROUNDS}",
                "evaluate_every=4",
                "evaluation_samples=50",
                f"paths.runs={runs_folder}",
            )
            run(config)
    return runs_folder


def replay(folder: Path, overrides: list[str]) -> dict[str, Replayed]:
    again = Replay(_device(overrides), _count_rounds)
    runs = load_runs(folder)
    return {
        row["selector"]: again.run(runs.recorded[row["run_id"]], row.to_dict())
        for _, row in runs.summaries.iterrows()
    }


def test_on_the_device_that_made_them_runs_keep_their_numbers(runs):
    replayed = replay(runs, ["device=host"])
    for path in runs.rglob("summary.json"):
        summary = json.loads(path.read_text())
        one = replayed[summary["selector"]]
        assert one.inline_seconds == summary["seconds_per_round"]
        assert one.pipelined_seconds is None
        assert one.joules is None
        assert one.memory_bytes == 1e6 * summary["peak_memory_mb"]
        curve = RunFolder(path.parent).evaluations()
        assert one.seconds[curve["round"]].tolist() == curve["train_seconds"].tolist()


def test_on_a_modelled_device_they_do_not_depend_on_when_or_where(runs):
    once, again = replay(runs, NANO), replay(runs, NANO)
    for selector, one in once.items():
        assert one.seconds.tolist() == again[selector].seconds.tolist()
        assert one.joules.tolist() == again[selector].joules.tolist()
        assert len(one.seconds) == ROUNDS + 1


def test_a_run_made_with_the_modelled_device_has_the_same_clock(runs, configure, tmp_path):
    config = configure(
        "task=digits",
        "model=small_cnn",
        "selector=titan",
        f"rounds={ROUNDS}",
        "evaluate_every=4",
        "evaluation_samples=50",
        "device=jetson_nano",
    )
    run(config)
    own = replay(tmp_path / "runs", NANO)["titan"]
    assert own.seconds.tolist() == replay(runs, NANO)["titan"].seconds.tolist()
    assert own.joules.tolist() == replay(runs, NANO)["titan"].joules.tolist()


def test_only_titan_is_pipelined(runs):
    replayed = replay(runs, NANO)
    assert replayed["rs"].pipelined_seconds is None
    assert replayed["ll"].pipelined_seconds is None
    titan = replayed["titan"]
    assert titan.seconds[-1] == pytest.approx(ROUNDS * titan.pipelined_seconds)
    assert replayed["ll"].seconds[-1] == pytest.approx(ROUNDS * replayed["ll"].inline_seconds)
    assert replayed["ll"].inline_seconds > replayed["rs"].inline_seconds
    assert titan.memory_bytes > replayed["ll"].memory_bytes > replayed["rs"].memory_bytes


def test_a_constant_may_be_changed_on_the_way(runs):
    slow, fast = (
        replay(runs, [*NANO, f"device.modelled.processors.cpu.launch_us={us}"])["rs"]
        for us in (1000, 1)
    )
    assert slow.inline_seconds > 5 * fast.inline_seconds


def recorded(*sizes: RoundSize) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "samples_filtered": [size.filtered for size in sizes],
            "samples_scored": [size.scored for size in sizes],
            "candidates": [size.candidates for size in sizes],
            "samples_trained": [size.trained for size in sizes],
        }
    )


def test_rounds_that_differ_are_charged_each_for_itself():
    """As an adaptive candidate budget makes them."""
    board = _device(NANO).board
    assert board is not None
    coarse = CoarseFilter(30, "rep", "global", 1.0, num_classes=10)
    counter = RoundCounter(
        small_cnn((1, 8, 8), 10), coarse, ClassifiedImportanceSampling(), input_shape=(1, 8, 8)
    )
    small, large = RoundSize(100, 15, 15, 10), RoundSize(100, 60, 60, 10)
    order = [large, small, small, large, small]
    result = modelled(board, counter, recorded(*order), delay=1)
    weights = [p.numel() * 4 for p in counter.network.parameters()]
    works = [counter.round(size, filter_at_once=1, score_at_once=1) for size in order]
    costs = [pipelined_cost(board, work, sum(weights), len(weights)) for work in works]
    assert np.diff(result.seconds) == pytest.approx([cost.seconds for cost in costs])
    assert np.diff(result.joules) == pytest.approx([cost.joules for cost in costs])
    assert result.inline_seconds == pytest.approx(
        sum(inline_cost(board, work).seconds for work in works) / 5
    )
    assert costs[0].seconds > costs[1].seconds


# Runs of an adaptive budget.

SLOW = ["device=jetson_nano", "device.modelled.filter_at_once=null"]
SLOW += ["device.modelled.processors.cpu.launch_us=1000"]
"""Training that leaves time for about 20 candidates."""


def adaptive(configure, tmp_path, *overrides: str) -> tuple[RunFolder, Replayed, list[RoundCost]]:
    """Run with an adaptive budget and replay it on the same board."""
    tiny = ("task=digits", "model=small_cnn", "filter.budget=adaptive", "rounds=25")
    config = configure(*tiny, *SLOW, *overrides)
    folder = RunFolder(run(config).folder)
    board, counter = _device(SLOW).board, build_counter(config)
    assert board is not None
    columns = ["samples_filtered", "samples_scored", "candidates", "samples_trained"]
    sizes = [RoundSize(*map(int, row)) for row in folder.rounds()[columns].to_numpy()]
    costs = [pipelined_round(board, counter, size) for size in sizes]
    return folder, replay(tmp_path / "runs", SLOW)["titan"], costs


def test_with_an_idle_processor_selection_is_never_what_takes_longer(configure, tmp_path):
    folder, replayed, costs = adaptive(configure, tmp_path)
    assert set(folder.rounds()["candidates"]) == {21}
    assert all(cost.selection_seconds <= cost.train_seconds for cost in costs)
    assert np.diff(replayed.seconds) == pytest.approx(
        [cost.train_seconds + cost.synchronisation_seconds for cost in costs]
    )


def test_too_little_time_for_a_batch_is_the_exception(configure, tmp_path):
    fast = "device.modelled.processors.cpu.launch_us=1"
    folder, _, costs = adaptive(configure, tmp_path, fast)
    assert set(folder.rounds()["candidates"]) == {10}
    fast_board = _device([*SLOW, fast]).board
    assert fast_board is not None
    train = fast_board.processors[fast_board.train].seconds(
        build_counter(configure("task=digits", "model=small_cnn")).train(10)
    )
    assert all(cost.selection_seconds > train for cost in costs)


def test_a_replay_has_the_clock_that_the_budget_went_by(configure, tmp_path):
    wave = ("idle=square_wave", "idle.period_seconds=0.3", "idle.low=0")
    folder, replayed, costs = adaptive(configure, tmp_path, *wave)
    counts = folder.rounds()["candidates"]
    assert {0, 10, 21} <= set(counts)
    config = configure("task=digits", "model=small_cnn", "filter.budget=adaptive", *SLOW, *wave)
    budget = build_budget(config, build_network(config), build_selector(config), 100)
    assert [budget.candidates(t) for t in range(25)] == counts.tolist()
    assert replayed.seconds == pytest.approx([budget.begins(t) for t in range(26)])
    longer = np.diff(replayed.seconds) - [cost.seconds for cost in costs]
    assert longer.max() > 0.01  # training waited for a batch
    assert longer.min() == pytest.approx(0, abs=1e-12)
    watts = _device(SLOW).board.idle_watts
    extra = np.diff(replayed.joules) - [cost.joules for cost in costs]
    assert extra == pytest.approx(watts * longer, abs=1e-12)
    elsewhere = replay(tmp_path / "runs", ["device=jetson_nano_5w"])["titan"]
    assert elsewhere.seconds[-1] > replayed.seconds[-1]


def test_what_a_configuration_holds_itself_is_read_as_what_is_bound_to_it(configure):
    """Older runs hold filter.budget in the filter's node, and idle's keys in the trace's."""
    tiny = ("task=digits", "model=small_cnn", *SLOW, "idle=square_wave", "filter.budget=adaptive")
    config = plain(configure(*tiny))
    wave = _idle(config)
    assert wave.shares == (1.0, 0.2)
    config["selector"]["filter"]["budget"] = config["filter"].pop("budget")
    keys = ("period_seconds", "high", "low", "duty")
    config["idle"]["trace"] |= {key: config["idle"].pop(key) for key in keys}
    assert _idle(config) == wave
    config["selector"]["filter"]["budget"] = 30
    assert _idle(config) == ALWAYS
    config["selector"]["filter"] = None
    assert _idle(config) == ALWAYS


def test_random_rounds_alone_can_be_replayed_and_tabled(configure, tmp_path):
    idle = ("idle=constant", "idle.share=0")
    _, replayed, costs = adaptive(configure, tmp_path, *idle)
    assert all(cost.selection_seconds == 0 for cost in costs)
    assert replayed.inline_seconds == pytest.approx(costs[0].train_seconds)
    folder = tmp_path / "runs"
    [table] = replay_tables(load_runs(folder), replay_on(*SLOW))
    assert [row[1] for row in table.rows] == ["titan"]


def as_recorded(selector: str, rates: list[float], seed: int = 0) -> tuple[dict, pd.DataFrame]:
    run_id = f"{selector}-{seed}"
    summary = {"run_id": run_id, "label": selector, "selector": selector, "seed": seed}
    curve = pd.DataFrame({"run_id": run_id, "round": range(len(rates)), "accuracy": rates})
    return {**summary, "status": "finished"}, curve


def cells(*runs: tuple[dict, pd.DataFrame]) -> dict[str, list[str]]:
    """Return the table's rows; a round takes a second, 2 J, and 3 MB."""
    group = pd.DataFrame([summary for summary, _ in runs])
    curves = pd.concat([curve for _, curve in runs])
    seconds = np.arange(len(runs[0][1]), dtype=float)
    one = Replayed(1.0, None, seconds, 2 * seconds, 3e6)
    return {row[0]: row for row in _rows(group, curves, dict.fromkeys(group["run_id"], one))}


def test_time_and_energy_until_random_selections_accuracy():
    rows = cells(
        as_recorded("titan", [0.1, 0.2, 0.6, 0.9]),
        as_recorded("ll", [0.1, 0.2, 0.3, 0.4]),
        as_recorded("rs", [0.1, 0.3, 0.5, 0.5]),
    )
    assert list(rows) == ["rs-0", "ll-0", "titan-0"]
    assert rows["rs-0"][3:] == ["1000.00", "no pipeline", "2", "4", "2.00", "3.0"]
    assert rows["titan-0"][5:7] == ["2", "4"]
    assert rows["ll-0"][5:7] == ["> 3", "> 6"]  # never there: censored, not replaced


def test_a_run_is_held_against_random_selection_of_its_own_seed():
    rows = cells(
        as_recorded("rs", [0.1, 0.4, 0.4, 0.4], seed=1),
        as_recorded("titan", [0.1, 0.5, 0.5, 0.5], seed=1),
        as_recorded("titan", [0.1, 0.5, 0.5, 0.5], seed=2),
    )
    assert rows["titan-1"][5] == "1"
    assert rows["titan-2"][5:7] == ["no rs of that seed"] * 2


def test_a_target_that_was_met_before_the_first_round_is_none():
    rows = cells(
        as_recorded("rs", [0.4, 0.5, 0.3]),
        as_recorded("titan", [0.4, 0.5, 0.6]),
    )
    assert rows["titan-0"][5:7] == ["rs ended no better than it began"] * 2


def test_reports_say_whether_the_clock_is_modelled(runs):
    loaded: Runs = load_runs(runs)
    [nano] = replay_tables(loaded, replay_on(*NANO))
    [host] = replay_tables(loaded, replay_on("device=host"))
    assert nano.title.endswith("on jetson_nano, modelled")
    assert "not measured" not in nano.markdown()
    assert host.title.endswith("on host, measured when the runs were made")
    assert host.csv().count("not measured") == 6  # energy and power of three runs


def test_the_same_replay_twice_gives_the_same_bytes(runs, capsys):
    """Twice in this process, what was counted before forgotten; and nothing is left in the runs."""
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    printed = []
    for _ in range(2):
        round_memory.cache_clear()
        main(["replay", str(runs), *NANO])
        printed.append(capsys.readouterr().out.encode())
    assert printed[0] == printed[1]
    assert printed[0].count(b"| titan ") == 1
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


def test_both_ways_of_naming_the_device(runs, capsys):
    main(["replay", str(runs), "device=jetson_nano"])
    first = capsys.readouterr().out
    main(["replay", str(runs), "--device", "jetson_nano"])
    assert capsys.readouterr().out == first
    assert first.count("| titan ") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "device: not given; replay RUNS device=jetson_nano"),
        (["device=nano"], "device: found 'nano'; allowed: cuda, host"),
        (["seed=1", "device=host"], "seed=1: allowed here: device=NAME, device.KEY=VALUE"),
        (["device=cuda"], "device: found cuda, whose clock is measured, for "),
        (["device=jetson_nano", "device.modelled.idle_watts=-1"], "found -1; allowed: finite"),
        (["device=jetson_nano", "device.modelled.fan=1"], "device.modelled.fan: no such key"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_one_line(runs, capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        main(["replay", str(runs), *arguments])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_diverged_run_ends_between_evaluations(runs, tmp_path):
    """Its last rounds were never evaluated, yet they took time."""
    copied = tmp_path / "copied"
    shutil.copytree(runs, copied)
    path = next(copied.rglob("rs/*/summary.json"))
    summary = json.loads(path.read_text())
    summary |= {"status": "diverged", "rounds_done": ROUNDS - 1, "final_accuracy": None}
    summary |= {"milestones": [], "files": {}}  # as changed by hand, nothing is to be checked
    path.write_text(json.dumps(summary))
    curve = path.parent / "evaluations.csv"
    curve.write_text("\n".join(curve.read_text().splitlines()[:-1]) + "\n")
    own = replay(copied, ["device=host"])["rs"]
    assert own.seconds[-1] == pytest.approx((ROUNDS - 1) * summary["seconds_per_round"])
