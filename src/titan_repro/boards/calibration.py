"""`titan-report calibration`: a board's effective constants from half of the paper's numbers.

What a data sheet gives (peak rates, rails) is taken as it is. How much of it PyTorch achieves is
not known for a board that is not here, so eight constants are fitted to the paper's own numbers,
those of one half of its models; the other half says how far the result can be trusted.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from titan_repro.boards.board import read_board
from titan_repro.boards.cost_model import Board
from titan_repro.boards.paper import Claim, Setup, modelled_claims
from titan_repro.boards.work import Work

FIRST_HALF = ("alexnet", "squeezenet", "mlp")
SECOND_HALF = ("mobilenet", "resnet50", "resnet34")
"""Models are divided, not single numbers, since ll and hl of one model say the same. The first half
are the networks without BatchNorm: the check is on another kind of network, and on larger ones."""


@dataclass(frozen=True)
class Constant:
    """One calibrated entry of a profile's `modelled` part.

    low, high: what is possible. guess: a round number in the middle of what one would expect.
    """

    key: str
    low: float
    high: float
    guess: float


CONSTANTS = (
    Constant("processors.cpu.forward_efficiency", 0.01, 1.0, 0.1),
    Constant("processors.cpu.backward_efficiency", 0.01, 1.0, 0.1),
    Constant("processors.cpu.bandwidth_efficiency", 0.1, 1.0, 0.3),
    Constant("processors.cpu.launch_us", 1.0, 1000.0, 20.0),
    Constant("processors.gpu.forward_efficiency", 0.01, 1.0, 0.2),
    Constant("processors.gpu.bandwidth_efficiency", 0.1, 1.0, 0.3),
    Constant("processors.gpu.launch_us", 1.0, 1000.0, 60.0),
    Constant("idle_watts", 1.4, 2.2, 1.8),
)
SCORE_AT_ONCE = (1, 10, None)
"""Samples that a baseline may score in one forward pass: one, a training batch, a whole round."""

PULL = 0.05
"""Weight of log(constant / guess) beside log(model / paper): a factor of e away from the guess
counts as much as an error of 5 %. It decides only what the claims leave open."""

STARTS = 8
"""Starting points of the search: the guesses, then fixed draws from within the limits."""


@dataclass(frozen=True)
class Calibration:
    """A fitted profile.

    modelled: the profile's entries with the fitted constants, in four significant digits.
    numbers: the model's number for every claim, by id.
    costs: half the sum of squared residuals of each way of scoring that was tried.
    """

    modelled: Mapping[str, Any]
    numbers: Mapping[str, float]
    costs: Mapping[int | None, float]


def is_first_half(claim: Claim) -> bool | None:
    """Return which half a claim is in; None for neither."""
    kind, *rest = claim.id.split(".")
    if claim.id.startswith("fig6b.latency"):
        return rest[-1] == "low"
    timed = kind == "table1" and rest[-1] in ("ll", "hl")
    powered = claim.id.startswith("fig6d.power")
    if not (timed or powered):
        return None
    return rest[1] in FIRST_HALF


def calibrate(
    modelled: Mapping[str, Any],
    claims: Sequence[Claim],
    setups: Mapping[str, Setup],
    step_224: Work | None = None,
) -> Calibration:
    """Fit the constants to `claims`.

    modelled: of the board's profile; its calibrated entries are replaced, nothing else.
    step_224: as of `modelled_claims`. The same arguments give the same constants.
    """
    fits = {n: _fit(_with(modelled, {"score_at_once": n}), claims, setups) for n in SCORE_AT_ONCE}
    best = min(SCORE_AT_ONCE, key=lambda n: fits[n].cost)
    fitted = _with(modelled, {"score_at_once": best, **_rounded(fits[best].x)})
    numbers = modelled_claims(read_board(fitted), setups, step_224)
    return Calibration(fitted, numbers, {n: float(fit.cost) for n, fit in fits.items()})


def _fit(modelled: Mapping[str, Any], claims: Sequence[Claim], setups: Mapping[str, Setup]) -> Any:
    """Return the best of several bounded least-squares searches over logarithms of constants."""
    low, high, guess = (
        np.log([getattr(constant, name) for constant in CONSTANTS])
        for name in ("low", "high", "guess")
    )
    wanted = np.log([claim.value for claim in claims])

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        board = _board(modelled, np.exp(logarithms))
        numbers = modelled_claims(board, setups)
        found = np.log([numbers[claim.id] for claim in claims])
        return np.concatenate([found - wanted, PULL * (logarithms - guess)])

    draws = np.random.default_rng(0)
    starts = [guess, *(draws.uniform(low, high) for _ in range(STARTS - 1))]
    searches = [least_squares(residuals, start, bounds=(low, high)) for start in starts]
    return min(searches, key=lambda search: search.cost)


def _board(modelled: Mapping[str, Any], values: Iterable[float]) -> Board:
    return read_board(_with(modelled, dict(zip(_KEYS, map(float, values), strict=True))))


_KEYS = [constant.key for constant in CONSTANTS]


def _rounded(logarithms: np.ndarray) -> dict[str, float]:
    return {
        constant.key: min(max(float(f"{value:.4g}"), constant.low), constant.high)
        for constant, value in zip(CONSTANTS, np.exp(logarithms), strict=True)
    }


def _with(modelled: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with the values under their dotted keys replaced."""
    changed = copy.deepcopy(dict(modelled))
    for key, value in values.items():
        *parents, name = key.split(".")
        node = changed
        for parent in parents:
            node = node[parent]
        node[name] = value
    return changed


def entry(modelled: Mapping[str, Any], key: str) -> Any:
    """Return the value under a dotted key."""
    node: Any = modelled
    for name in key.split("."):
        node = node[name]
    return node
