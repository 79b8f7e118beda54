"""Table 1 as cells: the paper's number over ours, and what opens behind each."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from titan_repro.analysis.comparison import PAPER_SELECTORS, Row, order_labels
from titan_repro.analysis.costs import MODEL_ORDER
from titan_repro.analysis.paired import Gain, gains
from titan_repro.analysis.statistics import Interval, mean_interval
from titan_repro.figures.beside_paper import Paper
from titan_repro.figures.comparison import ratio_cell
from titan_repro.figures.page.charts import curves_chart, paper_curve
from titan_repro.figures.page.evidence import Evidence, Setting
from titan_repro.figures.page.origins import one_of_each, origin
from titan_repro.figures.table import Table
from titan_repro.figures.words import count_of, gained, plain_number, side
from titan_repro.paper.published import TABLE1_ROUNDS, table1_cell

METRICS = ("accuracy", "rounds", "time")
DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """One selector of a setting.

    paper, ours: words by metric, "" where there is none. mark: "above", "below", "beside" or "open"
    against rs, "" of rs itself and without runs. facts: name and words, for the opened cell. runs:
    ids. command: that makes them.
    """

    id: str
    title: str
    label: str
    paper: Mapping[str, str]
    ours: Mapping[str, str]
    mark: str
    chart: str
    facts: Sequence[tuple[str, str]]
    runs: Sequence[str]
    command: str


@dataclass(frozen=True)
class Block:
    """The cells of one model: rows, of which each has a cell or None under every selector.

    names: of the lines of a row. note: where the paper's numbers are from.
    """

    title: str
    note: str
    rows: Sequence[Sequence[Cell | None]]


def columns(evidence: Evidence) -> list[str]:
    """Return the selectors: the paper's first, then every other one that was run."""
    others = order_labels(evidence.runs.summaries["selector"])
    return [*PAPER_SELECTORS, *(name for name in others if name not in PAPER_SELECTORS)]


def table1_blocks(evidence: Evidence) -> list[Block]:
    """Return a block a setting, and one for each of the paper's models that has no run."""
    found = []
    done = {setting.model for setting in evidence.settings}
    for model in (*MODEL_ORDER, ""):
        for number, setting in enumerate(evidence.settings):
            if setting.model == model or (model == "" and setting.model not in MODEL_ORDER):
                found.append(_block(evidence, setting, f"cell-{number}"))
        if model and model not in done:
            found.append(_empty_block(evidence, model))
    return found


def cells_table(blocks: Sequence[Block]) -> Table:
    """Return a row a cell and quantity."""
    rows = [
        [block.title, cell.label, metric, cell.paper[metric], cell.ours[metric], cell.mark]
        for block in blocks
        for line in block.rows
        for cell in line
        if cell is not None
        for metric in METRICS
    ]
    header = ("setting", "selector", "quantity", "paper", "ours", "accuracy against rs")
    return Table("Table 1", header, rows)


def _block(evidence: Evidence, setting: Setting, prefix: str) -> Block:
    paper = PaperNumbers(setting.group)
    rows = setting.rows
    gain_of = {gain.label: gain for gain in gains(setting.group, "rs")}
    by_selector: dict[str, list[str]] = {}
    for label in order_labels(rows):
        by_selector.setdefault(label.split()[0], []).append(label)
    for labels in by_selector.values():
        labels.sort(key=lambda label: -rows[label].seeds)
    height = max(map(len, by_selector.values()))
    lines: list[list[Cell | None]] = []
    for line in range(height):
        cells: list[Cell | None] = []
        for selector in columns(evidence):
            labels = by_selector.get(selector, [])
            key = f"{prefix}-{selector}-{line}".replace("_", "-")
            if line < len(labels):
                row, gain = rows[labels[line]], gain_of.get(labels[line])
                cells.append(_cell(evidence, setting, paper, row, gain, key))
            else:
                cells.append(_empty_cell(paper, selector, key) if line == 0 else None)
        lines.append(cells)
    return Block(setting.name, paper.note(), lines)


def _cell(
    evidence: Evidence,
    setting: Setting,
    paper: "PaperNumbers",
    row: Row,
    gain: Gain | None,
    key: str,
) -> Cell:
    own = setting.group[setting.group["label"] == row.label]
    accuracies = own.loc[own["status"] == "finished", "final_accuracy"].astype(float)
    mean = mean_interval(100 * accuracies.to_numpy())
    ours = {
        "accuracy": "diverged" if math.isnan(row.accuracy) else f"{100 * row.accuracy:.1f}",
        "rounds": ratio_cell(row, row.rounds_ratio),
        "time": ratio_cell(row, row.time_ratio),
    }
    title = f"{row.label}: {setting.name}"
    random = setting.curves("rs") if row.label != "rs" else setting.curves("rs").iloc[:0]
    numbers = paper.numbers(row.selector)
    return Cell(
        id=key,
        title=title,
        label=row.label,
        paper=numbers,
        ours=ours,
        mark="" if gain is None else side(gain.interval),
        chart=curves_chart(
            f"Accuracy against rounds, {title}",
            setting.curves(row.label),
            random,
            paper.curve(row.selector),
        ),
        facts=[*_facts(setting, row, gain, mean, ours, numbers), *_origin(evidence, own)],
        runs=tuple(map(str, own["run_id"])),
        command=evidence.command(list(own["run_id"])),
    )


