"""What a reader should take away: five sentences whose numbers and words come from the runs.

They speak of the setting that has the most seeds of Titan and random selection (rs), then the most
rounds, and the last one of all others. Where an interval spans zero, a sentence says so.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from titan_repro.analysis.comparison import PAPER_SELECTORS, Row
from titan_repro.analysis.paired import Gain, gains
from titan_repro.figures.page.evidence import Evidence, Setting
from titan_repro.figures.words import bracketed, count_of, gained, side, signed
from titan_repro.paper.published import table1_cell

ENOUGH = 3
"""Seeds with which a difference is more than a lead."""


@dataclass(frozen=True)
class Finding:
    """One sentence or two. topic: in a few words. command: prints the numbers."""

    topic: str
    text: str
    command: str


def findings(evidence: Evidence) -> list[Finding]:
    """Return the findings that the runs allow, at most five."""
    main = main_setting(evidence)
    if main is None:
        return []
    told: Sequence[Callable[[Evidence, Setting], Finding | None]] = (
        _titan,
        _control,
        _speed,
        _baselines,
        _elsewhere,
    )
    return [finding for tell in told if (finding := tell(evidence, main)) is not None]


def main_setting(evidence: Evidence) -> Setting | None:
    """Return the setting with the most pairs of Titan and rs; None if there is no pair."""
    paired = [setting for setting in evidence.settings if setting.pairs]
    return max(paired, key=lambda each: (each.pairs, each.rounds), default=None)


def _titan(evidence: Evidence, main: Setting) -> Finding | None:
    gain = _gain(main, "titan", "rs")
    if gain is None:
        return None
    verb = {"above": "ends above", "below": "ends below"}.get(side(gain.interval))
    verb = verb or "cannot be told apart from"
    text = f"{main.name}: Titan {verb} random selection, by {gained(gain.interval)}."
    printed = [table1_cell(main.model, name) for name in ("titan", "rs")]
    if printed[0] is not None and printed[1] is not None:
        paper = signed(printed[0].accuracy - printed[1].accuracy)
        text += f" The paper has {paper} points for {main.model} on {printed[0].task}."
    return Finding("Titan against random selection", text, _command(evidence, "gain"))


def _control(evidence: Evidence, main: Setting) -> Finding | None:
    over_rs, titan = _gain(main, "stratified", "rs"), _gain(main, "titan", "stratified")
    if over_rs is None or titan is None:
        return None
    answer = {"above": "has a part of it", "below": "loses", "beside": "is not seen to gain"}
    words = answer.get(side(over_rs.interval), "is open")
    text = (
        f"A class-stratified random batch, which costs nothing, {words}: {gained(over_rs.interval)}"
        f" over rs. Over that batch Titan has {gained(titan.interval)}."
    )
    return Finding("What stratification alone is worth", text, _command(evidence, "gain"))


def _speed(evidence: Evidence, main: Setting) -> Finding | None:
    rows = main.rows
    titan = rows.get("titan")
    if titan is None or titan.compared == 0:
        return None
    text = f"Titan {_arrives(titan)}"
    if "cis" in rows and rows["cis"].compared:
        text += f"; C-IS, which scores every sample, {_arrives(rows['cis'])}"
    printed = table1_cell(main.model, "titan")
    if not math.isnan(titan.time_ratio):
        text += f". By the clock Titan takes {titan.time_ratio:.2f} times as long as rs"
        text += f" ({main.times.caption})"
    if printed is not None:
        text += f"; the paper has {printed.time_ratio:g} of the time on its board, pipelined"
    return Finding("Time to random selection's accuracy", f"{text}.", _command(evidence, "table1"))


def _arrives(row: Row) -> str:
    if row.arrived == 0:
        return f"never reaches rs's accuracy ({count_of(row.compared, 'seed')})"
    seeds = f"{row.arrived} of {count_of(row.compared, 'seed')}"
    return f"reaches rs's accuracy after {row.rounds_ratio:.2f} of the rounds ({seeds})"


def _baselines(evidence: Evidence, main: Setting) -> Finding | None:
    """Say which baselines are on the side of rs that Table 1 has them on, which on the other."""
    random = table1_cell(main.model, "rs")
    found = [gain for gain in gains(main.group, "rs") if gain.interval.number >= ENOUGH]
    agree: list[str] = []
    oppose: list[str] = []
    beside: list[str] = []
    for gain in found:
        printed = table1_cell(main.model, gain.selector)
        if random is None or printed is None or gain.selector not in PAPER_SELECTORS[1:-1]:
            continue
        there = "above" if printed.accuracy > random.accuracy else "below"
        words = f"{gain.label} {bracketed(gain.interval)}, paper {there}"
        group = {there: agree, "beside": beside}.get(side(gain.interval), oppose)
        group.append(words)
    number = len(agree) + len(oppose) + len(beside)
    if not number:
        return None
    text = (
        f"Of {number} others in Table 1, {_differ(agree)} from rs as the paper has "
        f"it{_listed(agree)}; {_differ(oppose)} the other way{_listed(oppose)}; {len(beside)} "
        f"cannot be told apart from rs{_listed(beside)}; in points, with 95 % intervals."
    )
    return Finding("The other selectors", text, _command(evidence, "gain"))


def _differ(words: Sequence[str]) -> str:
    return f"{len(words)} {'differs' if len(words) == 1 else 'differ'}"


def _listed(words: Sequence[str]) -> str:
    return f" ({'; '.join(words)})" if words else ""


def _elsewhere(evidence: Evidence, main: Setting) -> Finding | None:
    told, few = [], 0
    for setting in evidence.settings:
        gain = _gain(setting, "titan", "rs")
        if setting is not main and gain is not None:
            control = _gain(setting, "stratified", "rs")
            beside = "" if control is None else f", a stratified batch {gained(control.interval)}"
            told.append(f"{setting.name}: {gained(gain.interval)}{beside}")
            few += gain.interval.number < ENOUGH
    if not told:
        return None
    text = f"Titan over rs elsewhere: {'; '.join(told)}."
    if few:
        rests = "rests" if few == 1 else "rest"
        text += f" {few} of these {rests} on fewer than {ENOUGH} seeds: a lead."
    return Finding("Other models and data", text, _command(evidence, "gain"))


def _gain(setting: Setting, label: str, reference: str) -> Gain | None:
    """Return what a label gains; None without a pair."""
    for gain in gains(setting.group, reference):
        if gain.label == label and gain.interval.number:
            return gain
    return None


def _command(evidence: Evidence, name: str) -> str:
    figure = f"figure {name}" if name != "table1" else name
    return f"titan-report {figure} {evidence.source}"
