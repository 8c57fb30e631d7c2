"""From an amplified signal to the bytes of a submission: rate, level, rounding and codec.

Every step is the challenge recipe's: soxr at its HQ quality, then either the peak factored out into a
scale file (stems) or a soft clip (remix), then times 32768, clipped, cut towards zero to 16 bits, FLAC.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from validator.challenge.rules import CAD1

RESAMPLING = "HQ"  # soxr's name of the quality

Pcm = NDArray[np.int16]
Signal = NDArray[np.floating]


@dataclass(frozen=True)
class EncodedStem:
    """A mono stem as it is submitted: full-scale 16-bit samples and the factor that restores the level."""

    pcm: Pcm
    scale: float

    @property
    def scale_text(self) -> str:
        """What the scale file holds: the shortest decimal that reads back as `scale`, no newline."""
        return repr(self.scale)


def resample(signal: Signal, *, target_rate: int) -> Signal:
    """Brings a signal, samples along the first axis, from 44.1 kHz to `target_rate` Hz."""
    resampled: Signal = soxr.resample(signal, CAD1.reference_rate, target_rate, quality=RESAMPLING)
    return resampled


def to_pcm(signal: Signal) -> Pcm:
    """16-bit samples of a signal with full scale ±1: times 32768, clipped, cut towards zero."""
    pcm: Pcm = np.clip(signal * 32768.0, -32768.0, 32767.0).astype(np.int16)
    return pcm


def encode_stem(amplified: Signal) -> EncodedStem:
    """A stem at 24 kHz with its peak factored out.

    Args:
        amplified: One-dimensional, 44.1 kHz, any level.

    Returns:
        Samples that reach full scale, and the peak. A silent stem keeps its zeros and has the factor 1:
        the recipe divides by zero there, and a factor of 0 would break the contract of one positive number.
    """
    signal = resample(amplified, target_rate=CAD1.stem_rate)
    peak = float(np.max(np.abs(signal), initial=0.0))
    if peak == 0.0:
        return EncodedStem(pcm=np.zeros(len(signal), dtype=np.int16), scale=1.0)
    return EncodedStem(pcm=to_pcm(signal / peak), scale=peak)


def encode_remix(amplified: Signal) -> Pcm:
    """One channel of the remix at 32 kHz, softly clipped by tanh.

    Args:
        amplified: The sum of one ear's four amplified stems: one-dimensional, 44.1 kHz.
    """
    return to_pcm(np.clip(np.tanh(resample(amplified, target_rate=CAD1.remix_rate)), -1.0, 1.0))


def write_flac(path: Path, pcm: Pcm, *, sample_rate: int) -> None:
    """Writes 16-bit samples, (samples,) or (samples, channels), as FLAC; the same bytes each time.

    Raises:
        OSError: The disk is full, or cannot be written to.
    """
    encoded = io.BytesIO()  # libsndfile cannot say why a disk would not take its bytes; Python can
    soundfile.write(encoded, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    path.write_bytes(encoded.getbuffer())
