"""From the `modelled` part of a device profile (conf/device) to a `Board`."""

import math
from collections.abc import Mapping
from typing import Any

from titan_repro.boards.cost_model import Board, Processor
from titan_repro.errors import ConfigurationError

PROCESSOR_KEYS = (
    "peak_gflops",
    "forward_efficiency",
    "backward_efficiency",
    "peak_gb_per_s",
    "bandwidth_efficiency",
    "launch_us",
    "watts",
)
BOARD_KEYS = ("processors", "train", "select", "idle_watts", "filter_at_once", "score_at_once")


def read_board(modelled: Mapping[str, Any]) -> Board:
    """Return the board that a profile's `modelled` entries describe.

    Rates are peaks, as the data sheet gives them, times efficiencies, as calibration finds them.
    Raises ConfigurationError naming the key for anything missing, unknown or out of range.
    """
    _expect_keys("device.modelled", modelled, BOARD_KEYS)
    if not isinstance(modelled["processors"], Mapping):
        raise ConfigurationError("device.modelled.processors: allowed: processors by name")
    processors = {name: _processor(name, node) for name, node in modelled["processors"].items()}
    for role in ("train", "select"):
        if modelled[role] not in list(processors):
            raise ConfigurationError(
                f"device.modelled.{role}: found {modelled[role]!r}; allowed: "
                f"{', '.join(processors)}"
            )
    return Board(
        processors=processors,
        train=modelled["train"],
        select=modelled["select"],
        idle_watts=_number("idle_watts", modelled),
        filter_at_once=_at_once("filter_at_once", modelled, most=1),
        score_at_once=_at_once("score_at_once", modelled, most=None),
    )


def _processor(name: str, node: Mapping[str, Any]) -> Processor:
    key = f"processors.{name}"
    _expect_keys(f"device.modelled.{key}", node, PROCESSOR_KEYS)
    peak = 1e9 * _number("peak_gflops", node, key)
    return Processor(
        forward_rate=peak * _share("forward_efficiency", node, key),
        backward_rate=peak * _share("backward_efficiency", node, key),
        bandwidth=1e9
        * _number("peak_gb_per_s", node, key)
        * _share("bandwidth_efficiency", node, key),
        launch_seconds=1e-6 * _number("launch_us", node, key),
        watts=_number("watts", node, key),
    )


def _expect_keys(where: str, node: Any, keys: tuple[str, ...]) -> None:
    found = set(node) if isinstance(node, Mapping) else set()
    if found != set(keys):
        wrong = ", ".join(sorted(found ^ set(keys)))
        raise ConfigurationError(
            f"{where}: missing or unknown: {wrong}; allowed, all needed: {', '.join(keys)}"
        )


def _number(name: str, node: Mapping[str, Any], parent: str = "") -> float:
    value = node[name]
    if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
        raise _refused(name, parent, value, "finite numbers above 0")
    return float(value)


def _share(name: str, node: Mapping[str, Any], parent: str) -> float:
    value = _number(name, node, parent)
    if value > 1:
        raise _refused(name, parent, value, "numbers above 0, at most 1, a share of the peak")
    return value


def _at_once(name: str, node: Mapping[str, Any], most: int | None) -> int | None:
    value = node[name]
    if value is None or (type(value) is int and 1 <= value <= (most or value)):
        return value
    allowed = "1, or null" if most == 1 else "whole numbers of at least 1, or null"
    raise _refused(name, "", value, f"{allowed} for all at once")


def _refused(name: str, parent: str, value: Any, allowed: str) -> ConfigurationError:
    key = ".".join(part for part in ("device.modelled", parent, name) if part)
    return ConfigurationError(f"{key}: found {value!r}; allowed: {allowed}")
