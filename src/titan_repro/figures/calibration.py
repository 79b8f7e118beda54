"""What `titan-report calibration` prints: constants, errors, contradictions, rounds."""

from collections.abc import Mapping, Sequence
from typing import Any

from titan_repro.boards.calibration import CONSTANTS, Calibration, calibrate, left_out
from titan_repro.boards.contradictions import calculate, paper_contradictions
from titan_repro.boards.cost_model import Board
from titan_repro.boards.paper import IMAGE_MODELS, PublishedNumber, published_numbers
from titan_repro.boards.paper_model import (
    Setup,
    modelled_numbers,
    rs_round,
    sequence_seconds,
    titan_round,
)
from titan_repro.figures.costs_table import digits
from titan_repro.figures.table import Table, render

TOLERANCE = {"fit": 15.0, "check": 35.0}
"""Percent that a fitted and a checked number may be off without a reason given."""

WATTS = 0.3
"""Watts that a power may be off without one."""

NOTES = """\
Fitted on Figure 6(a), Figure 8 (C-IS and Titan-1) and Figure 6(d), and on nothing else; errors
above 10 % count by their size, not its square, as some of these numbers exclude one another.
Left out: the error where the constants were fitted on the other three models alone.
In sequence: as Figure 6(a) has it, without the filter; "with filter" is what the model says."""

ROUND_HEADER = (
    "model",
    "RS, s",
    "in sequence, s",
    "with filter, s",
    "pipelined, s",
    "pipelined / RS",
    "paper",
    "hidden, %",
    "RS, W",
    "Titan, W",
    "paper, W",
)


def calibration_report(modelled: Mapping[str, Any], setups: Mapping[str, Setup]) -> str:
    """Fit the constants of a profile's `modelled` part; return them and what they lead to."""
    figures = published_numbers()
    fitted = [figure for figure in figures if figure.use == "fit"]
    checked = [figure for figure in figures if figure.use == "check"]
    result = calibrate(modelled, fitted, setups)
    numbers = modelled_numbers(result.board, setups)
    others = left_out(modelled, fitted, setups)
    fit = f"Fitted: {_summary(fitted, numbers)}; left out: {_summary(fitted, others)}"
    check = f"Checked, not seen by the fit: {_summary(checked, numbers)}"
    tables = [
        _constants(result),
        _errors(fit, fitted, numbers, others),
        _errors(check, checked, numbers, {}),
        _residuals(figures, numbers),
        _rounds(result.board, setups, {figure.id: figure.value for figure in figures}),
        _contradictions(),
    ]
    return f"{NOTES}\n\n{render(tables)}"


def error(figure: PublishedNumber, numbers: Mapping[str, float]) -> float:
    """Return model over paper, less one, in percent."""
    return 100 * (numbers[figure.id] / figure.value - 1)


def is_off(figure: PublishedNumber, numbers: Mapping[str, float]) -> bool:
    """Return whether the model misses a number by more than is tolerated."""
    return abs(error(figure, numbers)) > TOLERANCE[figure.use]


def needs_reason(figure: PublishedNumber, numbers: Mapping[str, float]) -> bool:
    """Return whether the model misses a number by so much that a reason is to be given."""
    far = figure.unit == "W" and abs(numbers[figure.id] - figure.value) > WATTS
    return far or is_off(figure, numbers)


def _constants(result: Calibration) -> Table:
    rows = []
    for constant, value in zip(CONSTANTS, result.values, strict=True):
        at = " (at its limit)" if value in (constant.low, constant.high) else ""
        name = constant.keys[0].removesuffix(".dense")
        rows.append([name, f"{value:g}{at}", f"{constant.low:g} to {constant.high:g}"])
    return Table("Fitted constants", ("constant", "value", "limits"), rows)


def _summary(figures: Sequence[PublishedNumber], numbers: Mapping[str, float]) -> str:
    errors = sorted(abs(error(figure, numbers)) for figure in figures)
    mean, middle = sum(errors) / len(errors), errors[len(errors) // 2]
    inside = sum(not is_off(figure, numbers) for figure in figures)
    tolerance = TOLERANCE[figures[0].use]
    return (
        f"{len(errors)} numbers, {inside} within {tolerance:.0f} %, median error {middle:.0f} %, "
        f"mean {mean:.0f} %, largest {errors[-1]:.0f} %"
    )


def _errors(
    title: str,
    figures: Sequence[PublishedNumber],
    numbers: Mapping[str, float],
    others: Mapping[str, float],
) -> Table:
    header = ["number", "unit", "paper", "model", "error, %"]
    rows = []
    for figure in figures:
        cells = [figure.id, figure.unit, f"{figure.value:g}", digits(numbers[figure.id])]
        cells.append(f"{round(error(figure, numbers)):+d}")
        cells += [f"{round(error(figure, others)):+d}"] if others else []
        rows.append([*cells, figure.source])
    return Table(title, [*header, *(["left out, %"] if others else []), "source"], rows)


def _residuals(figures: Sequence[PublishedNumber], numbers: Mapping[str, float]) -> Table:
    title = f"What the larger errors are (above 15 % or {WATTS:g} W fitted, above 35 % checked)"
    rows = []
    for figure in figures:
        if needs_reason(figure, numbers):
            off = f"{round(error(figure, numbers)):+d}"
            rows.append([figure.id, off, figure.residual or "not explained"])
    return Table(title, ("number", "error, %", "what it is"), rows)


def _rounds(board: Board, setups: Mapping[str, Setup], paper: Mapping[str, float]) -> Table:
    rows = []
    for model in IMAGE_MODELS:
        setup = setups[model]
        rs, piped = rs_round(board, setup), titan_round(board, setup)
        bare, full = (sequence_seconds(board, setup, with_filter=way) for way in (False, True))
        hidden = 100 * (1 - (piped.seconds - rs.seconds) / (bare - rs.seconds))
        printed = paper[f"fig6a.pipelined.{model}"] / paper[f"fig6a.alone.{model}"]
        watts = [paper[f"fig6d.{way}.{model}"] for way in ("rs", "titan")]
        row = [model, *map(digits, (rs.seconds, bare, full, piped.seconds))]
        row += [f"{piped.seconds / rs.seconds:.2f}", f"{printed:.2f}", f"{hidden:.0f}"]
        row += [f"{rs.watts:.2f}", f"{piped.watts:.2f}", " and ".join(f"{w:.2f}" for w in watts)]
        rows.append(row)
    return Table("Rounds at 224 x 224", ROUND_HEADER, rows)


def _contradictions() -> Table:
    title = "Numbers of the paper that exclude one another"
    rows = []
    for each in paper_contradictions():
        one, other = (_worked(part) for part in (each.printed, each.implied))
        rows.append([each.id, each.unit, one, other, each.what])
    return Table(title, ("what", "unit", "one", "other", "from"), rows)


def _worked(arithmetic: str) -> str:
    value = calculate(arithmetic)
    plain = arithmetic.replace(".", "").isdigit()
    return arithmetic if plain else f"{arithmetic} = {digits(value)}"
