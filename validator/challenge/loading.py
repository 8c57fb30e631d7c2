"""Reads songs and listeners from a data root or from the official roster, and checks them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

from validator.challenge.listeners import Listener
from validator.challenge.metadata import (
    ChallengeError,
    Document,
    ListenerRecord,
    Listeners,
    RosterDocument,
    SegmentRecord,
    Segments,
    Tracks,
    parse,
    read_document,
)
from validator.challenge.references import UNPACK_MUSIC, open_reference
from validator.challenge.rules import CAD1, Split
from validator.challenge.songs import Segment, Song

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LEVEL_RANGE = (-20.0, 130.0)
"""dB HL that an audiometer can measure."""

SEGMENT_SLACK = 441
"""Frames at 44.1 kHz by which a segment may extend past its song: segments are given in 1/100 s."""

_UNPACK_METADATA = "Unpack the challenge's metadata package again."


def load_roster(split: Split) -> tuple[tuple[Song, ...], tuple[Listener, ...]]:
    """The songs and listeners of the official roster, without audio and audiograms."""
    text = files("validator").joinpath("rosters", f"{split}.json").read_text("utf-8")
    roster = parse(RosterDocument, Document(json.loads(text), f"the official roster of split {split}"))
    songs = tuple(
        Song(name, objective=_segment(record.objective), subjective=_segment(record.subjective))
        for name, record in roster.songs.items()
    )
    return songs, tuple(Listener(listener) for listener in roster.listeners)


def load_data_root(root: Path, split: Split, *, stems: bool) -> tuple[tuple[Song, ...], tuple[Listener, ...]]:
    """The songs and listeners of a data root.

    Args:
        root: The data root.
        split: "valid" or "test".
        stems: Whether each song needs its four stems besides the mixture.

    Raises:
        ChallengeError: a file is missing or invalid.
    """
    if not root.is_dir():
        raise ChallengeError(
            f"The data root {root} is not a folder.",
            hint="Give the folder that contains audio/ and metadata/, as the challenge's packages unpack.",
        )
    metadata = root / "metadata"
    people = parse(Listeners, read_document(metadata / f"listeners.{split}.json"))
    listeners = tuple(_listener(key, record, metadata) for key, record in people.root.items())
    tracks_path = metadata / f"musdb18.{split}.json"
    tracks = parse(Tracks, read_document(tracks_path)).root
    names = [track.name for track in tracks]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ChallengeError(f"{tracks_path} names a song twice: {', '.join(twice)}.", hint=_UNPACK_METADATA)
    if not tracks or not listeners:
        raise ChallengeError(
            f"{metadata} has {len(tracks)} songs and {len(listeners)} listeners for split {split}; "
            "at least one of each is needed.",
            hint=_UNPACK_METADATA,
        )
    segments_path = metadata / f"musdb18.segments.{split}.json"
    segments = parse(Segments, read_document(segments_path)).root if split in CAD1.segmented else {}
    songs = []
    for track in tracks:
        half = "test" if track.split in CAD1.segmented else "train"
        folder = root / "audio" / "musdb18hq" / half / track.name
        song = Song(
            track.name,
            folder=folder,
            frames=_frames(folder, ("mixture", *CAD1.stems) if stems else ("mixture",)),
        )
        if split in CAD1.segmented:
            if track.name not in segments:
                raise ChallengeError(
                    f"{segments_path} has no segment for '{track.name}', which {tracks_path.name} lists.",
                    hint="The metadata files do not belong together. " + _UNPACK_METADATA,
                )
            record = segments[track.name]
            song = replace(song, objective=_segment(record.objective), subjective=_segment(record.subjective))
            _check_segments(song, segments_path)
        songs.append(song)
    return tuple(songs), listeners


def _segment(record: SegmentRecord | None) -> Segment | None:
    return None if record is None else Segment(record.start, record.end)


def _listener(key: str, record: ListenerRecord, metadata: Path) -> Listener:
    def invalid(problem: str) -> ChallengeError:
        return ChallengeError(f"The audiogram of {key} in {metadata} {problem}.", hint=_UNPACK_METADATA)

    cfs, left, right = record.audiogram_cfs, record.audiogram_levels_l, record.audiogram_levels_r
    if not len(cfs) == len(left) == len(right):
        raise invalid(f"has {len(cfs)} frequencies, {len(left)} left levels and {len(right)} right levels")
    if record.name != key:
        raise invalid(f"has the name {record.name!r}")
    if len(set(cfs)) < len(cfs):
        raise invalid("names a frequency twice")
    missing = [frequency for frequency in CAD1.frequencies if frequency not in cfs]
    if missing:
        raise invalid(f"has no level at {', '.join(map(str, missing))} Hz, which the metric needs")
    for level in (*left, *right):
        if not math.isfinite(level) or not LEVEL_RANGE[0] <= level <= LEVEL_RANGE[1]:
            raise invalid(
                f"has a level of {level} dB HL; expected {LEVEL_RANGE[0]:g} to {LEVEL_RANGE[1]:g} dB HL"
            )
    return Listener(key, frequencies=tuple(cfs), left=tuple(left), right=tuple(right))


def _frames(folder: Path, parts: Sequence[str]) -> int:
    """Length of a song's wav files, all stereo, 44.1 kHz, 16 bit and of that length."""
    lengths: dict[str, int] = {}
    for part in parts:
        with open_reference(folder / f"{part}.wav") as stream:
            lengths[part] = stream.frames
    if len(set(lengths.values())) > 1 or lengths["mixture"] == 0:
        raise ChallengeError(
            f"The wav files in {folder} differ in length or are empty: "
            + ", ".join(f"{part} {frames}" for part, frames in lengths.items()),
            hint=UNPACK_MUSIC,
        )
    return lengths["mixture"]


def _check_segments(song: Song, path: Path) -> None:
    for noun, segment in (("objective", song.objective), ("subjective", song.subjective)):
        if segment is None or song.frames is None:
            continue
        start, end = segment.samples()
        if not 0 <= start < end or end > song.frames + SEGMENT_SLACK or start >= song.frames:
            raise ChallengeError(
                f"The {noun} segment of '{song.name}' in {path}, {segment.start} to {segment.end} s, "
                f"is outside the song of {song.frames / CAD1.reference_rate:.2f} s.",
                hint="The metadata and MUSDB18-HQ do not belong together. Unpack both again.",
            )
