"""Songs, listeners and segments of one split, read from a data root or from the official roster."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from validator.challenge.metadata import (
    ChallengeError,
    Document,
    ListenerRecord,
    Listeners,
    Roster,
    SegmentRecord,
    Segments,
    Tracks,
    parse,
    read_document,
)
from validator.challenge.rules import CAD1, Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEVEL_RANGE = (-20.0, 130.0)
"""dB HL that an audiometer can give."""

SEGMENT_SLACK = 441
"""Frames at 44.1 kHz by which a segment may overrun its song: segments are given in 1/100 s."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a song, in seconds."""

    start: float
    end: float

    def samples(self, rate: int = CAD1.reference_rate) -> tuple[int, int]:
        """First sample and the one after the last, cut as the challenge cuts: int(seconds * rate)."""
        return int(self.start * rate), int(self.end * rate)


@dataclass(frozen=True, slots=True)
class Song:
    """One song of a split.

    Attributes:
        name: As in the metadata.
        folder: Its folder in the data root; None for the roster.
        frames: Length of its wav files at 44.1 kHz; None for the roster.
        objective: What the stems cover; None for the whole song.
        subjective: What the remix covers; None for the whole song.
    """

    name: str
    folder: Path | None = None
    frames: int | None = None
    objective: Segment | None = None
    subjective: Segment | None = None

    def reference_path(self, stem: str) -> Path:
        """The wav of `drums`, `bass`, `other`, `vocals` or `mixture`.

        Raises:
            ChallengeError: there is no data root.
        """
        if self.folder is None:
            raise ChallengeError(
                f"The reference {stem}.wav of '{self.name}' was asked for, but there is no data root.",
                hint="Give the data root with --data.",
            )
        return self.folder / f"{stem}.wav"

    def _slice(self, segment: Segment | None) -> tuple[int, int] | None:
        if segment is None:
            return None if self.frames is None else (0, self.frames)
        start, end = segment.samples()
        return (start, end) if self.frames is None else (start, min(end, self.frames))

    @property
    def objective_slice(self) -> tuple[int, int] | None:
        """Samples at 44.1 kHz (first, one after the last) that the stems cover; None where not known."""
        return self._slice(self.objective)

    @property
    def subjective_slice(self) -> tuple[int, int] | None:
        """Samples at 44.1 kHz (first, one after the last) that the remix covers; None where not known."""
        return self._slice(self.subjective)

    @property
    def expected_stem_frames(self) -> int | None:
        """Frames of a stem at 24 kHz; None where not known."""
        return _resampled(self.objective_slice, CAD1.stem_rate)

    @property
    def expected_remix_frames(self) -> int | None:
        """Frames of the remix at 32 kHz; None where not known."""
        return _resampled(self.subjective_slice, CAD1.remix_rate)


