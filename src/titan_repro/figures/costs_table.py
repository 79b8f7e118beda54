"""The tables of experiment=fig6: rounds, latency, memory, power."""

import math
from collections.abc import Sequence

from titan_repro.analysis.comparison import SELECTOR_ORDER
from titan_repro.analysis.costs import PURPOSES, Costs
from titan_repro.figures.table import Table
from titan_repro.paper.published import claimed_numbers

CLOCKS = ("measured", "modelled")

NOTES = (
    "measured: on the machine that ran it, one thread a process, medians; quiet: there, 10th "
    "percentiles, where other work on the machine shows least; a board's name: modelled there. "
    "jetson_nano is fitted to image models; the MLP's rounds are far beyond it (docs/devices.md).",
    "In sequence: selection and training on one core. Hidden: the share of what selection adds in "
    "sequence that the pipeline does not add.",
    "Arriving: a sample by itself; bulk: a round at once; filter: the coarse filter, all others on "
    "every sample of a round.",
    "Measured memory: all processes together, shared pages once, Python and PyTorch in each; "
    "counted and modelled: tensors alone.",
)
NONE = "none"
"""Where a record has no such number, or the paper gives none."""


def costs_tables(records: Sequence[Costs]) -> list[Table]:
    """Return rounds, latency, memory and power; the machines are in the first table's title."""
    machines = ", ".join(sorted({costs.machine() for costs in records}))
    round_note, pipeline_note, latency_note, memory_note = NOTES
    return [
        _table(
            f"Time of a round, ms; measured on {machines}",
            _round_rows(records),
            round_note,
            pipeline_note,
        ),
        _table(
            f"Latency of one sample, ms (paper: {_range('fig6b.latency')} ms)",
            _latency_rows(records),
            latency_note,
        ),
        _table(
            "Memory of pipelined Titan beyond random selection's, MB",
            _memory_rows(records),
            memory_note,
        ),
        _table("Memory by purpose, MB of tensors", _purpose_rows(records)),
        _table("Power and energy, modelled", _power_rows(records)),
    ]


def _table(title: str, lines: Sequence[Sequence[str]], *notes: str) -> Table:
    header, *rows = lines
    return Table(title, header, rows, notes)


def _range(claim: str) -> str:
    numbers = claimed_numbers()
    return f"{numbers[f'{claim}.low']:g} to {numbers[f'{claim}.high']:g}"


def _clock(costs: Costs, clock: str) -> str:
    return str(costs.content["board"]) if clock == "modelled" else clock


def _round_rows(records: Sequence[Costs]) -> list[list[str]]:
    rows = [["model", "clock", "rs", "in sequence", "pipelined", "pipelined / rs", "hidden, %"]]
    for costs in records:
        for clock in filter(costs.has_rounds, ("measured", "quiet", "modelled")):
            times = [
                costs.round_ms(clock, way) for way in ("rs", "titan_sequential", "titan_pipelined")
            ]
            ratio = times[2] / times[0]
            cells = [*map(digits, times), digits(ratio), _whole(costs.hidden(clock))]
            rows.append([costs.label, _clock(costs, clock), *cells])
    return rows


def _latency_rows(records: Sequence[Costs]) -> list[list[str]]:
    ways = latency_ways(records)
    rows = [["model", "clock", "samples", *ways]]
    for costs in records:
        for clock in CLOCKS:
            for how in ("arriving", "bulk"):
                numbers = [latency(costs, clock, way, how) for way in ways]
                rows.append([costs.label, _clock(costs, clock), how, *map(digits, numbers)])
    return rows


def latency_ways(records: Sequence[Costs]) -> list[str]:
    """Return the filter and every selector whose latency one of the records has, in order."""
    found = {way for costs in records for way in costs.content["latency"]["measured"]}
    order = ["filter", *SELECTOR_ORDER]
    return sorted(found, key=lambda way: (order.index(way) if way in order else len(order), way))


def latency(costs: Costs, clock: str, way: str, how: str) -> float:
    """Return milliseconds a sample, NaN where the record has none."""
    known = way in costs.content["latency"][clock]
    return costs.number(f"latency.{clock}.{way}.{how}_ms") if known else math.nan


def _memory_rows(records: Sequence[Costs]) -> list[list[str]]:
    header = ["model", "measured", "counted", "modelled", "paper"]
    measured = ["rs", "in sequence", "pipelined"]
    rows = [[*header, *(f"all of {way}, measured" for way in measured)]]
    for costs in records:
        extras = [costs.extra_mb(kind) for kind in ("measured", "counted", "modelled")]
        wholes = [
            costs.number(f"memory.measured.{way}.together_mb")
            for way in ("rs", "titan_sequential", "titan_pipelined")
        ]
        numbers = [*extras, costs.paper("fig6c.memory"), *wholes]
        rows.append([costs.label, *map(digits, numbers)])
    return rows


def _purpose_rows(records: Sequence[Costs]) -> list[list[str]]:
    rows = [["model", "where", "selection", *PURPOSES, "total"]]
    for costs in records:
        for kind, place in (("counted", "host"), ("modelled", str(costs.content["board"]))):
            for way, name in (("rs", "rs"), ("titan_pipelined", "titan")):
                numbers = [
                    costs.number(f"memory.{kind}.{way}.{part}_mb") for part in (*PURPOSES, "total")
                ]
                rows.append([costs.label, place, name, *map(digits, numbers)])
    return rows


def _power_rows(records: Sequence[Costs]) -> list[list[str]]:
    header = ["model", "board", "rs, W", "titan, W", "titan / rs", "paper"]
    rows = [[*header, "rs, J a round", "titan, J a round", "titan / rs"]]
    for costs in records:
        watts, joules = (
            [costs.number(f"power.modelled.{way}.{name}") for way in ("rs", "titan_pipelined")]
            for name in ("watts", "joules_per_round")
        )
        power = [*watts, costs.power_ratio(), costs.paper("fig6d.power")]
        energy = [*joules, costs.energy_ratio()]
        rows.append([costs.label, str(costs.content["board"]), *map(digits, [*power, *energy])])
    return rows


def _whole(percent: float) -> str:
    return NONE if math.isnan(percent) else f"{percent:.0f}"


def digits(value: float) -> str:
    """Write a number with three significant digits, never with an exponent; "none" for NaN."""
    if math.isnan(value):
        return NONE
    places = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"