def _facts(
    setting: Setting,
    row: Row,
    gain: Gain | None,
    mean: Interval,
    ours: Mapping[str, str],
    paper: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    yield "accuracy", _beside(_with_ends(mean), paper["accuracy"])
    if gain is not None and gain.interval.number:
        yield "over rs", gained(gain.interval, 2)
    reached = (
        f" ({row.arrived} of {count_of(row.compared, 'seed')} arrived)" if row.compared else ""
    )
    yield "rounds / rs", _beside(ours["rounds"] + reached, paper["rounds"])
    yield "time / rs", _beside(ours["time"], paper["time"])
    yield "clock", setting.times.caption


def _origin(evidence: Evidence, own: pd.DataFrame) -> Iterator[tuple[str, str]]:
    found = [origin(evidence, row) for row in own.to_dict("records")]
    yield "data", one_of_each([*map(str, own["data_source"])])
    yield "data fingerprint", one_of_each([run.fingerprint for run in found])
    yield "commit", one_of_each([run.commit for run in found])


def _with_ends(mean: Interval) -> str:
    if mean.number == 0:
        return "every seed diverged"
    words = f"{plain_number(mean.estimate, 2)} %"
    if mean.number == 1:
        return f"{words} (1 seed)"
    ends = f"{plain_number(mean.low, 2)} to {plain_number(mean.high, 2)}"
    return f"{words} (95 %: {ends}, {count_of(mean.number, 'seed')})"


def _beside(ours: str, paper: str) -> str:
    return f"{ours}; paper {paper}" if paper else ours


def _empty_cell(paper: "PaperNumbers", selector: str, key: str) -> Cell:
    """Return the cell of a selector that was not run: what the paper has of it."""
    name, points = paper.curve(selector)
    title = f"{selector}: {paper.model}, no run"
    chart = ""
    if points:
        nothing = pd.DataFrame({"round": [], "accuracy": [], "seed": [], "selector": []})
        chart = curves_chart(f"The paper's curve, {title}", nothing, nothing, (name, points))
    numbers = paper.numbers(selector)
    facts = [(metric, f"no run; paper {words}") for metric, words in numbers.items() if words]
    return Cell(key, title, selector, numbers, dict.fromkeys(METRICS, ""), "", chart, facts, (), "")


def _empty_block(evidence: Evidence, model: str) -> Block:
    printed = table1_cell(model, "rs")
    task = "" if printed is None else printed.task
    facts = {"task": task, "model": model, "rounds": TABLE1_ROUNDS, "stream": "clean"}
    paper = PaperNumbers(pd.DataFrame([facts]))
    cells = [
        _empty_cell(paper, name, f"cell-{model}-{name}".replace("_", "-"))
        for name in columns(evidence)
    ]
    return Block(f"{model} on {task}: no runs yet", paper.note(), [cells])


class PaperNumbers:
    """What the paper says beside the runs of a setting, or of the data that these stand in for."""

    def __init__(self, group: pd.DataFrame) -> None:
        self._same = Paper(group)
        self.model, self._rounds = self._same.model, self._same.rounds
        clean = self._same.stream == "clean"
        self._other = self._same.other_task if clean and not self._same.printed else None

    def numbers(self, selector: str) -> dict[str, str]:
        """Return its words by metric."""
        if self._other is not None:
            cell = table1_cell(self.model, selector)
            if cell is None:
                return dict.fromkeys(METRICS, "")
            return {"accuracy": f"{cell.accuracy:.1f}", "rounds": "", "time": f"{cell.time_ratio}"}
        return {metric: "".join(self._same.cells(metric, selector)) for metric in METRICS}

    def curve(self, selector: str) -> tuple[str, list[tuple[float, float]]]:
        """Return the name and the points of its curve, until our rounds."""
        if not self._same.drawn:
            return "", []
        return paper_curve(self.model, selector, self._same.figure, self._rounds)

    def note(self) -> str:
        """Say where its numbers are from."""
        if self._other is not None:
            return f"paper: Table 1, on {self._other}, for which {self._same.task} stands in"
        if not (self._same.printed or self._same.drawn):
            return "the paper has no numbers of this setting"
        if not self._same.drawn:
            return "paper: accuracy of Table 1, after rounds that it does not state; no curves"
        at = f"at {self._rounds:,} rounds"
        if self._rounds == TABLE1_ROUNDS and self._same.printed:
            return f"paper: accuracy of Table 1, {at}"
        return f"paper: accuracy read off Figure {self._same.figure} {at}"
