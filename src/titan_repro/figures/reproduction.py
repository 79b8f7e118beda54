"""REPRODUCTION.md: scope, what was run, what came out, doubts; every number from the runs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from titan_repro.claims.verdicts import Judgement, Verdict
from titan_repro.figures import gain
from titan_repro.figures.differences import differences, gaps
from titan_repro.figures.findings import ENOUGH, findings, main_setting
from titan_repro.figures.page.claim_rows import (
    claims_of,
    contradictions_of,
    origin_of,
    our_value,
    verdict_words,
    with_unit,
)
from titan_repro.figures.page.evidence import Evidence
from titan_repro.figures.page.origins import Origin, one_of_each, origins
from titan_repro.figures.table import Table, render
from titan_repro.figures.templates import render_template
from titan_repro.figures.words import count_of
from titan_repro.paper.register import register


def reproduction(evidence: Evidence) -> str:
    """Return the report as Markdown."""
    found = origins(evidence)
    main = main_setting(evidence)
    checks = contradictions_of(evidence.judgements)
    thin = [each.name for each in evidence.settings if each.pairs < ENOUGH]
    return render_template(
        "reproduction.md.jinja",
        {
            "source": evidence.source,
            "verdicts": verdict_words(evidence.judgements),
            "by_source": _by_source(evidence.judgements).markdown(),
            "decided": _decided(claims_of(evidence.judgements)).markdown(),
            "findings": findings(evidence),
            "differences": differences(evidence.runs.summaries),
            "runs": _runs(evidence, found).markdown(),
            "gains": render(gain.tables(gain.of_runs(evidence.runs))),
            "remarks": [*evidence.runs.remarks(), *gaps(evidence.runs.summaries)],
            "machine": _machine(found),
            "open_choices": len(register()),
            "keys": sum(choice.key is not None for choice in register()),
            "contradictions": sum(each.verdict is Verdict.FAILS for each in checks),
            "checks": len(checks),
            "main": None if main is None else main.name,
            "thin": thin,
            "enough": ENOUGH,
            "undecided": [j for j in evidence.judgements if j.verdict is Verdict.UNDECIDED],
        },
    )


def _by_source(judgements: Sequence[Judgement]) -> Table:
    """Count the verdicts of each figure and table of the paper."""
    counts: dict[str, Counter[Verdict]] = {}
    for judgement in judgements:
        counts.setdefault(origin_of(judgement.claim.source), Counter())[judgement.verdict] += 1
    rows = [
        [source, *(str(own[verdict] or "") for verdict in Verdict), str(own.total())]
        for source, own in counts.items()
    ]
    return Table("Verdicts by source", ("source", *(v.value for v in Verdict), "claims"), rows)


def _decided(judgements: Sequence[Judgement]) -> Table:
    """Return the claims with a verdict other than "not tested" or "undecided"."""
    shown = (Verdict.HOLDS, Verdict.DIRECTION, Verdict.FAILS, Verdict.AGAINST)
    rows = [
        [
            each.claim.id,
            with_unit(each.claim.paper_value, each.claim.unit),
            our_value(each),
            str(each.seeds or ""),
            each.verdict.value,
            each.note,
        ]
        for verdict in shown
        for each in judgements
        if each.verdict is verdict
    ]
    header = ("claim", "paper", "here [95 %]", "seeds", "verdict", "what differs, held against")
    return Table("Decided claims", header, rows)


def _runs(evidence: Evidence, found: Sequence[Origin]) -> Table:
    hours = {run.run_id: run.core_seconds / 3600 for run in found}
    rows = []
    for setting in evidence.settings:
        ids = list(map(str, setting.group["run_id"]))
        seeds = setting.group.groupby("label")["seed"].nunique()
        rows.append(
            [
                setting.name,
                str(len(seeds)),
                f"{seeds.min()} to {seeds.max()}" if seeds.nunique() > 1 else str(seeds.min()),
                str(len(ids)),
                f"{sum(hours[name] for name in ids):.1f}",
                one_of_each(list(map(str, setting.group["data_source"]))),
                one_of_each([run.fingerprint for run in found if run.run_id in ids]),
            ]
        )
    header = ("setting", "selectors", "seeds", "runs", "core hours", "data", "data fingerprint")
    return Table("Runs that count", header, rows)


def _machine(found: Sequence[Origin]) -> dict[str, Any]:
    dates = sorted({run.date for run in found})
    return {
        "processors": one_of_each([run.processors for run in found]),
        "torch": one_of_each([run.torch for run in found]),
        "commits": one_of_each([run.commit for run in found]),
        "hours": f"{sum(run.core_seconds for run in found) / 3600:.1f}",
        "dates": dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        "runs": count_of(len(found), "run"),
    }
