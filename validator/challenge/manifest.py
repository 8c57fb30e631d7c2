"""The files that a submission must contain, how they are named, and how large they may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from validator.archive.sizes import SizeLimits
from validator.challenge.challenge import Challenge
from validator.challenge.rules import CAD1
from validator.challenge.songs import Song
from validator.formats.flac import audio_bytes
from validator.formats.scale import SCALE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN_LENGTH_SECONDS = 12 * 60
"""Longest file allowed if there is no data root with the length of the song; MUSDB18's longest is under 11 min."""


class Kind(StrEnum):
    """What a file of a submission is."""

    STEM = "stem"
    SCALE = "scale"
    REMIX = "remix"


@dataclass(frozen=True, slots=True)
class Length:
    """How many frames a file may have.

    Attributes:
        nominal: The expected length; None if unknown (whole songs without a data root).
        least, most: Bounds, both inclusive.
    """

    nominal: int | None
    least: int
    most: int

    def __contains__(self, frames: int) -> bool:
        return self.least <= frames <= self.most


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """One file that a submission must contain, or may contain if it is a scale file.

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
        return CAD1.remix_rate if self.kind is Kind.REMIX else CAD1.stem_rate

    @property
    def channels(self) -> int:
        """Number of channels of the audio."""
        return CAD1.remix_channels if self.kind is Kind.REMIX else CAD1.stem_channels


def length_of(song: Song, kind: Kind) -> Length:
    """How many frames a stem (at 24 kHz) or a remix (at 32 kHz) of this song may have."""
    rate = CAD1.remix_rate if kind is Kind.REMIX else CAD1.stem_rate
    nominal = song.expected_remix_frames if kind is Kind.REMIX else song.expected_stem_frames
    if nominal is None:
        return Length(nominal=None, least=1, most=UNKNOWN_LENGTH_SECONDS * rate)
    tail = 0 if song.objective is not None else math.ceil(CAD1.tail * rate / CAD1.reference_rate)
    return Length(
        nominal=nominal,
        least=max(1, nominal - CAD1.length_tolerance),
        most=nominal + tail + CAD1.length_tolerance,
    )


def expected_files(challenge: Challenge) -> Iterator[ExpectedFile]:
    """Every file of every example, song by song, including scale files."""
    for song, listener in challenge.examples:
        for side in CAD1.sides:
            for stem in CAD1.stems:
                yield ExpectedFile(
                    CAD1.stem_name(listener, song, side, stem),
                    Kind.STEM,
                    listener,
                    song,
                    side=side,
                    stem=stem,
                )
                yield ExpectedFile(
                    CAD1.scale_name(listener, song, side, stem),
                    Kind.SCALE,
                    listener,
                    song,
                    side=side,
                    stem=stem,
                )
        yield ExpectedFile(CAD1.remix_name(listener, song), Kind.REMIX, listener, song)


def archive_limits(challenge: Challenge) -> SizeLimits:
    """How large a submission to this challenge may be, with a margin."""
    largest, total = 0, 0
    for song in challenge.songs:
        stem = audio_bytes(channels=CAD1.stem_channels, frames=length_of(song, Kind.STEM).most)
        remix = audio_bytes(channels=CAD1.remix_channels, frames=length_of(song, Kind.REMIX).most)
        largest = max(largest, stem, remix)
        total += (len(CAD1.columns) * (stem + SCALE_BYTES) + remix) * len(challenge.listeners)
    count = len(challenge.examples)
    files = CAD1.files_per_example * count
    junk = (files + 1000) * 4096  # a `._*` file takes 4 kB or less
    return SizeLimits(
        # every file may have a `._*` twin, and every example a folder, also in `__MACOSX`
        entries=2 * files + 4 * count + 1000,
        member_bytes=largest,
        total_bytes=total + junk,
        # each name is in the archive twice, and each header takes about 100 bytes
        archive_bytes=total + junk + 1024 * (2 * files + 4 * count + 1000),
    )
