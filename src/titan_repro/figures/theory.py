"""The theory report: which of the paper's statements hold, and under which condition."""

from titan_repro.theory.statement import EXACT
from titan_repro.theory.table import check_all


def theory_words() -> str:
    """Check every statement and return a paragraph of each, for a terminal."""
    parts = []
    for row in check_all():
        lines = [f"{row.name}: {row.outcome}", f"  says: {row.says} ({row.source})"]
        lines.append(f"  check: {row.check}; largest relative difference {_words(row.difference)}")
        if row.condition:
            lines.append(f"  condition: {row.condition}")
        if row.counterexample:
            lines.append(f"  otherwise: {row.counterexample}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _words(difference: float) -> str:
    return f"{difference:.1e}" if difference else f"below {EXACT:.0e}"
