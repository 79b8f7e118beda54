"""Numbers of the paper that exclude one another, with their arithmetic (contradictions.csv)."""

import ast
import csv
import operator
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True)
class Contradiction:
    """Two numbers that should be one.

    printed, implied: arithmetic of numbers that the paper gives; what: whose, in that order.
    """

    id: str
    unit: str
    printed: str
    implied: str
    what: str

    @property
    def printed_value(self) -> float:
        """The number that the paper prints or draws."""
        return calculate(self.printed)

    @property
    def implied_value(self) -> float:
        """The number that follows from others of the paper's."""
        return calculate(self.implied)


def paper_contradictions(package: str = "titan_repro.boards") -> list[Contradiction]:
    """Read the contradictions.csv of a package; those about the device are in boards."""
    file = resources.files(package).joinpath("contradictions.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return [Contradiction(**row) for row in rows]


def calculate(arithmetic: str) -> float:
    """Return the value of numbers joined by + - * / and brackets; ValueError for anything else."""
    return _value(ast.parse(arithmetic, mode="eval").body, arithmetic)


def _value(node: ast.AST, arithmetic: str) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](_value(left, arithmetic), _value(right, arithmetic))
    raise ValueError(f"not arithmetic: {arithmetic}")
