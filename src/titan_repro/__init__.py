"""Reference reproduction of Titan (KDD '25) and a harness for data selection on streams."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from titan_repro.api import selector as selector

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `selector` when it is asked for: commands that print a version need no torch."""
    if name == "selector":
        from titan_repro.api import selector

        return selector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
