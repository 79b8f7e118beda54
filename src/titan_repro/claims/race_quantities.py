"""Rounds, time and energy to random selection's accuracy, paired by seed.

Rounds are those of our runs. What a round takes is the modelled board's for the paper's image
models, at its own 224 x 224 pixels; for other models it is this machine's. Where no pipelined round
of Titan was measured, it is taken to cost what a round of rs does, the best that a pipeline can do,
which can only speak against it. A run that never gets to the accuracy counts as if it had at its
end, and is told: as it would have taken longer, it can only speak for being slower.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from titan_repro.analysis.statistics import mean_interval
from titan_repro.analysis.time_to_accuracy import COMPARED, Outcome, geometric_mean, time_to_rs
from titan_repro.claims.accuracy_quantities import NO_RUNS, group_of
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.finding import ClaimFinding, gap, joined, lean_of
from titan_repro.claims.groups import RunGroup
from titan_repro.claims.pairs import Pair, find_pair, find_pairs
from titan_repro.claims.paper_numbers import ratio_of_paper
from titan_repro.claims.prices import Price, energy_price, rounds_price, time_price
from titan_repro.claims.rules import Question

Transform = Callable[[float], float]
"""From a ratio, ours over that of rs, to the claim's unit."""


def time(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return time to rs's accuracy over that of rs."""
    return _every(question, evidence, time_price, lambda ratio: ratio)


def time_saved(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the time to rs's accuracy that is saved, in percent of that of rs."""
    return _every(question, evidence, time_price, lambda ratio: 100 * (1 - ratio))


def time_speedup(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the time of rs to its accuracy over ours."""
    return _every(question, evidence, time_price, _inverse)


def speedup(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the rounds of rs to its accuracy over ours."""
    return _every(question, evidence, rounds_price, _inverse)


def _inverse(ratio: float) -> float:
    """Return 1 / ratio; of 0, where the interval of a single seed begins, it is infinite."""
    return 1 / ratio if ratio else np.inf


def energy(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the board's energy to rs's accuracy over that of rs."""
    return _every(question, evidence, energy_price, lambda ratio: ratio)


def arrival(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the whole run's time over that of rs, and whether runs get to rs's accuracy at all."""
    return [_arrival(question, evidence, model) for model in question.all("model")]


def speedup_over_best(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the rounds of the best other selector to its final accuracy over ours."""
    [model], task, rounds = question.all("model"), question.one("task"), question.rule.rounds
    ours = group_of(question, model)
    others = [replace(ours, selector=name) for name in question.all("over")]
    pairs = find_pairs(evidence, task, ours, others, rounds)
    if not pairs:
        return [gap(NO_RUNS, ours.command(task, rounds, *others))]
    best = max(pairs, key=lambda other: float(pairs[other].theirs["final_accuracy"].mean()))
    missing = ", ".join(other.selector for other in others if other not in pairs)
    found = _found(question, pairs[best], ours, Price(1.0), _inverse)
    return [
        replace(
            found,
            one_sided=joined(found.one_sided, f"no runs of {missing}" if missing else ""),
            note=joined(found.note, f"the best other is {best.selector}"),
            command=pairs[best].command(ours, *others),
        )
    ]


def _every(
    question: Question,
    evidence: ClaimEvidence,
    price: Callable[[ClaimEvidence, RunGroup, str], Price],
    transform: Transform,
) -> list[ClaimFinding]:
    return [_one(question, evidence, model, price, transform) for model in question.all("model")]


def _one(
    question: Question,
    evidence: ClaimEvidence,
    model: str,
    price: Callable[[ClaimEvidence, RunGroup, str], Price],
    transform: Transform,
) -> ClaimFinding:
    task, rounds = question.one("task"), question.rule.rounds
    ours, random = group_of(question, model), _random(question, model)
    command = ours.command(task, rounds, random)
    pair = find_pair(evidence, task, ours, random, rounds)
    if pair is None:
        return gap(NO_RUNS, command, model)
    found = _found(question, pair, ours, price(evidence, ours, pair.task), transform, model)
    return replace(found, part=model, command=pair.command(ours, random))


def _random(question: Question, model: str) -> RunGroup:
    """Return the runs of rs that set the target: on the same stream, on 10 samples a round."""
    return RunGroup(model, "rs", question.one("stream", "clean"))


def _found(
    question: Question,
    pair: Pair,
    ours: RunGroup,
    price: Price,
    transform: Transform,
    part: str = "",
) -> ClaimFinding:
    raced = _race(pair)
    unit = "time_ratio" if price.ratio is None else "rounds_ratio"
    ratios = raced[unit].to_numpy(dtype=float) * (price.ratio or 1.0)
    interval = mean_interval(np.log(ratios))
    if interval.number == 0:
        return ClaimFinding(
            runs=pair.runs, note=joined(pair.note(question.rule.rounds), "no target")
        )
    ends = sorted(transform(float(np.exp(end))) for end in (interval.low, interval.high))
    both = (ends[0], ends[1]) if interval.number > 1 else None
    never = int((raced["outcome"] != Outcome.ARRIVED).sum())
    farthest = np.inf if price.least or never else float(np.exp(interval.high))
    known = sorted(map(transform, (float(np.exp(interval.low)), farthest)))
    lean = lean_of((known[0], known[1]) if both else None, question.rule.threshold, question.sign)
    against, short = ratio_of_paper(question, pair, ours, part)
    told = f"{never} of {len(raced)} seeds never got there" if never else ""
    return ClaimFinding(
        value=transform(float(np.exp(interval.estimate))),
        interval=both,
        seeds=interval.number,
        against=against,
        lean=lean,
        limit=joined("" if price.least else price.limit, short),
        one_sided=joined(price.limit if price.least else "", told),
        runs=pair.runs,
        note=_note(question, pair),
    )


def _note(question: Question, pair: Pair) -> str:
    if question.rule.comparison == "match":
        return "1 by definition"
    return pair.note(question.rule.rounds)


def _arrival(question: Question, evidence: ClaimEvidence, model: str) -> ClaimFinding:
    task, rounds = question.one("task"), question.rule.rounds
    ours, random = group_of(question, model), _random(question, model)
    command = ours.command(task, rounds, random)
    pair = find_pair(evidence, task, ours, random, rounds)
    if pair is None:
        return gap(NO_RUNS, command, model)
    command = pair.command(ours, random)
    raced, price = _race(pair), time_price(evidence, ours, pair.task)
    number, arrived = len(raced), int((raced["outcome"] == Outcome.ARRIVED).sum())
    if number == 0:
        return gap(joined(pair.note(rounds), "no target"), command, model)
    low, high = stats.binomtest(arrived, number).proportion_ci(0.95)
    return ClaimFinding(
        part=model,
        value=_whole(pair) if price.ratio is None else price.ratio,
        seeds=number,
        against=question.number(model),
        lean=lean_of((float(low), float(high)), question.rule.threshold, -1),
        limit=joined(price.limit, pair.note(rounds)),
        runs=pair.runs,
        note=f"{arrived} of {number} seeds got to rs's accuracy",
        command=command,
    )


def _race(pair: Pair) -> pd.DataFrame:
    """Race our runs against theirs; rows of `time_to_rs` with a target, by seed."""
    theirs = pair.theirs.assign(selector="rs", label="rs")
    if set(pair.ours["run_id"]) == set(pair.theirs["run_id"]):
        both = theirs
    else:
        both = pd.concat([theirs, pair.ours.assign(selector="ours", label="ours")])
    curves = pair.curves.assign(seconds=pair.curves["train_seconds"])
    raced = time_to_rs(both.reset_index(drop=True), curves)
    own = raced["run_id"].isin(pair.ours["run_id"])
    raced = raced[own & raced["outcome"].isin(COMPARED)].copy()
    diverged = raced["outcome"] == Outcome.DIVERGED  # early, but it would not have got there
    raced.loc[diverged, "rounds_ratio"] = pair.rounds / raced["random_round"]
    return raced


def _whole(pair: Pair) -> float:
    """Return what our whole runs took on this machine over what those of rs did."""
    last = pair.curves.sort_values("round").groupby("run_id")["train_seconds"].last().astype(float)
    ours, theirs = (last.loc[list(runs["run_id"])].to_numpy() for runs in (pair.ours, pair.theirs))
    return geometric_mean(pd.Series(ours / theirs))
