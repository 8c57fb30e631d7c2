"""The files a submission must hold, how they are named, and how large they may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from validator.audio import audio_bytes
from validator.challenge import REMIX_RATE, SIDES, STEM_RATE, STEMS, Challenge, Song
from validator.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

LENGTH_TOLERANCE = 2
"""Frames a file may be off: segments are cut by int(t * 44100), and resamplers round differently."""

TAIL_AT_REFERENCE_RATE = 220
"""Frames at 44.1 kHz that the baseline's NAL-R filter (order 220) adds to a whole song."""

UNKNOWN_LENGTH_SECONDS = 12 * 60
"""Longest file taken where no data root says how long the song is; MUSDB18's longest is under 11 min."""


class Kind(StrEnum):
    """What a file of a submission is."""

    STEM = "stem"
    SCALE = "scale"
    REMIX = "remix"


def folder(listener: str, song: str) -> str:
    """The folder of one example, relative, without a slash at its end."""
    return f"{listener}/{song}"


def stem_name(listener: str, song: str, side: str, stem: str) -> str:
    """Relative POSIX path of a stem."""
    return f"{listener}/{song}/{listener}_{song}_{side}_{stem}.flac"


def scale_name(listener: str, song: str, side: str, stem: str) -> str:
    """Relative POSIX path of a stem's scale file."""
    return f"{listener}/{song}/{listener}_{song}_{side}_{stem}.txt"


def remix_name(listener: str, song: str) -> str:
    """Relative POSIX path of a remix."""
    return f"{listener}/{song}/{listener}_{song}_remix.flac"


@dataclass(frozen=True, slots=True)
class Length:
    """How many frames a file may have.

    Attributes:
        nominal: The length asked for, or None where it is not known (whole songs without a data root).
        least, most: Bounds, both allowed.
    """

    nominal: int | None
    least: int
    most: int

    def __contains__(self, frames: int) -> bool:
        return self.least <= frames <= self.most


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that a submission must (or, for a scale file, may) hold.

    Attributes:
        path: Relative POSIX path below the wrapper folder.
        kind: Stem, scale or remix.
        listener, song: The example.
        side, stem: Empty for a remix.
    """

    path: str
    kind: Kind
    listener: str
    song: str
    side: str = ""
    stem: str = ""

    @property
    def rate(self) -> int:
        """Sample rate in Hz of the audio."""
        return REMIX_RATE if self.kind is Kind.REMIX else STEM_RATE

    @property
    def channels(self) -> int:
        """Number of channels of the audio."""
        return 2 if self.kind is Kind.REMIX else 1


def length_of(song: Song, kind: Kind) -> Length:
    """How many frames a stem (at 24 kHz) or a remix (at 32 kHz) of this song may have."""
    rate = REMIX_RATE if kind is Kind.REMIX else STEM_RATE
    nominal = song.expected_remix_frames if kind is Kind.REMIX else song.expected_stem_frames
    if nominal is None:
        return Length(nominal=None, least=1, most=UNKNOWN_LENGTH_SECONDS * rate)
    tail = 0 if song.objective is not None else math.ceil(TAIL_AT_REFERENCE_RATE * rate / 44100)
    return Length(
        nominal=nominal,
        least=max(1, nominal - LENGTH_TOLERANCE),
        most=nominal + tail + LENGTH_TOLERANCE,
    )


def entries(challenge: Challenge, examples: Container[tuple[str, str]] | None = None) -> Iterator[Entry]:
    """Every file of every example, song by song; scale files among them.

    Args:
        challenge: The songs and listeners.
        examples: Where given, only these (song, listener) pairs.
    """
    for song, listener in challenge.examples:
        if examples is not None and (song, listener) not in examples:
            continue
        for side in SIDES:
            for stem in STEMS:
                yield Entry(
                    stem_name(listener, song, side, stem), Kind.STEM, listener, song, side=side, stem=stem
                )
                yield Entry(
                    scale_name(listener, song, side, stem), Kind.SCALE, listener, song, side=side, stem=stem
                )
        yield Entry(remix_name(listener, song), Kind.REMIX, listener, song)


SCALE_BYTES = 64
"""A scale file is one number; 64 bytes hold any that float() can tell apart."""


def limits(challenge: Challenge) -> Limits:
    """What a submission to this challenge can need, with room to spare."""
    largest, total = 0, 0
    for song in challenge.songs:
        stem = audio_bytes(channels=1, frames=length_of(song, Kind.STEM).most)
        remix = audio_bytes(channels=2, frames=length_of(song, Kind.REMIX).most)
        largest = max(largest, stem, remix)
        total += (8 * (stem + SCALE_BYTES) + remix) * len(challenge.listeners)
    count = len(challenge.examples)
    files = 17 * count
    junk = (files + 1000) * 4096  # `._*` twins are 4 kB or less
    return Limits(
        # every file may have a `._*` twin; each example a folder, and that one in `__MACOSX` too
        entries=2 * files + 4 * count + 1000,
        member_bytes=largest,
        total_bytes=total + junk,
        # names stand in the archive twice, and headers take about 100 bytes each
        archive_bytes=total + junk + 1024 * (2 * files + 4 * count + 1000),
    )
