"""The validator's modules and packages import in one direction, for types too, and nothing of the harness."""

import ast
import graphlib
from pathlib import Path

import pytest

import validator

ROOT = Path(validator.__file__).parent
LAYERS = ("findings", "archive formats", "challenge", "checks report", "validation")
"""From the bottom up; packages of one layer do not import each other."""


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """The modules that a file names in its import statements, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


MODULES = modules()
IMPORTS = {
    name: imported(path) & set(MODULES) - {"validator"}
    for name, path in MODULES.items()
    if name != "validator"  # its lazy names point to every package
}


def package(module: str) -> str:
    return module.split(".")[1]


def test_modules_are_found():
    assert {"validator.findings.codes", "validator.checks.pool", "validator.validation"} <= set(IMPORTS)
    assert "validator.findings.codes" in IMPORTS["validator.checks.pool"]


def test_no_circular_imports_of_modules():
    list(graphlib.TopologicalSorter(IMPORTS).static_order())  # CycleError names the circle


def test_no_circular_imports_of_packages():
    graph: dict[str, set[str]] = {}
    for name, names in IMPORTS.items():
        graph.setdefault(package(name), set()).update({package(one) for one in names} - {package(name)})
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", IMPORTS)
def test_packages_import_lower_layers_only(module):
    layer = {name: height for height, names in enumerate(LAYERS) for name in names.split()}
    own = package(module)
    for name in IMPORTS[module]:
        other = package(name)
        assert other == own or layer[other] < layer[own], f"{module} imports {name}"


def test_nothing_of_the_harness():
    using = [
        name for name, path in MODULES.items() if any(n.split(".")[0] == "harness" for n in imported(path))
    ]
    assert using == []


def test_modules_have_at_most_400_lines():
    tests = Path(__file__).parent
    files = [*MODULES.values(), *tests.rglob("*.py")]
    assert [str(path) for path in files if len(path.read_text("utf-8").splitlines()) > 400] == []
