"""Groups of audio files, so that a forgotten listener is one finding instead of 441."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from validator.challenge.rules import CAD1
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from validator.challenge.manifest import ExpectedFile
    from validator.findings.finding import Finding

REMIX = "remix"
"""The stem of a `FileKey` of a remix."""


class FileKey(NamedTuple):
    """Identifies one audio file; a remix has no side and the stem `REMIX`."""

    listener: str
    song: str
    side: str
    stem: str


def key_of(file: ExpectedFile) -> FileKey:
    """The key of an expected audio file."""
    return FileKey(file.listener, file.song, file.side, file.stem or REMIX)


@dataclass(frozen=True, slots=True)
class Group:
    """Files that share some of listener, song, side and stem; what they do not share is empty.

    Attributes:
        listener, song, side, stem: What all files of the group have in common.
        count: Number of files.
    """

    listener: str
    song: str
    side: str
    stem: str
    count: int

    @property
    def path(self) -> str:
        """The group as a path with `*`, or as a folder."""
        listener, song = self.listener or "*", self.song or "*"
        if not self.side and not self.stem:
            if listener == song == "*":
                return ""
            return f"{listener}/" if song == "*" else f"{CAD1.folder(listener, song)}/"
        if self.stem == REMIX:
            return CAD1.remix_name(listener, song)
        return CAD1.stem_name(listener, song, self.side or "*", self.stem or "*")

    @property
    def examples(self) -> str:
        """Song and listener as a phrase, such as "song 'Shore' for all listeners"."""
        song = f"song '{self.song}'" if self.song else "all songs"
        return f"{song} for {f'listener {self.listener}' if self.listener else 'all listeners'}"

    def subject(self, noun: str = "stem") -> str:
        """The group as the subject of a sentence, such as "All 4 'bass' stems (left) of song 'Shore'".

        Args:
            noun: Singular noun for files that share neither side nor stem.
        """
        if self.stem == REMIX:
            noun, side = REMIX, ""
        elif self.stem:
            noun, side = f"'{self.stem}' stem", f" ({self.side})" if self.side else ""
        else:
            noun, side = f"{self.side} stem" if self.side else noun, ""
        files = f"The {noun}{side}" if self.count == 1 else f"All {self.count:,} {_plural(noun)}{side}"
        song = f" of song '{self.song}'" if self.song else ""
        return files + song + (f" for listener {self.listener}" if self.listener else "")

    def __contains__(self, key: FileKey) -> bool:
        shared = (self.listener, self.song, self.side, self.stem)
        return all(not wanted or wanted == has for wanted, has in zip(shared, key, strict=True))


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("x") else "s")


# What the files of a group share, from the most general groups on: indices into a key.
_SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (1,), (3,), (2,), (2, 3), (0, 1), (0, 3), (1, 3), (0, 2), (1, 2),
    (0, 2, 3), (1, 2, 3), (0, 1, 3), (0, 1, 2), (0, 1, 2, 3),
)  # fmt: skip


def grouped(affected: Collection[FileKey], universe: Sequence[FileKey]) -> list[Group]:
    """Cover the affected files by groups, as general as possible, of which every file is affected.

    Args:
        affected: Some files of the universe.
        universe: All files.

    Returns:
        Groups that together contain exactly the affected files; a group of one for a single file.
    """
    if not affected:
        return []
    left = dict.fromkeys(affected)
    groups: list[Group] = []
    for shape in _SHAPES:
        if not left:
            break
        of_all = _count(universe, shape)
        of_affected = _count(affected, shape)
        of_left = _count(left, shape)
        single = len(shape) == 4
        full = [
            shared
            for shared, count in of_left.items()
            if of_affected[shared] == of_all[shared] and (single or (count > 1 and of_all[shared] > 1))
        ]
        for shared in full:
            common = dict(zip(shape, shared, strict=True))
            listener, song, side, stem = (common.get(index, "") for index in range(4))
            groups.append(Group(listener, song, side, stem, count=of_all[shared]))
        chosen = set(full)
        left = {key: None for key in left if tuple(key[i] for i in shape) not in chosen}
    return groups


def _count(keys: Iterable[FileKey], shape: tuple[int, ...]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(key[i] for i in shape) for key in keys)


def path_of(key: FileKey) -> str:
    """The path of an audio file."""
    return Group(*key, count=1).path


def group_findings(
    code: str, groups: Iterable[Group], *, one: str, many: str, expected: str = "", found: str = ""
) -> list[Finding]:
    """One finding for each group.

    Args:
        code: Code of the findings.
        groups: Groups of stems or remixes.
        one: The rest of the sentence after one file, such as "is silent".
        many: The rest of the sentence after several files, such as "are silent".
        expected: As in `Finding`.
        found: As in `Finding`.
    """
    return [
        new_finding(
            code,
            group.path,
            f"{group.subject()} {one if group.count == 1 else many}.",
            expected=expected,
            found=found,
        )
        for group in groups
    ]
