"""The songs and listeners of one split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from validator.challenge.loading import load_data_root, load_roster
from validator.challenge.rules import CAD1, Split

if TYPE_CHECKING:
    from collections.abc import Iterable

    from validator.challenge.listeners import Listener
    from validator.challenge.songs import Song


@dataclass(frozen=True)
class Challenge:
    """The songs and listeners of one split.

    Attributes:
        split: "valid" or "test".
        root: The data root; None for the official roster.
        songs: In the order of the metadata.
        listeners: In the order of the metadata.
    """

    split: Split
    root: Path | None
    songs: tuple[Song, ...]
    listeners: tuple[Listener, ...]

    @classmethod
    def load(cls, root: Path | str | None, *, split: Split, stems: bool = True) -> Challenge:
        """Read a split, and check that everything it needs is there.

        Args:
            root: A data root as the challenge's packages unpack, or None for the official roster, which has no
                audio and no audiograms.
            split: "valid" or "test".
            stems: Whether each song needs its four stems besides the mixture. They are needed to validate and
                score a submission, but not to make one.

        Raises:
            ChallengeError: a file is missing or invalid.
            ValueError: there is no such split.
        """
        if split not in CAD1.splits:
            raise ValueError(f"split is {split!r}; it must be one of {', '.join(CAD1.splits)}")
        if root is None:
            return cls(split, None, *load_roster(split))
        return cls(split, Path(root), *load_data_root(Path(root), split, stems=stems))

    @cached_property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Every (song name, listener id), song by song."""
        return tuple((song.name, listener.id) for song in self.songs for listener in self.listeners)

    @cached_property
    def _songs_by_name(self) -> dict[str, Song]:
        return {song.name: song for song in self.songs}

    @cached_property
    def _listeners_by_id(self) -> dict[str, Listener]:
        return {listener.id: listener for listener in self.listeners}

    def song(self, name: str) -> Song:
        """The song of that name (KeyError if there is none)."""
        return self._songs_by_name[name]

    def listener(self, listener_id: str) -> Listener:
        """The listener of that id (KeyError if there is none)."""
        return self._listeners_by_id[listener_id]

    def select(
        self, *, songs: Iterable[str] | None = None, listeners: Iterable[str] | None = None
    ) -> Challenge:
        """The same challenge with only some songs and listeners, in the order of the metadata.

        Args:
            songs: Names of songs; None for all.
            listeners: Ids of listeners; None for all.

        Raises:
            ValueError: a name is not in this split.
        """
        names = None if songs is None else set(songs)
        ids = None if listeners is None else set(listeners)
        for selected, known, noun in (
            (names, self._songs_by_name.keys(), "song"),
            (ids, self._listeners_by_id.keys(), "listener"),
        ):
            unknown = sorted((selected or set()) - known)
            if unknown:
                raise ValueError(
                    f"There is no {noun} {', '.join(map(repr, unknown))} in split {self.split}, "
                    f"which has {len(known)}: {', '.join(list(known)[:5])} …"
                )
        return replace(
            self,
            songs=tuple(song for song in self.songs if names is None or song.name in names),
            listeners=tuple(one for one in self.listeners if ids is None or one.id in ids),
        )
