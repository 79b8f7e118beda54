"""From the `modelled` part of a device profile (conf/device) to a `Board`."""

import math
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any

from titan_repro.boards.cost_model import Board, Handover, Processor
from titan_repro.boards.layers import ARITHMETIC, Kind
from titan_repro.boards.round_work import StandIns
from titan_repro.errors import ConfigurationError

PROCESSOR_KEYS = (
    "peak_gflops",
    "peak_gb_per_s",
    "forward_efficiency",
    "backward_efficiency",
    "bandwidth_efficiency",
    "launch_us",
    "channel_us",
    "watts",
)
BOARD_KEYS = (
    "processors",
    "train",
    "select",
    "idle_watts",
    "awake_watts",
    "joules_per_gb",
    "handover",
    "filter_at_once",
    "score_at_once",
    "input_size",
    "networks",
)
ROOT = "device.modelled"


def read_board(modelled: Mapping[str, Any]) -> Board:
    """Return the board that a profile's `modelled` entries describe.

    Rates are peaks, as the data sheet gives them, times efficiencies, as calibration finds them.
    Raises ConfigurationError naming the key for anything missing, unknown or out of range.
    """
    _refuse_older_profiles(modelled)
    _expect_keys("", modelled, BOARD_KEYS)
    if not isinstance(modelled["processors"], Mapping):
        raise ConfigurationError(f"{ROOT}.processors: allowed: processors by name")
    processors = {name: _processor(name, node) for name, node in modelled["processors"].items()}
    for role in ("train", "select"):
        if modelled[role] not in list(processors):
            raise _refused(role, "", modelled[role], ", ".join(processors))
    return Board(
        processors=processors,
        train=modelled["train"],
        select=modelled["select"],
        idle_watts=_number("idle_watts", modelled),
        awake_watts=_number("awake_watts", modelled, zero=True),
        byte_joules=1e-9 * _number("joules_per_gb", modelled, zero=True),
        handover=_handover(modelled),
        filter_at_once=_at_once("filter_at_once", modelled, most=1),
        score_at_once=_at_once("score_at_once", modelled, most=None),
        stand_ins=_stand_ins(modelled),
    )


def _refuse_older_profiles(modelled: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for the profiles of the cost model before this one."""
    processors = modelled.get("processors") if isinstance(modelled, Mapping) else None
    nodes = processors.items() if isinstance(processors, Mapping) else ()
    for name, node in nodes:
        rate = node.get("forward_efficiency") if isinstance(node, Mapping) else None
        if isinstance(rate, float) and "channel_us" not in node:
            raise ConfigurationError(
                f"{ROOT}.processors.{name}.forward_efficiency: found {rate}, one rate for all "
                "layers, as older profiles have it; allowed: a rate for each of "
                f"{', '.join(ARITHMETIC)} (docs/devices.md)"
            )


def _processor(name: str, node: Mapping[str, Any]) -> Processor:
    key = f"processors.{name}"
    _expect_keys(key, node, PROCESSOR_KEYS)
    peak = 1e9 * _number("peak_gflops", node, key)
    peak_bandwidth = 1e9 * _number("peak_gb_per_s", node, key)
    bandwidth = (node["bandwidth_efficiency"], f"{key}.bandwidth_efficiency")
    _expect_keys(bandwidth[1], bandwidth[0], ("linear", "other"))
    _expect_keys(f"{key}.channel_us", node["channel_us"], ("forward", "backward"))
    channel = [
        1e-6 * _number(way, node["channel_us"], f"{key}.channel_us", zero=True)
        for way in ("forward", "backward")
    ]
    return Processor(
        forward_rates=_rates("forward_efficiency", node, key, peak),
        backward_rates=_rates("backward_efficiency", node, key, peak),
        bandwidth=peak_bandwidth * _share("other", *bandwidth),
        linear_bandwidth=peak_bandwidth * _share("linear", *bandwidth),
        launch_seconds=1e-6 * _number("launch_us", node, key),
        channel_seconds=channel[0],
        channel_backward_seconds=channel[1],
        watts=_number("watts", node, key),
    )


def _rates(name: str, node: Mapping[str, Any], parent: str, peak: float) -> dict[Kind, float]:
    key = f"{parent}.{name}"
    _expect_keys(key, node[name], tuple(ARITHMETIC))
    return {kind: peak * _share(str(kind), node[name], key) for kind in ARITHMETIC}


def _handover(modelled: Mapping[str, Any]) -> Handover | None:
    node, apart = modelled["handover"], modelled["train"] != modelled["select"]
    if node is None and not apart:
        return None
    if node is None or not apart:
        allowed = "gb_per_s and tensor_ms" if apart else "null, as one processor does both"
        raise _refused("handover", "", node, allowed)
    _expect_keys("handover", node, ("gb_per_s", "tensor_ms"))
    return Handover(
        bytes_per_second=1e9 * _number("gb_per_s", node, "handover"),
        tensor_seconds=1e-3 * _number("tensor_ms", node, "handover", zero=True),
    )


def _stand_ins(modelled: Mapping[str, Any]) -> StandIns | None:
    size, networks = modelled["input_size"], modelled["networks"]
    if size is None and networks is None:
        return None
    if type(size) is not int or not 32 <= size <= 1024:
        allowed = "whole numbers from 32 to 1024 with networks, or null without"
        raise _refused("input_size", "", size, allowed)
    if not isinstance(networks, Mapping):
        raise _refused("networks", "", networks, "networks by model, or null with input_size=null")
    return StandIns(size, {name: _network(name, node) for name, node in networks.items()})


def _network(name: str, node: Any) -> Callable[..., Any]:
    _expect_keys(f"networks.{name}", node, ("_target_",))
    try:
        build = resolve_name(node["_target_"])
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{ROOT}.networks.{name}._target_: {error}") from None
    if not callable(build):
        raise _refused("_target_", f"networks.{name}", node["_target_"], "a function")
    return build  # type: ignore[no-any-return]


def _expect_keys(parent: str, node: Any, keys: tuple[str, ...]) -> None:
    found = set(node) if isinstance(node, Mapping) else set()
    if found != set(keys):
        where = f"{ROOT}.{parent}" if parent else ROOT
        wrong = ", ".join(sorted(found ^ set(keys)))
        raise ConfigurationError(
            f"{where}: missing or unknown: {wrong}; allowed, all needed: {', '.join(keys)}"
        )


def _number(name: str, node: Mapping[str, Any], parent: str = "", *, zero: bool = False) -> float:
    value = node[name]
    known = type(value) in (int, float) and math.isfinite(value)
    if not known or value < 0 or (value == 0 and not zero):
        raise _refused(
            name, parent, value, f"finite numbers {'of at least' if zero else 'above'} 0"
        )
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
    key = ".".join(part for part in (ROOT, parent, name) if part)
    return ConfigurationError(f"{key}: found {value!r}; allowed: {allowed}")
