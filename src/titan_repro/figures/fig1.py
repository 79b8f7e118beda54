"""Figure 1: final accuracy and training time by data utilisation: the share that is trained.

Random batches of 10 to all 100 samples of a round. Time is told over that of batches of 10: as each
run measured itself, and as modelled on the paper's board. The paper's own lines, thin and grey,
are below ours, and alone where there are no runs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.load import Runs, velocity
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.spread import Spread
from titan_repro.analysis.sweeps import accuracies
from titan_repro.figures.costs_table import digits
from titan_repro.figures.curves import say_in
from titan_repro.figures.end_labels import EndLabel, write_at_ends
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.spreads import spread_cells
from titan_repro.figures.style import PAPER_COLOUR, Look, pyplot
from titan_repro.figures.table import Table, no_runs, with_notes
from titan_repro.figures.titles import setting_title
from titan_repro.paper.published import TABLE1_ROUNDS, utilisation

EXPERIMENTS = ("fig1",)
BOARD = "device=jetson_nano"
CLOCKS = ("measured", "modelled")

LOOKS_OF_MODELS: Mapping[str, Look] = {
    "alexnet": Look("#0072b2", "solid"),
    "mobilenet": Look("#d55e00", (0, (5, 1.5))),
    "resnet50": Look("#117733", (0, (3, 1, 1, 1))),
}
OTHER_LOOK = Look("#111111", (0, (1, 1)))

NOTES = (
    "Utilisation: samples that are trained over samples that arrive, chosen at random. Accuracy: "
    "final, on the whole test set. Time: of a round, over that with batches of 10 (the paper: of "
    "training); measured: by each run itself; modelled: on the board, in sequence. The paper's "
    "values are of 20,000 rounds, read off its figure.",
)


@dataclass(frozen=True)
class Point:
    """Runs of one model with one batch, of any seed. share: of the samples, in percent.

    seconds: mean of a round by clock, measured and modelled.
    """

    share: float
    accuracy: Spread
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class UtilisationLine:
    """Points of one model, ascending, after so many rounds; none without runs.

    title: names what they were measured on.
    """

    model: str
    title: str = ""
    rounds: int = 0
    points: Sequence[Point] = ()

    def ratio(self, point: Point, clock: str) -> float:
        """Return the time of a round over that of the smallest batch; NaN unless that is 10 %."""
        first = self.points[0]
        return point.seconds[clock] / first.seconds[clock] if first.share == 10 else math.nan


@dataclass(frozen=True)
class Data:
    """A line for each model, the paper's first. notes: what is missing."""

    lines: Sequence[UtilisationLine]
    board: str
    notes: Sequence[str]


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of experiment=fig1 below `source`. Raises RunFolderError for no folder."""
    shown, replay = shown_runs(source, EXPERIMENTS), replay_on(BOARD)
    runs = shown.at_common_rounds()
    found = {} if runs is None else _lines(runs, replay)
    missing = [UtilisationLine(model) for model in utilisation() if model not in found]
    return Data([*found.values(), *missing], replay.device.name, shown.notes())


def _lines(runs: Runs, replay: Replay) -> dict[str, UtilisationLine]:
    """Return the line of each model."""
    points: dict[str, list[Point]] = {}
    firsts: dict[str, pd.DataFrame] = {}
    for group in runs.settings():
        first = group.iloc[0]
        share = 100 * float(first["config.batch_size"]) / float(velocity(first.to_dict()))
        seconds = {
            "measured": float(group["seconds_per_round"].astype(float).mean()),
            "modelled": _modelled(runs, group, replay),
        }
        points.setdefault(first["model"], []).append(Point(share, accuracies(group), seconds))
        firsts.setdefault(first["model"], group.assign(detail=""))
    return {
        model: UtilisationLine(
            model,
            setting_title(firsts[model]),
            int(firsts[model]["rounds"].iloc[0]),
            sorted(own, key=lambda point: point.share),
        )
        for model, own in points.items()
    }


def _modelled(runs: Runs, group: pd.DataFrame, replay: Replay) -> float:
    """Return the mean time of a round on the board; it does not differ between seeds."""
    row = group.iloc[0].to_dict()
    replayed = replay.run(runs.recorded[row["run_id"]], row)
    return float(replayed.seconds[-1] / max(len(replayed.seconds) - 1, 1))


def tables(data: Data) -> list[Table]:
    """Return a table a model that was run."""
    ours = [_table(line, data.board) for line in data.lines if line.points]
    return with_notes(ours or [no_runs("Figure 1")], data.notes)


def _table(line: UtilisationLine, board: str) -> Table:
    header = ("utilisation, %", "accuracy, %", "range", "seeds", "paper, %")
    times = ("time measured", f"on {board}", "paper")
    rows = []
    for point in line.points:
        accuracy, time = _paper_at(line.model, point.share)
        ratios = [line.ratio(point, clock) for clock in CLOCKS]
        cells = [*spread_cells(point.accuracy), digits(accuracy), *map(digits, (*ratios, time))]
        rows.append([f"{point.share:g}", *cells])
    return Table(line.title, (*header, *times), rows, NOTES)


def _paper_at(model: str, share: float) -> tuple[float, float]:
    """Return the paper's accuracy and time of a model at a utilisation; NaN where it has none."""
    line = utilisation().get(model)
    if line is None or share not in set(line["share"]):
        return math.nan, math.nan
    [(accuracy, time)] = line.loc[line["share"] == share, ["accuracy", "time"]].to_numpy()
    return float(accuracy), float(time)


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with two axes: accuracy and time."""
    figure, grid = pyplot().subplots(1, 2, figsize=(12.5, 4.2))
    clocks = f"full marks: measured; open marks: modelled on {data.board}; thin grey: the paper"
    figure.supxlabel(f"random batches; {clocks}", fontsize="small", color="#4d4d4d")
    return figure, list(grid)


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw accuracy on the left and time on the right."""
    accuracy, time = axes
    _finish(accuracy, _papers(accuracy, "accuracy") + _accuracies(accuracy, data.lines))
    _finish(time, _papers(time, "time") + _times(time, data.lines))
    accuracy.set_ylabel("final accuracy on the whole test set, %")
    time.set_ylabel("time of a round, over that with batches of 10")
    rounds = sorted({line.rounds for line in data.lines if line.points})
    ours = f"ours after {' or '.join(f'{n:,}' for n in rounds)} rounds, " if rounds else ""
    for panel in axes:
        panel.set_title(f"{ours}the paper after {TABLE1_ROUNDS:,}", fontsize="medium")
    missing = [line.model for line in data.lines if not line.points]
    if missing:
        words = f"no runs of {', '.join(missing)}: titan-run experiment=fig1"
        say_in(accuracy, words)


