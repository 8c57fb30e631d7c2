"""Imports between rooms run downwards only.

A room is a folder of `harness`, `validator` or `bench`; a file at the top of `harness` would be a room of its own.
An arrow goes from a room to another room that one of its modules imports: at its top, inside a function, or for
types only.

`python tests/test_arrows.py [ROOT]` prints rooms, floors and arrows of this tree, or of the tree at ROOT.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"validator", "harness.haaqi", "harness.protocol"}),
    frozenset({"harness.ledger", "harness.enhance", "harness.decoder", "harness.evaluator"}),
    frozenset({"harness.ranking", "harness.sandbox"}),
    frozenset({"harness.machine", "harness.provenance", "harness.score"}),
    frozenset({"harness.baselines"}),
    frozenset({"harness.cli", "bench"}),
)
"""Every room, the lowest floor first. A room imports only from the floors below its own."""

SAME_FLOOR = frozenset({("harness.machine", "harness.score")})
"""Arrows that are allowed between two rooms of one floor."""

MOST_ROOMS, MOST_FLOORS, MOST_ARROWS = 15, 6, 45

Graph = Mapping[str, frozenset[str]]


def module_name(path: Path, root: Path) -> str:
    """The dotted name of a source file of the tree at `root`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """`harness.score.run` is in `harness.score`, `validator.checks.pool` in `validator`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "harness" else parts[0]


def imported(tree: ast.AST, modules: Mapping[str, Path], *, package: str) -> Iterator[str]:
    """The modules among `modules` that a source file of `package` imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*parents, *filter(None, [node.module])])
            members = [f"{source}.{alias.name}" for alias in node.names]
            names = [name if name in modules else source for name in members]
        else:
            continue
        yield from (name for name in names if name in modules)


def module_graph(root: Path) -> dict[str, frozenset[str]]:
    """The modules of the tree at `root`, and what each imports of the others."""
    files = [path for top in ("harness", "validator", "bench") for path in (root / top).rglob("*.py")]
    modules = {module_name(path, root): path for path in files}
    graph = {}
    for name, path in sorted(modules.items()):
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = frozenset(imported(ast.parse(path.read_bytes()), modules, package=package)) - {name}
    return graph


def room_graph(modules: Graph) -> dict[str, frozenset[str]]:
    """The rooms, and the other rooms that each imports. The package `harness` itself is not a room."""
    rooms: dict[str, set[str]] = {}
    for module, targets in modules.items():
        if (room := room_of(module)) != "harness":
            rooms.setdefault(room, set()).update(map(room_of, targets))
    return {room: frozenset(targets - {room, "harness"}) for room, targets in sorted(rooms.items())}


def longest_chain(rooms: Graph) -> list[str]:
    """The most rooms of which each imports the next. Its length is the number of floors.

    Raises:
        graphlib.CycleError: If rooms import each other in a circle.
    """
    chains: dict[str, list[str]] = {}
    for room in graphlib.TopologicalSorter(rooms).static_order():
        below = max((chains[target] for target in sorted(rooms[room])), key=len, default=[])
        chains[room] = [room, *below]
    return max(chains.values(), key=len)


def arrows_of(rooms: Graph) -> list[tuple[str, str]]:
    """Every arrow as (importing room, imported room), sorted."""
    return sorted((room, target) for room, targets in rooms.items() for target in targets)


MODULES = module_graph(ROOT)
ROOMS = room_graph(MODULES)
ARROWS = arrows_of(ROOMS)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def test_every_room_is_in_the_table():
    assert set(ROOMS) == set(FLOOR_OF)


def test_arrows_point_downwards():
    upwards = [
        f"{room} -> {target}"
        for room, target in ARROWS
        if FLOOR_OF[room] <= FLOOR_OF[target] and (room, target) not in SAME_FLOOR
    ]
    assert not upwards


def test_the_arrows_within_a_floor_exist():
    assert set(ARROWS) >= SAME_FLOOR


def test_number_of_rooms():
    assert len(ROOMS) <= MOST_ROOMS


def test_number_of_floors():
    chain = longest_chain(ROOMS)
    assert len(chain) <= MOST_FLOORS, " -> ".join(chain)


def test_number_of_arrows():
    assert len(ARROWS) <= MOST_ARROWS, ARROWS


def test_no_loose_modules():
    assert [path.name for path in (ROOT / "harness").glob("*.py")] == ["__init__.py"]


def test_the_lowest_rooms_import_no_other_room():
    assert {room: ROOMS[room] for room in FLOORS[0]} == dict.fromkeys(FLOORS[0], frozenset())


def test_nothing_imports_the_command():
    assert not [room for room, target in ARROWS if target in {"harness.cli", "bench"}]


def test_only_score_ranking_and_provenance_open_the_ledger():
    assert {room for room, target in ARROWS if target == "harness.ledger"} == {
        "harness.provenance",
        "harness.ranking",
        "harness.score",
    }


def test_modules_have_no_import_circles():
    graphlib.TopologicalSorter(MODULES).prepare()  # CycleError names the circle


def test_folders_of_haaqi_and_validator_have_no_import_circles():
    for room in ("harness.haaqi", "validator"):
        folders: dict[str, set[str]] = {}
        for module in MODULES:
            folder = folder_in(module, room)
            if folder is not None:
                targets = {folder_in(target, room) for target in MODULES[module]}
                folders.setdefault(folder, set()).update(target for target in targets - {folder} if target)
        assert len(folders) > 1
        graphlib.TopologicalSorter(folders).prepare()


def folder_in(module: str, room: str) -> str | None:
    """The folder of a module inside a room; None for modules outside folders or outside the room."""
    path = ROOT.joinpath(*module.split("."))
    folder = path if path.is_dir() else path.parent
    name = ".".join(folder.relative_to(ROOT).parts)
    return name if name.startswith(f"{room}.") else None


def test_imports_are_found_wherever_they_are():
    modules = {
        name: Path() for name in ("harness.score", "harness.score.run", "validator", "harness.cli.app")
    }
    tree = ast.parse(
        "import validator\n"
        "import json\n"
        "from . import run\n"
        "def f():\n"
        "    from harness.score import score\n"
        "if TYPE_CHECKING:\n"
        "    from harness.cli.app import main\n"
    )
    assert sorted(imported(tree, modules, package="harness.score")) == sorted(modules)


def test_the_longest_chain_is_counted():
    rooms = {
        "a": frozenset("bc"),
        "b": frozenset("c"),
        "c": frozenset("d"),
        "d": frozenset(),
        "e": frozenset("d"),
    }
    assert longest_chain(rooms) == ["a", "b", "c", "d"]
    assert len(arrows_of(rooms)) == 5


def main(root: Path) -> None:
    """Prints what this file tests."""
    modules = module_graph(root)
    rooms = room_graph(modules)
    for room, targets in rooms.items():
        print(f"{room:20} -> {', '.join(sorted(targets)) or '(no other room)'}")
    print(f"\n{len(modules)} modules, {len(rooms)} rooms, {len(arrows_of(rooms))} arrows")
    try:
        chain = longest_chain(rooms)
    except graphlib.CycleError as error:
        print("Circle:", " -> ".join(error.args[1]))
    else:
        print(f"{len(chain)} floors:", " -> ".join(chain))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
