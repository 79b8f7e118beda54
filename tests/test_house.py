"""The house as drawn: which room imports which, no circle of modules, one meaning a name.

A room is a folder or a module directly in src/titan_repro. Imports are read from the source.
Those inside functions count: they are there so that a command starts quickly, never to hide a
circle. Those under TYPE_CHECKING do not count. Modules that are found by name (figures, the
classes that conf/ names) cannot be seen here.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import titan_repro

ROOT = Path(titan_repro.__file__).parent
PACKAGE = ROOT.name

# A room imports rooms of lower lines, never of its own line or of a higher one.
ORDER = [
    ["cli"],  # parses, calls, prints: nothing needs a command
    # Measures runs side by side; draws runs; measures states: none changes what a run does.
    ["costs", "figures", "flower", "variance"],
    ["claims"],  # what became of each of the paper's claims: numbers, no ink
    ["analysis", "runs"],  # reads run folders; makes them: what they share is in records
    ["federated"],  # a round of many devices, each of which runs the pipeline's
    ["api", "boards", "config", "pipeline"],  # what uses a selector; none of it needs configuration
    ["adaptive_config", "keys", "selection"],  # a selector knows samples, not what runs or asks it
    ["binding", "streams", "training"],  # a task in rounds, and steps on it; keys to parameters
    # One subject each: what a run is made of, and what is said of it.
    ["conf_path", "contracts", "devices", "failures", "models", "records", "tasks"],
    ["choices", "compat", "errors", "files", "paper", "seeds", "theory"],  # import no other room
]

SHARED = {
    "main": "the entry of a command or of a process",
    "check": "every statement in theory/ has one; theory.table calls them all",
    **dict.fromkeys(
        ("draw", "load", "panels", "tables", "Data"),
        "figures/figure.py asks every figure for it; sampling.draw and checkpoint.load are verbs",
    ),
    "Point": "what a figure draws at one value of its sweep, for that figure alone",
    **dict.fromkeys(
        ("alexnet", "mobilenet", "resnet34", "resnet50", "squeezenet"),
        "boards/networks.py has the published network that stands for the one in models/",
    ),
}
"""Public classes and functions that several modules define, and why they may."""


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): ast.parse(file.read_text("utf-8")) for file in ROOT.rglob("*.py")}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of the package that run when this one or its functions do."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for other in node.orelse:
                    yield from imported(ast.Module([other], []))
            case ast.Import():
                yield from (alias.name for alias in node.names if alias.name in MODULES)
            case ast.ImportFrom():
                assert node.level == 0, f"line {node.lineno}: relative import"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found = whole if whole in MODULES else str(node.module)
                    if found in MODULES:
                        yield found
            case _:
                yield from imported(node)


IMPORTS = {name: set(imported(tree)) - {name} for name, tree in MODULES.items()}


def room(module: str) -> str:
    """Name the room of a module; of the package itself, which all may import: ""."""
    return "".join(module.split(".")[1:2])


def test_every_room_has_its_place_in_the_order():
    listed = [name for line in ORDER for name in line]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {room(module) for module in MODULES} - {""}


def test_imports_point_down_the_order():
    place = {name: number for number, line in enumerate(ORDER) for name in line}
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if room(module) and room(other) and room(module) != room(other)
        if place[room(other)] <= place[room(module)]
    ]
    assert not wrong


def test_the_order_has_no_line_too_many():
    """Each line imports something of the next; two that do not would be one."""
    arrows = {(room(module), room(other)) for module, others in IMPORTS.items() for other in others}
    for upper, lower in pairwise(ORDER):
        assert arrows & {(one, other) for one in upper for other in lower}, (upper, lower)


def test_no_module_imports_itself_by_way_of_others():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        raise AssertionError(" > ".join(error.args[1])) from None


def test_a_public_name_is_defined_once():
    places = defaultdict(set)
    for module, tree in MODULES.items():
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(module)
    several = {name: sorted(modules) for name, modules in places.items() if len(modules) > 1}
    assert {name: at for name, at in several.items() if name not in SHARED} == {}
    assert SHARED.keys() <= several.keys()  # no reason is left over


def test_imports_are_seen_wherever_they_stand():
    """The reader of imports itself: in functions, in both forms, but not for types alone."""
    source = """
from typing import TYPE_CHECKING
import titan_repro.files
if TYPE_CHECKING:
    from titan_repro.training import Schedule
else:
    from titan_repro.errors import UserError
def late():
    from titan_repro import seeds
"""
    expected = {"titan_repro.files", "titan_repro.errors", "titan_repro.seeds"}
    assert set(imported(ast.parse(source))) == expected