def _finish(axes: Any, labels: Sequence[EndLabel]) -> None:
    axes.set_xlim(5, 102)
    axes.set_xlabel("data utilisation, % of the samples that arrive")
    write_at_ends(axes, labels)


def _papers(axes: Any, column: str) -> list[EndLabel]:
    """Draw the paper's lines; return the words at their ends."""
    ends = []
    for model, line in utilisation().items():
        look = LOOKS_OF_MODELS.get(model, OTHER_LOOK)
        axes.plot(
            line["share"], line[column], color=PAPER_COLOUR, linewidth=0.8, linestyle=look.dashes
        )
        end = float(line[column].iloc[-1])
        ends.append(EndLabel(100, end, f"{model} {end:.3g} (paper)", PAPER_COLOUR))
    return ends


def _accuracies(axes: Any, lines: Sequence[UtilisationLine]) -> list[EndLabel]:
    ends = []
    for line in lines:
        shares = [point.share for point in line.points if point.accuracy.number]
        spreads = [point.accuracy for point in line.points if point.accuracy.number]
        if not spreads:
            continue
        look = LOOKS_OF_MODELS.get(line.model, OTHER_LOOK)
        means = [spread.mean for spread in spreads]
        below = [spread.mean - spread.low for spread in spreads]
        above = [spread.high - spread.mean for spread in spreads]
        axes.errorbar(
            *(shares, means, [below, above]),
            color=look.colour,
            linestyle=look.dashes,
            marker="o",
            markersize=4,
            capsize=3,
        )
        words = f"{line.model} {means[-1]:.1f} ({spreads[-1].number})"
        ends.append(EndLabel(shares[-1], means[-1], words, look.colour, bold=True))
    return ends


def _times(axes: Any, lines: Sequence[UtilisationLine]) -> list[EndLabel]:
    ends = []
    for line in lines:
        look = LOOKS_OF_MODELS.get(line.model, OTHER_LOOK)
        for clock in CLOCKS:
            ratios = [line.ratio(point, clock) for point in line.points]
            if len(ratios) < 2 or math.isnan(ratios[-1]):
                continue
            shares = [point.share for point in line.points]
            face = look.colour if clock == "measured" else "white"
            axes.plot(
                *(shares, ratios),
                color=look.colour,
                linestyle=look.dashes,
                marker="o",
                markersize=4,
                markerfacecolor=face,
            )
            words = f"{line.model} {ratios[-1]:.3g}, {clock}"
            ends.append(EndLabel(shares[-1], ratios[-1], words, look.colour, bold=True))
    return ends
