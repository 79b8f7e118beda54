"""The page itself: gathers what each part shows and fills the template in."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from titan_repro.analysis.effects import Effect, effects
from titan_repro.analysis.paired import gains, gains_by_rounds
from titan_repro.analysis.time_to_any import rounds_to_any
from titan_repro.claims.verdicts import Verdict
from titan_repro.figures.differences import differences, gaps
from titan_repro.figures.findings import ENOUGH, Finding, findings
from titan_repro.figures.page.cells import METRICS, cells_table, columns, table1_blocks
from titan_repro.figures.page.charts import gains_chart, times_chart
from titan_repro.figures.page.claim_rows import (
    SIGNS,
    claim_rows,
    claims_of,
    claims_table,
    origin_of,
    slug,
    verdict_counts,
    verdict_words,
)
from titan_repro.figures.page.colours import colour_rules
from titan_repro.figures.page.cost_tables import (
    checks_table,
    measured_tables,
    measurement_table,
    modelled_table,
)
from titan_repro.figures.page.evidence import Evidence, Setting
from titan_repro.figures.page.origins import origins, origins_table
from titan_repro.figures.table import Table
from titan_repro.figures.templates import render_template
from titan_repro.figures.words import bracketed, count_of, gained
from titan_repro.paper.register import OpenChoice, register


@dataclass(frozen=True)
class ChartOf:
    """A chart of one setting, and the command that prints its numbers."""

    title: str
    svg: Markup
    command: str


@dataclass(frozen=True)
class MeasuredChoice:
    """A row of the register, with what the runs say of it, a line a pair of values."""

    choice: OpenChoice
    effects: Sequence[str]


def page(evidence: Evidence, output: Path) -> str:
    """Return the page as HTML. output: where it will lie, for links to the runs as data."""
    return render_template("page.html.jinja", _context(evidence, output))


def _context(evidence: Evidence, output: Path) -> dict[str, Any]:
    found, told = origins(evidence), findings(evidence)
    rows, cells = claim_rows(evidence, found), table1_blocks(evidence)
    sources = dict.fromkeys(origin_of(row.judgement.claim.source) for row in rows)
    return {
        "verdicts": [
            (v, slug(v), SIGNS[v], n) for v, n in verdict_counts(claims_of(evidence.judgements))
        ],
        "headline": headline(evidence, told),
        "differences": differences(evidence.runs.summaries),
        "remarks": [*evidence.runs.remarks(), *gaps(evidence.runs.summaries)],
        "findings": told,
        "claims": rows,
        "sources": [(name, slug(name)) for name in sources],
        "empty_filters": _empty_filters(rows, [slug(name) for name in sources]),
        "metrics": METRICS,
        "columns": columns(evidence),
        "blocks": cells,
        "gains": _gain_charts(evidence),
        "times": _time_charts(evidence),
        "measured": measured_tables(evidence),
        "measurement": measurement_table(evidence.costs),
        "modelled": modelled_table(evidence.board),
        "checks": checks_table(evidence.board),
        "register": _register(evidence),
        "runs": found,
        "listed": {run.run_id for run in found},  # claims rest on measurements and sweeps, too
        "source": evidence.source,
        "data_link": os.path.relpath(evidence.source, output.parent),
        "downloads": [
            ("runs.csv", _download(origins_table(found))),
            ("claims.csv", _download(claims_table(rows))),
            ("table1.csv", _download(cells_table(cells))),
        ],
        "colours": Markup(colour_rules(columns(evidence))),
    }


def headline(evidence: Evidence, told: Sequence[Finding]) -> list[str]:
    """Return the page's three lines: verdicts, the first finding, what it rests on."""
    runs = evidence.runs.summaries
    settings = count_of(len(evidence.settings), "setting")
    return [
        verdict_words(evidence.judgements),
        told[0].text if told else "No setting has runs of Titan and of random selection yet.",
        f"It rests on {count_of(len(runs), 'run')} in {settings}, with at most "
        f"{count_of(runs['seed'].nunique(), 'seed')}; fewer than {ENOUGH} seeds decide nothing.",
    ]


def _empty_filters(rows: Sequence[Any], sources: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of verdict and source that no claim has; "all" stands for any."""
    there = {(row.kind, row.origin) for row in rows}
    there |= {(kind, "all") for kind, _ in there}
    pairs = [(slug(v), source) for v in Verdict for source in ("all", *sources)]
    return [pair for pair in pairs if pair not in there]


def _gain_charts(evidence: Evidence) -> list[ChartOf]:
    charts = []
    for setting in evidence.settings:
        found = [gain for gain in gains(setting.group, "rs") if gain.interval.number]
        if found:
            svg = gains_chart(f"Gain over rs, {setting.name}", found)
            command = f"titan-report figure gain {evidence.source}"
            charts.append(ChartOf(setting.name, Markup(svg), command))
    return charts


def _time_charts(evidence: Evidence) -> list[ChartOf]:
    charts = []
    for setting in evidence.settings:
        found = rounds_to_any(setting.times.curves)
        if found:
            svg = times_chart(f"Rounds to every accuracy over those of rs, {setting.name}", found)
            command = f"titan-report page {evidence.source}"
            charts.append(ChartOf(setting.name, Markup(svg), command))
    return charts


def _register(evidence: Evidence) -> list[MeasuredChoice]:
    rows = register()
    keys = [choice.key for choice in rows if choice.key is not None]
    found = effects(evidence.runs.summaries, keys)
    told = {key: [_effect(effect) for effect in found if effect.key == key] for key in keys}
    told["rounds"] = [_by_rounds(setting) for setting in evidence.settings if setting.pairs]
    return [MeasuredChoice(choice, told.get(choice.key or "", [])) for choice in rows]


def _by_rounds(setting: Setting) -> str:
    """Say what Titan gains over rs after each milestone of its runs."""
    if "milestones" not in setting.group:
        return f"{setting.name}: not recorded"
    found = gains_by_rounds(setting.group, "titan", "rs")
    parts = [f"{rounds:,}: {bracketed(interval)}" for rounds, interval in found.items()]
    name = f"{setting.model} on {setting.task}, {count_of(setting.pairs, 'seed')}"
    return f"Titan over rs, {name}, points by rounds: {', '.join(parts)}"


def _effect(effect: Effect) -> str:
    where = f"{effect.selector}, {effect.model} on {effect.task}, {effect.rounds:,} rounds"
    return f"{effect.value} over {effect.other}: {gained(effect.interval)} ({where})"


def _download(table: Table) -> Markup:
    """Return a data URI of the table's rows as CSV, without its title."""
    rows = table.csv().partition("\n")[2]
    return Markup("data:text/csv;base64," + base64.b64encode(rows.encode()).decode())
