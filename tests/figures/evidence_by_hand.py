"""Evidence written down by hand: runs of tests/handmade.py, verdicts, no files."""

from pathlib import Path

from handmade import run, runs_of
from titan_repro.analysis.clocks import OwnClock, timed
from titan_repro.claims.verdicts import Judgement, Verdict
from titan_repro.figures.page.evidence import Evidence, Setting
from titan_repro.paper.published import claims


def evidence(*runs: dict, judgements=None, board=None, source=Path("made up")) -> Evidence:
    """Build evidence of `handmade.run` dictionaries; all claims are undecided unless given."""
    made = runs_of(*runs)
    settings = []
    for _, group in made.summaries.groupby("setting", sort=False):
        own = made.curves[made.curves["run_id"].isin(group["run_id"])]
        settings.append(Setting(group, timed(group, own, OwnClock())))
    given = [judged(name) for name in claims()] if judgements is None else judgements
    commands = dict.fromkeys(made.summaries["run_id"], ())
    return Evidence(source, made, made, settings, given, [], board or {}, commands)


def judged(name: str, verdict: Verdict = Verdict.UNDECIDED, runs=(), **more) -> Judgement:
    """Judge the claim of this id."""
    values = {"value": None, "interval": None, "seeds": 0, "note": "", "command": "", **more}
    return Judgement(claims()[name], verdict, rule="made up", runs=tuple(runs), **values)


def seeds(selector: str, finals: list[float], **more) -> list[dict]:
    """Return a run a final accuracy, seeds from 0 on, all on one way from 10 %."""
    return [
        run(selector, seed, (0, 0.1, 0.0), (50, (0.1 + end) / 2, 1.0), (100, end, 2.0), **more)
        for seed, end in enumerate(finals)
    ]
