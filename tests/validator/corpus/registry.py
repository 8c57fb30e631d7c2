"""Registers the cases of a corpus, and the helpers with which they make submissions."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.validator import forge
from tests.validator.forge import Item, forged, items

Case = Callable[[Path], Path]
"""Writes a submission below a folder, and returns its path."""


class Corpus:
    """Cases by name, each with the codes that it must give and how many of each."""

    def __init__(self, *parts: Corpus) -> None:
        self.cases: dict[str, tuple[Case, Counter[str]]] = {}
        for part in parts:
            for name, (make, codes) in part.cases.items():
                self._add(name, make, codes)

    def _add(self, name: str, make: Case, codes: Counter[str]) -> None:
        assert name not in self.cases, name
        self.cases[name] = (make, codes)

    def case(self, *codes: str, **counts: int) -> Callable[[Case], Case]:
        """Register a case with its exact codes; `missing=3` (with `_` for `-`) gives their number."""
        expected = Counter(codes) + Counter({name.replace("_", "-"): n for name, n in counts.items()})

        def add(make: Case) -> Case:
            self._add(make.__name__, make, expected)
            return make

        return add

    def build(self, dest: Path) -> None:
        """Write every case to a folder of its own."""
        for name, (make, codes) in self.cases.items():
            (dest / name).mkdir(parents=True)
            listed = ", ".join(f"{code} x {count}" for code, count in sorted(codes.items()))
            print(f"{make(dest / name)}: {listed or 'no findings'}")

    def main(self) -> None:
        """Write the cases to the folder named on the command line."""
        self.build(Path(sys.argv[1]))


def saved(dest: Path, data: bytes, name: str = "submission_E001.zip") -> Path:
    path = dest / name
    path.write_bytes(data)
    return path


def zipped(dest: Path, files: dict[str, bytes]) -> Path:
    return saved(dest, forge.zip_bytes(files))


def correct_zip() -> bytes:
    """A correct submission."""
    return forge.zip_bytes(forge.stems())


def with_item(item: Item) -> bytes:
    """A correct submission with one additional member."""
    return forged([*items(), item])


def with_first(**fields) -> bytes:
    """A correct submission whose first member (a left drums stem) has other fields."""
    every = items()
    for name, value in fields.items():
        setattr(every[0], name, value)
    return forged(every)


def replaced(end: str, data: bytes) -> dict[str, bytes]:
    """A correct submission with other contents of the first file whose name ends with `end`."""
    return forge.stems() | {forge.first(end): data}


def changed(**contents: bytes | None) -> dict[str, bytes]:
    """A correct submission with files replaced, or removed by None, whose names end so (with `__` for `.`)."""
    files = forge.stems()
    for end, data in contents.items():
        path = next(one for one in files if one.endswith(end.replace("__", ".")))
        if data is None:
            del files[path]
        else:
            files[path] = data
    return files


def renamed(old: str, new: str) -> dict[str, bytes]:
    """A correct submission with `old` replaced by `new` in every name."""
    return {name.replace(old, new): data for name, data in forge.stems().items()}


def without(*parts: str) -> dict[str, bytes]:
    """A correct submission without the files whose names contain one of the parts."""
    return {name: data for name, data in forge.stems().items() if not any(part in name for part in parts)}


def one_renamed(change: Callable[[str], str], end: str = "left_drums.flac") -> dict[str, bytes]:
    """A correct submission with one file renamed."""
    old = forge.first(end)
    return {change(name) if name == old else name: data for name, data in forge.stems().items()}
