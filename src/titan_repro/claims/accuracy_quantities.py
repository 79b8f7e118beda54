"""Final accuracies and their differences, in percent and points, paired by seed."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from titan_repro.analysis.statistics import Interval, mean_interval
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.finding import ClaimFinding, Range, gap, joined, lean_of, range_of
from titan_repro.claims.groups import RunGroup, chosen
from titan_repro.claims.pairs import STANDS_IN, Pair, find_pair, find_pairs
from titan_repro.claims.paper_numbers import accuracy_of_paper, gain_of_paper
from titan_repro.claims.rules import Question
from titan_repro.paper.published import CURVES_TASK, table1_cell

NO_RUNS = "no runs of it"


def group_of(question: Question, model: str, selector: str = "") -> RunGroup:
    """Return the runs that a question is about."""
    return RunGroup(
        model,
        selector or question.one("selector"),
        question.one("stream", "clean"),
        int((question.all("batch") or ("10",))[0]),
        int(question.one("budget", "30")),
    )


def accuracy(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the final accuracy of each model, and which way it is from that of rs."""
    return [_accuracy(question, evidence, model) for model in question.all("model")]


def _accuracy(question: Question, evidence: ClaimEvidence, model: str) -> ClaimFinding:
    task, rounds = question.one("task"), question.rule.rounds
    ours = group_of(question, model)
    random = RunGroup(model, question.one("over"))
    command = ours.command(task, rounds, random)
    pair = find_pair(evidence, task, ours, random, rounds)
    if pair is None:
        return gap(NO_RUNS, command, model)
    command = pair.command(ours, random)
    values = _percent(pair.ours)
    against = accuracy_of_paper(pair, ours, rounds, question.number(model))
    lean, reference = None, table1_cell(model, random.selector)
    if ours != random and reference is not None:
        sign = np.sign((question.number(model) or math.nan) - reference.accuracy)
        lean = lean_of(range_of(mean_interval(values - _percent(pair.theirs))), 0, int(sign))
    if against is None and lean is None:
        why = "the paper has no number to hold it against there"
        return gap(joined(pair.note(rounds), why), command, model)
    found = _finding(mean_interval(values), pair, rounds, command, against, lean, data=True)
    return found.of(model)


