"""Level matching: scales each stem to the level of its reference in the scorer.

HAAQI amplifies the reference with its own NAL-R filter (140 taps at 24 kHz) and compares levels, among others. A
stem is at another level if the separator loses energy, and because the filters differ; `--gain match` corrects
that. It is not part of the challenge's recipe. It uses the true stems if the data root has them, so it shows what
level matching can gain, but does not make a fair submission.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.enhance.encoding import resample
from harness.enhance.nalr import Samples, nalr_taps
from harness.enhance.track import Track
from validator.challenge.listeners import Listener
from validator.challenge.rules import CAD1

SCORER_ORDER = 140  # of HAAQI's NAL-R filter, at 24 kHz
_FRAME = 2048  # samples of one frame of the long-term spectrum


@dataclass(frozen=True)
class SongSpectra:
    """Long-term power spectra of the scored part of a song at 24 kHz.

    Args:
        power: Spectrum of each part and side, shape (parts, 2, 1025); the bins of a spectrum sum to the mean
            square of the signal.
        matched: Whether the parts are the four stems; otherwise the only part is the mixture.
    """

    power: Samples
    matched: bool

    @classmethod
    def measure(cls, track: Track) -> SongSpectra:
        """Measure a song's stems, or its mixture if the file of a stem is missing.

        Raises:
            SetupError: A file cannot be read.
        """
        matched = all(track.song.reference_path(stem).is_file() for stem in CAD1.stems)
        segment = track.song.objective
        scored = slice(None) if segment is None else slice(*segment.samples())
        power = [
            [_spectrum(resample(side[scored], target_rate=CAD1.stem_rate)) for side in track.read(part)]
            for part in (CAD1.stems if matched else ("mixture",))
        ]
        return cls(power=np.array(power), matched=matched)

    def levels(self, listener: Listener, side: str) -> Samples:
        """RMS of each part after the scorer's NAL-R for one ear; shape (parts,)."""
        taps = nalr_taps(
            frequencies=listener.frequencies,
            levels=getattr(listener, side),
            sample_rate=CAD1.stem_rate,
            order=SCORER_ORDER,
        )
        response = np.abs(np.fft.rfft(taps, _FRAME)) ** 2
        levels: Samples = np.sqrt(self.power[:, CAD1.sides.index(side)] @ response)
        return levels

    def factors(self, amplified: Samples, *, listener: Listener, side: str) -> Samples:
        """Factors that scale one ear's stems to the scorer's levels.

        Args:
            amplified: Mean squares of the four amplified stems, and of their sum: shape (5,).
            listener: The listener.
            side: "left" or "right".

        Returns:
            Four factors, one for each stem. If only the mixture is known they are equal, and scale the sum of the
            stems to the mixture's level. A factor is 1 if either level is zero.
        """
        wanted = self.levels(listener, side)
        found = np.sqrt(amplified[: len(CAD1.stems)] if self.matched else amplified[len(CAD1.stems) :])
        factors = np.ones_like(wanted)
        np.divide(wanted, found, out=factors, where=(found > 0) & (wanted > 0))
        return factors if self.matched else np.repeat(factors, len(CAD1.stems))


def _spectrum(signal: NDArray[np.floating]) -> Samples:
    """Averaged periodogram with a Hann window and half overlap, scaled to sum to the mean square."""
    padded = np.concatenate((np.zeros(_FRAME // 2), signal, np.zeros(_FRAME)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:: _FRAME // 2]
    window = np.hanning(_FRAME)
    power = np.zeros(_FRAME // 2 + 1)
    for start in range(0, len(frames), 64):
        power += np.sum(np.abs(np.fft.rfft(frames[start : start + 64] * window, axis=1)) ** 2, axis=0)
    total = float(np.sum(power))
    mean_square = float(np.mean(np.square(signal, dtype=np.float64)))
    return power * (mean_square / total) if total > 0 else power
