"""Encodes amplified signals: sample rate, level, rounding and codec.

Every step follows the challenge's recipe: resampling with soxr (HQ), then the peak moved to a scale file (stems) or
a soft limiter (remix), then 16-bit samples rounded towards zero, then FLAC.
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

RESAMPLING = "HQ"  # quality setting of soxr

Pcm = NDArray[np.int16]
Signal = NDArray[np.floating]


@dataclass(frozen=True)
class EncodedStem:
    """A mono stem as submitted: 16-bit samples normalised to full scale, and the factor that restores the level."""

    pcm: Pcm
    scale: float

    @property
    def scale_text(self) -> str:
        """Contents of the scale file: the shortest decimal that reads back as `scale`, without a newline."""
        return repr(self.scale)


def resample(signal: Signal, *, target_rate: int) -> Signal:
    """Resample a signal, samples along the first axis, from 44.1 kHz to `target_rate` Hz."""
    resampled: Signal = soxr.resample(signal, CAD1.reference_rate, target_rate, quality=RESAMPLING)
    return resampled


def to_pcm(signal: Signal) -> Pcm:
    """16-bit samples of a signal with full scale ±1: scaled, clipped, rounded towards zero."""
    full = float(CAD1.full_scale)
    pcm: Pcm = np.clip(signal * full, -full, full - 1.0).astype(np.int16)
    return pcm


def encode_stem(amplified: Signal) -> EncodedStem:
    """Encode a stem at 24 kHz, with its peak moved to the scale.

    Args:
        amplified: One-dimensional, 44.1 kHz, any level.

    Returns:
        Samples that reach full scale, and the peak. A silent stem has zeros and the factor 1: the recipe divides
        by zero in this case, and a scale file must contain a positive number.
    """
    signal = resample(amplified, target_rate=CAD1.stem_rate)
    peak = float(np.max(np.abs(signal), initial=0.0))
    if peak == 0.0:
        return EncodedStem(pcm=np.zeros(len(signal), dtype=np.int16), scale=1.0)
    return EncodedStem(pcm=to_pcm(signal / peak), scale=peak)


def encode_remix(amplified: Signal) -> Pcm:
    """Encode one channel of the remix at 32 kHz, soft-limited by tanh.

    Args:
        amplified: The sum of one ear's four amplified stems: one-dimensional, 44.1 kHz.
    """
    return to_pcm(np.clip(np.tanh(resample(amplified, target_rate=CAD1.remix_rate)), -1.0, 1.0))


def write_flac(path: Path, pcm: Pcm, *, sample_rate: int) -> None:
    """Write 16-bit samples, (samples,) or (samples, channels), as FLAC; the same bytes every time.

    Raises:
        OSError: The disk is full or not writable.
    """
    encoded = io.BytesIO()  # unlike libsndfile, Python reports why writing failed
    soundfile.write(encoded, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    path.write_bytes(encoded.getbuffer())
