"""Makes one example: the eight stems and the remix of one song for one listener."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.enhance.compressor import Compressor
from harness.enhance.encoding import Pcm, encode_remix, encode_stem, resample, write_flac
from harness.enhance.gain import SongSpectra
from harness.enhance.nalr import Samples, convolve, nalr_taps
from validator.challenge.listeners import Listener
from validator.challenge.rules import CAD1
from validator.challenge.songs import Segment, Song

Separated = NDArray[np.float32]  # shape (4, 2, samples): CAD1.stems, then CAD1.sides; 44.1 kHz


@dataclass(frozen=True)
class Span:
    """Samples at 44.1 kHz of an amplified signal that are kept; up to its end if `stop` is None."""

    start: int = 0
    stop: int | None = None

    @classmethod
    def of(cls, segment: Segment | None) -> Span:
        """The span of a segment; the whole signal if there is none."""
        return cls() if segment is None else cls(*segment.samples())


@dataclass(frozen=True)
class SeparatedSong:
    """A song from which the examples of all listeners are made.

    Args:
        song: Defines which parts the stems and the remix cover.
        stems: The separated stems.
        compressor: Applied after NAL-R, if there is one.
        spectra: Spectra to whose level the stems are matched; None to leave the levels unchanged.
    """

    song: Song
    stems: Separated
    compressor: Compressor | None = None
    spectra: SongSpectra | None = None

    def amplified(self, stem: str, *, side: str, taps: Samples, span: Span) -> Samples:
        """The samples of `span` at 44.1 kHz of a stem after NAL-R and compressor."""
        signal = self.stems[CAD1.stems.index(stem), CAD1.sides.index(side)]
        if self.compressor is None:
            return convolve(signal, taps, start=span.start, stop=span.stop)
        return self.compressor(convolve(signal, taps))[span.start : span.stop]

    def factors(self, listener: Listener, *, side: str, taps: Samples) -> Samples:
        """Level factors for the four amplified stems of one ear; shape (4,)."""
        if self.spectra is None:
            return np.ones(len(CAD1.stems))
        span = Span.of(self.song.objective)
        powers = []
        total: Samples = np.zeros(1)
        for stem in CAD1.stems:
            # Measured at the submitted sample rate, because frequencies above 12 kHz are lost.
            amplified = self.amplified(stem, side=side, taps=taps, span=span)
            resampled = resample(amplified, target_rate=CAD1.stem_rate)
            powers.append(float(np.mean(resampled**2)))
            total = total + resampled
        powers.append(float(np.mean(total**2)))
        return self.spectra.factors(np.array(powers), listener=listener, side=side)


def make_example(source: SeparatedSong, listener: Listener, *, target: Path, scratch: Path) -> None:
    """Write all files of an example, or none of them.

    Args:
        source: The separated song.
        listener: The listener.
        target: Folder of all examples; this one goes to `target/<listener>/<song>`.
        scratch: Temporary folder on the same disk as `target`; it is emptied first, and moved to its place when
            all files are written.

    Raises:
        OSError: The disk is full or not writable.
    """
    song = source.song.name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    sides = [_make_side(source, listener, side=side, scratch=scratch) for side in CAD1.sides]
    remix = np.stack(sides, axis=1)
    write_flac(scratch / _file_name(CAD1.remix_name(listener.id, song)), remix, sample_rate=CAD1.remix_rate)
    final = target / CAD1.folder(listener.id, song)
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch.rename(final)


def _make_side(source: SeparatedSong, listener: Listener, *, side: str, scratch: Path) -> Pcm:
    """Write the four stems of one ear; returns its channel of the remix."""
    song = source.song
    objective, subjective = Span.of(song.objective), Span.of(song.subjective)
    taps = nalr_taps(frequencies=listener.frequencies, levels=getattr(listener, side))
    factors = source.factors(listener, side=side, taps=taps)
    total: Samples | None = None
    for stem, factor in zip(CAD1.stems, factors, strict=True):
        amplified = source.amplified(stem, side=side, taps=taps, span=objective)
        amplified *= factor
        encoded = encode_stem(amplified)
        flac = scratch / _file_name(CAD1.stem_name(listener.id, song.name, side, stem))
        write_flac(flac, encoded.pcm, sample_rate=CAD1.stem_rate)
        scale = scratch / _file_name(CAD1.scale_name(listener.id, song.name, side, stem))
        scale.write_text(encoded.scale_text, encoding="ascii")
        if subjective != objective:
            amplified = source.amplified(stem, side=side, taps=taps, span=subjective)
            amplified *= factor
        if total is None:
            total = amplified
        else:
            total += amplified
    if total is None:
        raise ValueError("a song without stems has no remix")
    return encode_remix(total)


def _file_name(member: str) -> str:
    return member.rpartition("/")[2]
