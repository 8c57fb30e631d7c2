"""Names that are nearly right, and what they were meant to be."""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1

if TYPE_CHECKING:
    from collections.abc import Iterable

    from validator.challenge.challenge import Challenge

LIKENESS = 0.75
"""Least difflib ratio at which a song's name is taken for another's misspelling."""

MOST_SEARCHES = 300
"""Spellings compared with every song: each takes a millisecond, and a hostile zip can hold 100,000."""

_AUDIO = frozenset({"flac", "fla", "wav", "wave", "aif", "aiff", "mp3", "ogg", "m4a"})
_SIDE_WORDS = {
    "left": "left", "l": "left", "lft": "left", "ch0": "left",
    "right": "right", "r": "right", "rgt": "right", "ch1": "right",
}  # fmt: skip
_STEM_WORDS = {
    "drums": "drums", "drum": "drums", "percussion": "drums",
    "bass": "bass", "base": "bass", "basses": "bass",
    "other": "other", "others": "other", "rest": "other", "accompaniment": "other",
    "vocals": "vocals", "vocal": "vocals", "voice": "vocals", "vox": "vocals", "voc": "vocals",
}  # fmt: skip
_REMIX_WORDS = frozenset({"remix", "remixed", "mix", "mixed", "mixture", "rmx"})
_SEPARATORS = re.compile(r"[\s_\-.]+")
_COPY = re.compile(r"(?:\s*\(\d+\)|[\s_-]*copy\d*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a file was meant to be.

    Attributes:
        path: The name it should have.
        why: In what its own name differs, such as "the letter case".
    """

    path: str
    why: str


def plain(text: str) -> str:
    """Letters and digits only, in one case and one Unicode form."""
    form = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in form if c.isalnum())


class Namer:
    """Guesses what misnamed files of one challenge were meant to be."""

    def __init__(self, challenge: Challenge) -> None:
        self._songs = {plain(song.name): song.name for song in challenge.songs}
        self._listeners = {listener.id.casefold(): listener.id for listener in challenge.listeners}
        ids = sorted(map(re.escape, self._listeners), key=len, reverse=True)
        self._listener = re.compile(rf"(?<![0-9a-z])({'|'.join(ids)})(?![0-9])") if ids else None
        self._song_like = lru_cache(maxsize=4096)(self._find_song)
        self._searches = 0

    def _find_song(self, text: str) -> str | None:
        key = plain(text)
        if key in self._songs:
            return self._songs[key]
        if len(key) < 4 or self._searches >= MOST_SEARCHES:
            return None
        self._searches += 1
        near = difflib.get_close_matches(key, self._songs, n=1, cutoff=LIKENESS)
        return self._songs[near[0]] if near else None

    def _listeners_in(self, text: str) -> list[str]:
        if self._listener is None:
            return []
        return [self._listeners[found] for found in self._listener.findall(text.casefold())]

    def candidates(self, path: str) -> list[Suggestion]:
        """What a file may have been meant to be, the likeliest first; empty where there is no telling."""
        *folders, name = unicodedata.normalize("NFC", path).split("/")
        base, dot, suffix = name.rpartition(".")
        kind = suffix.casefold()
        if not dot or (kind not in _AUDIO and kind != "txt"):
            if kind and dot and kind.isalnum() and kind.isalpha():
                return []
            base, kind = name, "flac"
        base = _COPY.sub("", base.strip())
        side, stem, rest = _tail(base)
        if stem is None or (side is None and stem != "remix"):
            return []
        listeners = [*self._in_order(folders), *self._listeners_in(base)]
        song = self._song_of(rest, folders)
        if song is None:
            return []
        found: dict[str, None] = {}
        for listener in dict.fromkeys(listeners):
            if stem == "remix":
                target = CAD1.remix_name(listener, song)
                found[target if kind != "txt" else target.removesuffix("flac") + "txt"] = None
            else:
                made = CAD1.scale_name if kind == "txt" else CAD1.stem_name
                found[made(listener, song, side or "", stem)] = None
        return [Suggestion(target, difference(path, target)) for target in found]

    def _in_order(self, folders: Iterable[str]) -> list[str]:
        return [listener for folder in folders for listener in self._listeners_in(folder)]

    def _song_of(self, rest: str, folders: list[str]) -> str | None:
        bare = rest
        if self._listener is not None:
            bare = re.sub(rf"^\W*(?:{self._listener.pattern})[\s_-]*", "", rest, flags=re.IGNORECASE)
        for text in (bare, *reversed(folders)):
            song = self._song_like(text)
            if song is not None:
                return song
        return None


def _tail(base: str) -> tuple[str | None, str | None, str]:
    """Side, stem (or "remix") and what stands before them; sides and stems in either order."""
    side = stem = None
    rest = base
    for _ in range(2):
        words = _SEPARATORS.split(rest)
        word = words[-1].casefold() if words else ""
        if side is None and word in _SIDE_WORDS:
            side = _SIDE_WORDS[word]
        elif stem is None and word in _STEM_WORDS:
            stem = _STEM_WORDS[word]
        elif stem is None and word in _REMIX_WORDS:
            stem = "remix"
        else:
            break
        rest = rest[: len(rest) - len(words[-1])].rstrip(" _-.")
    if side is None and stem is None:
        glued = re.search(r"(left|right)(drums?|bass|others?|vocals?)$", base, re.IGNORECASE)
        if glued:
            side, stem = glued[1].lower(), _STEM_WORDS[glued[2].lower()]
            rest = base[: glued.start()].rstrip(" _-.")
    return side, stem, rest


def difference(path: str, target: str) -> str:  # noqa: PLR0911 - one for each difference
    """In what two names differ, in words."""
    if path.rpartition("/")[2] == target.rpartition("/")[2]:
        return "it lies in another folder"
    if unicodedata.normalize("NFC", path) == unicodedata.normalize("NFC", target):
        return "its Unicode form (NFD, as macOS writes it, instead of NFC)"
    if path.casefold() == target.casefold():
        return "the letter case"
    (stem, _, suffix), (right_stem, _, right_suffix) = path.rpartition("."), target.rpartition(".")
    if stem == right_stem:
        return f"the file type: .{suffix} instead of .{right_suffix}"
    if stem.casefold() == right_stem.casefold() and suffix.casefold() == right_suffix:
        return "the letter case"
    here, there = path.split("/"), target.split("/")
    if len(here) == len(there) and here[:-1] == there[:-1]:
        name, right = here[-1], there[-1]
        if name[:5] != right[:5] and name.partition("_")[2] == right.partition("_")[2]:
            return f"the listener: the name says {name.partition('_')[0]}, the folder {there[0]}"
        if name.startswith(f"{there[0]}_{there[1]}_"):
            return "the spelling of side or stem"
        return "the spelling of the name"
    if len(here) == len(there) and here[0] == there[0]:
        return "the spelling of the song"
    return "folder and spelling" if len(here) == len(there) else "the number of folders"
