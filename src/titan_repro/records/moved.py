"""Classes and functions that have moved since older versions wrote their names to config.yaml."""

from typing import Any

MOVED = {
    "titan_repro.devices.idle": "titan_repro.boards.idle",
    "titan_repro.devices.idle_csv": "titan_repro.boards.idle_csv",
}
"""Modules, by their former names."""


def current(node: Any) -> Any:
    """Return a configuration, or a part of one, whose `_target_`s are where they are now."""
    if isinstance(node, list):
        return [current(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _address(value) if key == "_target_" else current(value) for key, value in node.items()
    }


def _address(target: Any) -> Any:
    module, _, name = str(target).rpartition(".")
    return f"{MOVED[module]}.{name}" if module in MOVED else target
