"""All statements that are checked, in the paper's order."""

from titan_repro.theory import decomposition, equation2, lemma1, lemma2, rep_div, theorem1, theorem2
from titan_repro.theory.statement import Statement

CHECKS = (theorem1, lemma1, theorem2, lemma2, equation2, decomposition, rep_div)


def check_all() -> list[Statement]:
    """Check every statement; a second or two."""
    return [row for module in CHECKS for row in module.check()]
