"""What `titan-report calibration` prints: constants, errors of both halves, rounds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from titan_repro.boards.board import read_board
from titan_repro.boards.calibration import (
    CONSTANTS,
    FIRST_HALF,
    SECOND_HALF,
    Calibration,
    calibrate,
    entry,
    is_first_half,
)
from titan_repro.boards.paper import Claim, Setup, inline_round, pipelined_round
from titan_repro.boards.work import Work
from titan_repro.figures.table import Table, render

HALVES = f"""\
first half:  round-time ratios of ll and hl and power ratios of {", ".join(FIRST_HALF)};
             the lower end of the latency of a sample.
second half: the same of {", ".join(SECOND_HALF)}; the upper end of the latency.
Models are divided, not single numbers, since ll and hl of one model say the same. The first half
are the networks without BatchNorm, so the check is on another kind of network and on larger ones.
Eight constants for nine numbers: that the fitted half is met says little, the checked half counts.
"In neither half" are numbers that the model can be held against but that were not to be fitted:
their definition is not certain (what else a process's memory holds, how the paper's C-IS takes
single samples, the image size of section 2.2), or, for ocs, the policy is the authors' own code."""

ROUND_HEADER = (
    "model",
    "rs, ms",
    "ll, ms",
    "titan in sequence, ms",
    "titan pipelined, ms",
    "filter, ms a sample",
    "rs, W",
    "titan pipelined, W",
)


def calibration_report(
    modelled: Mapping[str, Any],
    claims: Sequence[Claim],
    setups: Mapping[str, Setup],
    step_224: Work | None = None,
    *,
    swap: bool = False,
) -> str:
    """Fit on the first half, or with `swap` on the second; return constants and errors of both."""
    halves = {half: [c for c in claims if is_first_half(c) is half] for half in (True, False, None)}
    fitted, checked = halves[not swap], halves[swap]
    result = calibrate(modelled, fitted, setups, step_224)
    tables = [
        ("Fitted", fitted),
        ("Checked, not seen by the fit", checked),
        ("In neither half, not seen by the fit", halves[None]),
    ]
    parts = [_constants(result, "second" if swap else "first")]
    for title, part in tables:
        known = [claim for claim in part if claim.id in result.numbers]
        parts.append(_table(title, known, result.numbers))
    return f"{HALVES}\n\n{render([*parts, _rounds(result, setups)])}"


def _rounds(result: Calibration, setups: Mapping[str, Setup]) -> Table:
    board = read_board(result.modelled)
    rows = []
    for model, setup in setups.items():
        rs, ll, titan = (inline_round(board, setup, name) for name in ("rs", "ll", "titan"))
        piped = pipelined_round(board, setup)
        arrival = board.processors[board.select].seconds(setup.arrival)
        seconds = (rs.seconds, ll.seconds, titan.seconds, piped.seconds, arrival)
        watts = [f"{rs.watts:.2f}", f"{piped.watts:.2f}"]
        rows.append([model, *(_digits(1000 * s) for s in seconds), *watts])
    return Table("Rounds of the paper's models on this board", ROUND_HEADER, rows)


def _constants(result: Calibration, half: str) -> Table:
    rows = []
    for constant in CONSTANTS:
        value = entry(result.modelled, constant.key)
        at = " (at its limit)" if value in (constant.low, constant.high) else ""
        rows.append([constant.key, f"{value:g}{at}", f"{constant.low:g} to {constant.high:g}"])
    chosen = result.modelled["score_at_once"]
    costs = ", ".join(f"{_count(n)}: {cost:.3f}" for n, cost in result.costs.items())
    rows.append(["score_at_once", _count(chosen), f"cost of {costs}"])
    return Table(f"Fitted on the {half} half.", ("constant", "value", "limits"), rows)


def _count(at_once: int | None) -> str:
    return "all" if at_once is None else str(at_once)


def _summary(claims: Sequence[Claim], numbers: Mapping[str, float]) -> str:
    errors = [abs(_error(claim, numbers)) for claim in claims]
    if not errors:
        return "nothing"
    mean, most = sum(errors) / len(errors), max(errors)
    return f"{len(errors)} numbers, mean error {mean:.0f} %, largest {most:.0f} %"


def _error(claim: Claim, numbers: Mapping[str, float]) -> float:
    """Return model over paper, less one, in percent."""
    return 100 * (numbers[claim.id] / claim.value - 1)


def _table(title: str, claims: Sequence[Claim], numbers: Mapping[str, float]) -> Table:
    rows = []
    for claim in claims:
        row = [claim.id, claim.unit, f"{claim.value:g}", _digits(numbers[claim.id])]
        rows.append([*row, f"{round(_error(claim, numbers)):+d}", claim.source])
    header = ("claim", "unit", "paper", "model", "error, %", "source")
    return Table(f"{title}: {_summary(claims, numbers)}", header, rows)


def _digits(value: float) -> str:
    """Write a number with three significant digits, never with an exponent."""
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"