def gain(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return what each selector, model and batch size asked for gains over another one."""
    parts = product(question.all("model"), question.all("selector"), _batches(question))
    return [
        _gain(question, evidence, replace(group_of(question, model, selector), batch=batch))
        for model, selector, batch in parts
    ]


def _gain(question: Question, evidence: ClaimEvidence, ours: RunGroup) -> ClaimFinding:
    task, rounds = question.one("task", CURVES_TASK), question.rule.rounds
    batch = int(question.one("over_batch", str(ours.batch)))
    other = replace(ours, selector=question.one("over"), batch=batch)
    command = ours.command(task, rounds, other)
    names = (
        ours.model,
        *((ours.selector,) if len(question.all("selector")) > 1 else ()),
        *((f"batches of {ours.batch}",) if len(_batches(question)) > 1 else ()),
    )
    part = " ".join(names)
    pair = find_pair(evidence, task, ours, other, rounds)
    if pair is None:
        return gap(NO_RUNS, command, part)
    command = pair.command(ours, other)
    interval = mean_interval(_percent(pair.ours) - _percent(pair.theirs))
    if question.rule.comparison == "reach":
        against, limit = gain_of_paper(pair, ours, [other], rounds, question.number(ours.model))
    else:  # a claim about the end, with no number that a curve could have elsewhere
        against, limit = None, pair.note(rounds)
    sign = -1 if question.rule.comparison == "at_most" else question.sign
    lean = lean_of(range_of(interval), question.rule.threshold, sign)
    return _finding(interval, pair, rounds, command, against, lean, limit=limit).of(part)


def gain_over_best(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return what a selector gains over the best of others: the one that it gains least over."""
    [model], task, rounds = question.all("model"), question.one("task"), question.rule.rounds
    ours = group_of(question, model)
    others = [replace(ours, selector=name) for name in question.all("over")]
    command = ours.command(task, rounds, *others)
    pairs = find_pairs(evidence, task, ours, others, rounds)
    if not pairs:
        return [gap(NO_RUNS, command)]
    gains = {
        other: mean_interval(_percent(pair.ours) - _percent(pair.theirs))
        for other, pair in pairs.items()
    }
    best = min(gains, key=lambda other: np.nan_to_num(gains[other].estimate, nan=np.inf))
    missing = [other.selector for other in others if other not in pairs]
    against, limit = gain_of_paper(pairs[best], ours, others, rounds, question.number())
    lean = lean_of(range_of(gains[best]), question.rule.threshold, question.sign)
    command = pairs[best].command(ours, *others)
    unknown = f"no runs of {', '.join(missing)}" if missing else ""
    found = _finding(gains[best], pairs[best], rounds, command, against, lean, limit=limit)
    one_sided = joined(unknown, found.one_sided)
    note = joined(found.note, f"the best other is {best.selector}")
    return [replace(found, one_sided=one_sided, note=note)]


def between_streams(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the accuracy of a selector on one stream less that on another."""
    [model], task, rounds = question.all("model"), question.one("task"), question.rule.rounds
    ours = group_of(question, model)
    other = replace(ours, stream=question.one("over"))
    command = ours.command(task, rounds, other)
    pair = find_pair(evidence, task, ours, other, rounds)
    if pair is None:
        return [gap(NO_RUNS, command)]
    command = pair.command(ours, other)
    interval = mean_interval(_percent(pair.ours) - _percent(pair.theirs))
    lean = lean_of(range_of(interval), question.rule.threshold, question.sign)
    return [_finding(interval, pair, rounds, command, None, lean, limit=pair.note(rounds))]


def blocks_slope(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return points of accuracy a block of features, by model: the mean slope over seeds."""
    return [_slope(question, evidence, model) for model in question.all("model")]


def _slope(question: Question, evidence: ClaimEvidence, model: str) -> ClaimFinding:
    task, rounds = question.one("task"), question.rule.rounds
    known = _blocks(evidence, task, model, rounds)
    command = f"titan-run experiment=fig8 task={task} model={model} rounds={rounds}"
    first = RunGroup(model, "titan")
    pairs = find_pairs(
        evidence, task, first, [replace(first, blocks=n) for n in known if n != 1], rounds
    )
    if not pairs:
        return gap(NO_RUNS, command, model)
    table = pd.DataFrame({other.blocks: _accuracies(pair.theirs) for other, pair in pairs.items()})
    table[1] = _accuracies(max(pairs.values(), key=lambda pair: pair.seeds).ours)
    table = table.dropna()
    if len(table) == 0:
        return gap(NO_RUNS, command, model)
    slopes = np.polyfit(np.array(table.columns, dtype=float), table.to_numpy(dtype=float).T, 1)[0]
    interval = mean_interval(slopes)
    lean = lean_of(range_of(interval), question.rule.threshold, question.sign)
    pair = next(iter(pairs.values()))
    found = _finding(interval, pair, rounds, command, None, lean)
    runs = tuple(dict.fromkeys(run for each in pairs.values() for run in each.runs))
    blocks = ", ".join(str(n) for n in sorted(table.columns))
    note = joined(found.note, f"{blocks} blocks")
    return replace(found, part=model, limit=pair.note(rounds), runs=runs, note=note)


def _blocks(evidence: ClaimEvidence, task: str, model: str, rounds: int) -> list[int]:
    """Return the numbers of blocks that Titan's features were made of, in any run."""
    kind = (task, model, "titan")
    found = {
        chosen(row, "blocks")
        for number in evidence.milestones
        if number <= rounds
        for row in evidence.after(number).records.get(kind, ())
    }
    return sorted(found - {None})


def _finding(
    interval: Interval,
    pair: Pair,
    rounds: int,
    command: str,
    against: float | None,
    lean: Range | None,
    *,
    limit: str = "",
    data: bool = False,
) -> ClaimFinding:
    """Return a finding; seeds that diverged have no accuracy: by the others no claim holds."""
    return ClaimFinding(
        value=interval.estimate if interval.number else None,
        interval=range_of(interval),
        seeds=interval.number,
        against=against,
        lean=lean,
        limit=limit,
        one_sided=_diverged(pair),
        runs=pair.runs,
        note=joined(pair.note(rounds, data=data), _curve_note(pair, rounds, against)),
        command=command,
    )


def _diverged(pair: Pair) -> str:
    """Say how many of our runs diverged; "" if none did."""
    number = int((pair.ours["status"] == "diverged").sum())
    return f"{number} of {pair.seeds} seeds diverged" if number else ""


def _curve_note(pair: Pair, rounds: int, against: float | None) -> str:
    if pair.rounds == rounds or pair.task in STANDS_IN:
        return ""
    return "" if against is None else f"held against {against:.1f}, the paper's curve there"


def _batches(question: Question) -> tuple[int, ...]:
    return tuple(int(batch) for batch in question.all("batch") or ("10",))


def _accuracies(runs: pd.DataFrame) -> pd.Series:
    """Return final accuracies in percent by seed; NaN of a run that diverged."""
    return 100 * runs["final_accuracy"].astype(float)


def _percent(runs: pd.DataFrame) -> np.ndarray:
    return _accuracies(runs).to_numpy(dtype=float)
