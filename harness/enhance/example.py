"""One example: a separated song made into the eight stems and the remix of one listener."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.enhance.encoding import encode_remix, encode_stem, write_flac
from harness.enhance.nalr import Samples, convolve, nalr_taps
from validator.challenge import REMIX_RATE, SIDES, STEM_RATE, STEMS, Listener, Segment, Song
from validator.manifest import folder, remix_name, scale_name, stem_name

Separated = NDArray[np.float32]  # shape (4, 2, samples): STEMS, then SIDES; 44.1 kHz


@dataclass(frozen=True)
class Span:
    """Samples at 44.1 kHz of an amplified signal that are kept; to its very end where `stop` is None."""

    start: int
    stop: int | None

    @classmethod
    def of(cls, segment: Segment | None) -> Span:
        """The span of a segment in seconds; the whole signal where there is none."""
        return cls(0, None) if segment is None else cls(*segment.samples())

    def cut(self, signal: Samples) -> Samples:
        """That part of a signal that starts at sample 0."""
        return signal[self.start : self.stop]


def taps_of(listener: Listener) -> Mapping[str, Samples]:
    """The NAL-R filter of each side for a listener, at 44.1 kHz."""
    return {
        side: nalr_taps(frequencies=listener.frequencies, levels=getattr(listener, side)) for side in SIDES
    }


def make_example(
    separated: Separated, *, song: Song, listener: Listener, target: Path, scratch: Path
) -> None:
    """Writes an example's seventeen files, all or none.

    Args:
        separated: The song's stems.
        song: Says which parts the stems and the remix cover.
        listener: For whom.
        target: Folder of all examples; theirs is `target/<listener>/<song>`.
        scratch: An empty folder to be made, beside `target` on the same disk; renamed when all is written.
    """
    objective, subjective = Span.of(song.objective), Span.of(song.subjective)
    where = folder(listener.id, song.name)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    remix = []
    for side, taps in taps_of(listener).items():
        total: Samples | None = None
        for index, stem in enumerate(STEMS):
            signal = separated[index, SIDES.index(side)]
            amplified = convolve(signal, taps, start=objective.start, stop=objective.stop)
            encoded = encode_stem(amplified)
            write_flac(
                scratch / _base(stem_name(listener.id, song.name, side, stem)),
                encoded.pcm,
                sample_rate=STEM_RATE,
            )
            scale = scratch / _base(scale_name(listener.id, song.name, side, stem))
            scale.write_text(encoded.scale_text, encoding="ascii")
            if subjective != objective:
                amplified = convolve(signal, taps, start=subjective.start, stop=subjective.stop)
            total = amplified if total is None else total + amplified
        remix.append(total)
    write_flac(
        scratch / _base(remix_name(listener.id, song.name)),
        encode_remix(np.stack([side for side in remix if side is not None], axis=1)),
        sample_rate=REMIX_RATE,
    )
    final = target / where
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch.rename(final)


def _base(member: str) -> str:
    return member.rpartition("/")[2]
