"""Groups of places: so that a forgotten listener is one finding, and not 441."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from validator.findings.finding import Finding

REMIX = "remix"
"""What stands in the place of a stem's name for a remix."""


class Place(NamedTuple):
    """One audio file of one example; a remix has no side and the stem `REMIX`."""

    listener: str
    song: str
    side: str
    stem: str


@dataclass(frozen=True, slots=True)
class Group:
    """Places that share some of listener, song, side and stem; what they do not share is empty.

    Attributes:
        listener, song, side, stem: What is common to all places of the group.
        count: How many places it has.
    """

    listener: str
    song: str
    side: str
    stem: str
    count: int

    @property
    def path(self) -> str:
        """The group as a path with stars, or as a folder."""
        listener, song = self.listener or "*", self.song or "*"
        if not self.side and not self.stem:
            if listener == song == "*":
                return ""
            return f"{listener}/" if song == "*" else f"{listener}/{song}/"
        if self.stem == REMIX:
            return f"{listener}/{song}/{listener}_{song}_remix.flac"
        return f"{listener}/{song}/{listener}_{song}_{self.side or '*'}_{self.stem or '*'}.flac"

    @property
    def where(self) -> str:
        """Song and listener in words, such as "song 'Shore', every listener"."""
        whose = f"listener {self.listener}" if self.listener else "every listener"
        return f"song '{self.song}', {whose}" if self.song else f"every song, {whose}"

    def holds(self, place: Place) -> bool:
        """Whether a place is one of the group's."""
        mine = (self.listener, self.song, self.side, self.stem)
        return all(not wanted or wanted == has for wanted, has in zip(mine, place, strict=True))

    def words(self, everything: str = "everything") -> str:
        """The group in words, such as "the left bass of song 'Shore', every listener"."""
        if self.stem == REMIX:
            what = "the remix"
        elif self.side and self.stem:
            what = f"the {self.side} {self.stem}"
        elif self.side:
            what = f"every {self.side} stem"
        else:
            what = f"the {self.stem}" if self.stem else everything
        return f"{what} of {self.where}"


# What is held fast, from the most general on: indices into a place.
_SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (1,), (3,), (2,), (2, 3), (0, 1), (0, 3), (1, 3), (0, 2), (1, 2),
    (0, 2, 3), (1, 2, 3), (0, 1, 3), (0, 1, 2), (0, 1, 2, 3),
)  # fmt: skip


def grouped(affected: Collection[Place], universe: Sequence[Place]) -> list[Group]:
    """Cover the affected places by as general groups as are wholly affected.

    Args:
        affected: Places, all of them in `universe`.
        universe: Every place that there is.

    Returns:
        Groups that together hold exactly the affected places; a single place is a group of one.
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
            key
            for key, count in of_left.items()
            if of_affected[key] == of_all[key] and (single or (count > 1 and of_all[key] > 1))
        ]
        for key in full:
            common = dict(zip(shape, key, strict=True))
            listener, song, side, stem = (common.get(index, "") for index in range(4))
            groups.append(Group(listener, song, side, stem, count=of_all[key]))
        chosen = set(full)
        left = {place: None for place in left if tuple(place[i] for i in shape) not in chosen}
    return groups


def _count(places: Iterable[Place], shape: tuple[int, ...]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(place[i] for i in shape) for place in places)


def path_of(place: Place) -> str:
    """The path of the file at a place."""
    return Group(*place, count=1).path


def said(code: str, groups: Iterable[Group], sentence: str, **details: str) -> list[Finding]:
    """One finding a group; `{what}` in the sentence is the group in words."""
    found = []
    for group in groups:
        count = f" ({group.count} files)" if group.count > 1 else ""
        message = sentence.format(what=group.words("every stem"))
        found.append(rule(code).at(group.path, message[0].upper() + message[1:] + count + ".", **details))
    return found