def _resampled(span: tuple[int, int] | None, rate: int) -> int | None:
    return None if span is None else round((span[1] - span[0]) * rate / CAD1.reference_rate)


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener of a split.

    Attributes:
        id: As in the metadata, such as "L5002".
        frequencies: Hz; empty for the roster, which holds no audiograms.
        left, right: Hearing levels in dB HL at these frequencies.
    """

    id: str
    frequencies: tuple[int, ...] = ()
    left: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    def levels(self, side: str, frequencies: Sequence[int] = CAD1.frequencies) -> tuple[float, ...]:
        """Hearing levels in dB HL of one ear at exactly these frequencies (Hz).

        Raises:
            ValueError: the side is not "left" or "right", or a frequency is not in the audiogram.
        """
        if side not in CAD1.sides:
            raise ValueError(f"side is {side!r}; it must be 'left' or 'right'")
        levels = self.left if side == "left" else self.right
        missing = [frequency for frequency in frequencies if frequency not in self.frequencies]
        if missing:
            raise ValueError(f"the audiogram of {self.id} has no level at {missing} Hz")
        return tuple(levels[self.frequencies.index(frequency)] for frequency in frequencies)


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
        """Read a split and check that everything it needs is there.

        Args:
            root: A data root as the challenge's packages unpack, or None for the official roster, which
                holds no audio and no audiograms.
            split: "valid" or "test".
            stems: Whether each song needs its four stems beside the mixture. Whoever makes a submission
                does without them; whoever checks or scores one does not.

        Raises:
            ChallengeError: a file is missing, or is not what it should be.
            ValueError: there is no such split.
        """
        if split not in CAD1.splits:
            raise ValueError(f"split is {split!r}; it must be one of {', '.join(CAD1.splits)}")
        return _official(split) if root is None else _from_root(Path(root), split, stems=stems)

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
        """The song of that name (KeyError where there is none)."""
        return self._songs_by_name[name]

    def listener(self, listener_id: str) -> Listener:
        """The listener of that id (KeyError where there is none)."""
        return self._listeners_by_id[listener_id]

    def select(
        self, *, songs: Iterable[str] | None = None, listeners: Iterable[str] | None = None
    ) -> Challenge:
        """The same challenge, narrowed to some songs and listeners; the order stays the metadata's.

        Raises:
            ValueError: a name is not in this split.
        """
        names = None if songs is None else set(songs)
        ids = None if listeners is None else set(listeners)
        for asked, known, noun in (
            (names, self._songs_by_name.keys(), "song"),
            (ids, self._listeners_by_id.keys(), "listener"),
        ):
            unknown = sorted((asked or set()) - known)
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


def _official(split: Split) -> Challenge:
    text = files("validator").joinpath("rosters", f"{split}.json").read_text("utf-8")
    roster = parse(Roster, Document(json.loads(text), f"the official roster of split {split}"))
    return Challenge(
        split=split,
        root=None,
        songs=tuple(
            Song(name, objective=_segment(entry.objective), subjective=_segment(entry.subjective))
            for name, entry in roster.songs.items()
        ),
        listeners=tuple(Listener(listener) for listener in roster.listeners),
    )


def _segment(record: SegmentRecord | None) -> Segment | None:
    return None if record is None else Segment(record.start, record.end)


def _from_root(root: Path, split: Split, *, stems: bool) -> Challenge:
    if not root.is_dir():
        raise ChallengeError(
            f"The data root {root} is not a folder.",
            hint="Give the folder that holds audio/ and metadata/, as the challenge's packages unpack.",
        )
    metadata = root / "metadata"
    people = parse(Listeners, read_document(metadata / f"listeners.{split}.json"))
    listeners = tuple(_listener(key, record, metadata) for key, record in people.root.items())
    tracks_path = metadata / f"musdb18.{split}.json"
    tracks = parse(Tracks, read_document(tracks_path)).root
    names = [track.name for track in tracks]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ChallengeError(
            f"{tracks_path} names a song twice: {', '.join(twice)}.", hint="Unpack the metadata afresh."
        )
    if not tracks or not listeners:
        raise ChallengeError(
            f"{metadata} holds {len(tracks)} songs and {len(listeners)} listeners for split {split}; "
            "at least one of each is needed.",
            hint="Unpack the metadata afresh.",
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
                    hint="The files of one metadata package belong together: unpack it afresh.",
                )
            record = segments[track.name]
            song = replace(song, objective=_segment(record.objective), subjective=_segment(record.subjective))
            _check_segments(song, segments_path)
        songs.append(song)
    return Challenge(split=split, root=root, songs=tuple(songs), listeners=listeners)


def _listener(key: str, record: ListenerRecord, metadata: Path) -> Listener:
    def fault(what: str) -> ChallengeError:
        return ChallengeError(
            f"The audiogram of {key} in {metadata} {what}.", hint="Unpack the metadata afresh."
        )

    cfs, left, right = record.audiogram_cfs, record.audiogram_levels_l, record.audiogram_levels_r
    if not len(cfs) == len(left) == len(right):
        raise fault(f"has {len(cfs)} frequencies, {len(left)} levels left and {len(right)} right")
    if record.name != key:
        raise fault(f"bears the name {record.name!r}")
    if len(set(cfs)) < len(cfs):
        raise fault("names a frequency twice")
    missing = [frequency for frequency in CAD1.frequencies if frequency not in cfs]
    if missing:
        raise fault(f"has no level at {', '.join(map(str, missing))} Hz, which the metric needs")
    for level in (*left, *right):
        if not math.isfinite(level) or not LEVEL_RANGE[0] <= level <= LEVEL_RANGE[1]:
            raise fault(f"has a level of {level} dB HL; {LEVEL_RANGE[0]:g} to {LEVEL_RANGE[1]:g} can be")
    return Listener(key, frequencies=tuple(cfs), left=tuple(left), right=tuple(right))


def _frames(folder: Path, parts: Sequence[str]) -> int:
    """Length of a song's wavs, each checked to be stereo, 44.1 kHz, 16 bit, and as long as the rest."""
    import soundfile  # noqa: PLC0415 - the roster needs no audio library

    lengths: dict[str, int] = {}
    for part in parts:
        path = folder / f"{part}.wav"
        if not path.is_file():
            raise ChallengeError(
                f"The data root is incomplete: {path} is missing.",
                hint="Unpack MUSDB18-HQ there; songs of split valid lie under train/.",
            )
        try:
            info = soundfile.info(str(path))
        except soundfile.SoundFileError as error:
            raise ChallengeError(
                f"{path} cannot be read as a wav file: {error}", hint="Unpack MUSDB18-HQ afresh."
            ) from error
        form = (info.format, info.subtype, info.channels, info.samplerate)
        if form not in (
            ("WAV", "PCM_16", 2, CAD1.reference_rate),
            ("WAVEX", "PCM_16", 2, CAD1.reference_rate),
        ):
            raise ChallengeError(
                f"{path} is {form[0]} {form[1]}, {form[2]} channel(s), {form[3]} Hz; "
                f"stereo 16-bit WAV at {CAD1.reference_rate} Hz is expected.",
                hint="Use MUSDB18-HQ, the uncompressed edition.",
            )
        lengths[part] = info.frames
    if len(set(lengths.values())) > 1 or lengths["mixture"] == 0:
        raise ChallengeError(
            f"The wav files in {folder} differ in length or are empty: "
            + ", ".join(f"{part} {frames}" for part, frames in lengths.items()),
            hint="Unpack MUSDB18-HQ afresh.",
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
                f"does not lie inside the song of {song.frames / CAD1.reference_rate:.2f} s.",
                hint="Unpack metadata and MUSDB18-HQ afresh; the two belong together.",
            )
