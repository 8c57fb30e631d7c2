"""Modules of the validator import each other in one direction, for types too, and nothing of the harness."""

import ast
import graphlib
from pathlib import Path

import validator

ROOM = Path(validator.__file__).parent


def imported(path: Path) -> set[str]:
    """The modules that one names in its import statements, wherever they stand."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_circles():
    modules = {f"validator.{path.stem}": path for path in ROOM.glob("*.py") if path.stem != "__init__"}
    graph = {name: imported(path) & set(modules) for name, path in modules.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the circle
    assert (
        order.index("validator.findings.finding")
        < order.index("validator.findings.codes")
        < order.index("validator.report.report")
    )


def test_nothing_of_the_harness():
    used = {name: imported(name) for name in ROOM.glob("*.py")}
    assert not [path.name for path, names in used.items() if any(n.split(".")[0] == "harness" for n in names)]
