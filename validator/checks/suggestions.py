"""Suggests the right name for a misnamed file."""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1

if TYPE_CHECKING:
    from validator.challenge.challenge import Challenge

LIKENESS = 0.75
"""Least difflib ratio at which a name counts as a misspelling of a song's name."""

MOST_SEARCHES = 300
"""Most names that are compared with every song: each takes a millisecond, and a hostile zip can have 100,000."""

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
    """What a misnamed file was probably meant to be.

    Attributes:
        path: The path that it should have.
        difference: How its own path differs, in one sentence.
    """

    path: str
    difference: str


def is_other_audio(path: str) -> bool:
    """Whether a name ends like that of an audio file of another format, such as `.wav`."""
    _, dot, suffix = path.rpartition(".")
    return bool(dot) and suffix.casefold() in _AUDIO - {"flac"}


def simplify(text: str) -> str:
    """Only the letters and digits, in lower case and one Unicode form."""
    form = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in form if c.isalnum())


class NameMatcher:
    """Suggests names for misnamed files of one challenge."""

    def __init__(self, challenge: Challenge) -> None:
        self._songs = {simplify(song.name): song.name for song in challenge.songs}
        self._listeners = {listener.id.casefold(): listener.id for listener in challenge.listeners}
        ids = sorted(map(re.escape, self._listeners), key=len, reverse=True)
        self._listener = re.compile(rf"(?<![0-9a-z])({'|'.join(ids)})(?![0-9])") if ids else None
        self._similar_song = lru_cache(maxsize=4096)(self._find_song)
        self._searches = 0

    def _find_song(self, text: str) -> str | None:
        key = simplify(text)
        if key in self._songs:
            return self._songs[key]
        if len(key) < 4 or self._searches >= MOST_SEARCHES:
            return None
        self._searches += 1
        similar = difflib.get_close_matches(key, self._songs, n=1, cutoff=LIKENESS)
        return self._songs[similar[0]] if similar else None

    def _listeners_in(self, text: str) -> list[str]:
        if self._listener is None:
            return []
        return [self._listeners[found] for found in self._listener.findall(text.casefold())]

    def suggest(self, path: str) -> list[Suggestion]:
        """What a file was probably meant to be, the most likely first; empty if nothing is similar."""
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
        listeners = [one for text in (*folders, base) for one in self._listeners_in(text)]
        song = self._song_of(rest, folders)
        if song is None:
            return []
        targets: dict[str, None] = {}
        for listener in dict.fromkeys(listeners):
            if stem == "remix":
                target = CAD1.remix_name(listener, song)
                targets[target if kind != "txt" else target.removesuffix("flac") + "txt"] = None
            else:
                name_of = CAD1.scale_name if kind == "txt" else CAD1.stem_name
                targets[name_of(listener, song, side or "", stem)] = None
        return [Suggestion(target, describe_difference(path, target)) for target in targets]

    def _song_of(self, rest: str, folders: list[str]) -> str | None:
        bare = rest
        if self._listener is not None:
            bare = re.sub(rf"^\W*(?:{self._listener.pattern})[\s_-]*", "", rest, flags=re.IGNORECASE)
        for text in (bare, *reversed(folders)):
            song = self._similar_song(text)
            if song is not None:
                return song
        return None


def _tail(base: str) -> tuple[str | None, str | None, str]:
    """Side, stem (or "remix") and the text before them; side and stem may be in either order."""
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


def describe_difference(path: str, target: str) -> str:  # noqa: PLR0911 - one for each difference
    """How a path differs from the one that it should be, in one sentence."""
    if path.rpartition("/")[2] == target.rpartition("/")[2]:
        return "The file is in the wrong folder."
    if unicodedata.normalize("NFC", path) == unicodedata.normalize("NFC", target):
        return "The Unicode form is wrong: NFD, as macOS writes it, instead of NFC."
    if path.casefold() == target.casefold():
        return "The letter case is wrong."
    if target.startswith(f"{path}."):
        return f"The suffix {target[len(path) :]} is missing."
    (stem, _, suffix), (right_stem, _, right_suffix) = path.rpartition("."), target.rpartition(".")
    if stem == right_stem:
        return f"The suffix is .{suffix} instead of .{right_suffix}."
    if stem.casefold() == right_stem.casefold() and suffix.casefold() == right_suffix:
        return "The letter case is wrong."
    found, wanted = path.split("/"), target.split("/")
    if len(found) != len(wanted):
        return "The number of folders is wrong."
    if found[:-1] == wanted[:-1]:
        name, right = found[-1], wanted[-1]
        if name[:5] != right[:5] and name.partition("_")[2] == right.partition("_")[2]:
            return f"The file name has listener {name.partition('_')[0]}, but the folder is {wanted[0]}."
        if name.startswith(f"{wanted[0]}_{wanted[1]}_"):
            return "The side or the stem in the file name is wrong."
        return "The file name is misspelled."
    if found[0] == wanted[0]:
        return "The name of the song is misspelled."
    return "The folder and the file name are misspelled."
