"""`titan-report calibration`: a board's effective constants from the paper's figures.

What a data sheet gives (peak rates) is taken as it is. How much of it the paper's software achieves
is fitted to the paper's own seconds and watts; other numbers, never fitted, say how far the result
can be trusted, and so does leaving one model out of the fit.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from titan_repro.boards.board import read_board
from titan_repro.boards.cost_model import Board
from titan_repro.boards.paper import IMAGE_MODELS, PublishedNumber
from titan_repro.boards.paper_model import Setup, fitted_numbers


@dataclass(frozen=True)
class Constant:
    """One calibrated number of a profile's `modelled` part.

    keys: the entries that it stands in. low, high: what is possible. guess: a round number in the
    middle of what one would expect.
    """

    keys: tuple[str, ...]
    low: float
    high: float
    guess: float


def _rates(processor: str, *ways: str) -> tuple[str, ...]:
    """Return the keys of the rates of all kinds of layer, which the figures cannot tell apart."""
    kinds = ("dense", "depthwise", "linear")
    return tuple(
        f"processors.{processor}.{way}_efficiency.{kind}" for way in ways for kind in kinds
    )


CONSTANTS = (
    Constant(_rates("cpu", "forward"), 0.01, 1.0, 0.4),
    Constant(_rates("cpu", "backward"), 0.01, 1.0, 0.3),
    Constant(("processors.cpu.bandwidth_efficiency.linear",), 0.02, 1.0, 0.2),
    Constant(("processors.cpu.bandwidth_efficiency.other",), 0.02, 1.0, 0.2),
    Constant(("processors.cpu.launch_us",), 1.0, 1000.0, 20.0),
    Constant(("processors.cpu.channel_us.forward",), 1.0, 1000.0, 100.0),
    Constant(("processors.cpu.channel_us.backward",), 1.0, 1000.0, 200.0),
    Constant(("processors.cpu.watts",), 0.5, 3.1, 2.0),
    # The figures alone would take any share up to 1 with launches of 0.3 ms: the limit was set with
    # the independent latencies of this GPU in view.
    Constant(_rates("gpu", "forward", "backward"), 0.05, 0.3, 0.2),
    Constant(("processors.gpu.bandwidth_efficiency.linear",), 0.02, 1.0, 0.4),
    Constant(("processors.gpu.bandwidth_efficiency.other",), 0.02, 1.0, 0.3),
    Constant(("processors.gpu.launch_us",), 1.0, 1000.0, 60.0),
    Constant(("processors.gpu.watts",), 0.1, 3.1, 1.0),
    Constant(("awake_watts",), 0.05, 2.0, 0.5),
    Constant(("joules_per_gb",), 0.01, 2.0, 0.5),
    Constant(("handover.gb_per_s",), 0.05, 10.0, 0.3),
    Constant(("handover.tensor_ms",), 0.1, 100.0, 5.0),
)

PULL = 0.05
"""Weight of log(constant / guess) beside log(model / paper): a factor of e away from the guess
counts as much as an error of 5 %. It decides only what the figures leave open."""

TOLERANCE = 0.1
"""Errors well above this count by their size and not its square (SciPy's soft_l1): where two of the
paper's numbers exclude each other, the fit keeps to the one that the others agree with."""

STARTS = 4
"""Starting points of the search: the guesses, then fixed draws from within the limits."""


@dataclass(frozen=True)
class Calibration:
    """A fitted profile.

    modelled: the profile's entries with the fitted constants, in four significant digits.
    values: of CONSTANTS, in their order.
    """

    modelled: Mapping[str, Any]
    values: tuple[float, ...]

    @property
    def board(self) -> Board:
        """The board that the profile describes."""
        return read_board(self.modelled)


def calibrate(
    modelled: Mapping[str, Any], figures: Sequence[PublishedNumber], setups: Mapping[str, Setup]
) -> Calibration:
    """Fit the constants to `figures`, all of which `fitted_numbers` must have a number for.

    modelled: of the board's profile; its calibrated entries are replaced, nothing else.
    The same figures and setups give the same constants, wherever the profile stood before.
    """
    low, high, guess = (
        np.log([getattr(constant, name) for constant in CONSTANTS])
        for name in ("low", "high", "guess")
    )
    wanted = np.log([figure.value for figure in figures])

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        numbers = fitted_numbers(read_board(_with(modelled, np.exp(logarithms))), setups)
        found = np.log([numbers[figure.id] for figure in figures])
        return np.concatenate([found - wanted, PULL * (logarithms - guess)])

    draws = np.random.default_rng(0)
    starts = [guess, *(draws.uniform(low, high) for _ in range(STARTS - 1))]
    searches = [
        least_squares(residuals, start, bounds=(low, high), loss="soft_l1", f_scale=TOLERANCE)
        for start in starts
    ]
    best = min(searches, key=lambda search: search.cost)
    values = tuple(
        min(max(float(f"{value:.4g}"), constant.low), constant.high)
        for constant, value in zip(CONSTANTS, np.exp(best.x), strict=True)
    )
    return Calibration(_with(modelled, values), values)


def left_out(
    modelled: Mapping[str, Any], figures: Sequence[PublishedNumber], setups: Mapping[str, Setup]
) -> dict[str, float]:
    """Return the model's number for every figure, fitted on those of the other models alone."""
    numbers: dict[str, float] = {}
    for model in IMAGE_MODELS:
        others = [figure for figure in figures if figure.model != model]
        found = fitted_numbers(calibrate(modelled, others, setups).board, setups)
        numbers |= {f.id: found[f.id] for f in figures if f.model == model}
    return numbers


def _with(modelled: Mapping[str, Any], values: Iterable[float]) -> dict[str, Any]:
    """Return a copy with the values of CONSTANTS at their keys."""
    changed = copy.deepcopy(dict(modelled))
    for constant, value in zip(CONSTANTS, values, strict=True):
        for key in constant.keys:
            *parents, name = key.split(".")
            node = changed
            for parent in parents:
                node = node[parent]
            node[name] = float(value)
    return changed
