"""The recipe's dynamic-range compressor, off by default.

While the running RMS is above the threshold, the gain approaches a level-dependent target (attack); below it, the
gain returns to 1 (release). Both are first-order recursions. Results are within 1e-9 of pyclarity 0.3.2's
`clarity.enhancer.compressor`; the defaults of `Compressor` are the recipe's configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from validator.challenge.rules import CAD1

Samples = NDArray[np.float64]

_FLOOR = 1e-8  # added to the mean square
_BLOCK = 4096  # samples of the recursion at a time: long enough to be fast, short enough not to underflow


@dataclass(frozen=True)
class Compressor:
    """A compressor for signals with full scale ±1.

    Args:
        threshold: Running RMS above which the gain is reduced.
        attenuation: Weight of the RMS in the target gain, 0 to 1; the threshold has the remaining weight.
        attack: Time constant in ms of the gain reduction, at least 1.
        release: Time constant in ms of the return to 1, at least 1.
        window: Window of the running RMS in seconds.
        sample_rate: Hz.
    """

    threshold: float = 0.35
    attenuation: float = 0.1
    attack: float = 50.0
    release: float = 1000.0
    window: float = 0.064
    sample_rate: int = CAD1.reference_rate

    def __call__(self, signal: Samples) -> Samples:
        """Compress a one-dimensional signal; the result has the same length."""
        rms = self._running_rms(signal)
        loud = rms > self.threshold
        rate = np.where(loud, self._rate(self.attack), self._rate(self.release))
        target = np.where(loud, rms * self.attenuation + (1 - self.attenuation) * self.threshold, 1.0)
        compressed: Samples = signal * _follow(target, rate)
        return compressed

    def _rate(self, milliseconds: float) -> float:
        """Fraction of the distance to its target that the gain covers in one sample."""
        return 1000 / milliseconds / self.sample_rate

    def _running_rms(self, signal: Samples) -> Samples:
        """RMS over the window that ends at each sample; the signal is preceded by silence."""
        width = int(self.window * self.sample_rate)
        energy = np.concatenate((np.zeros(width), np.cumsum(signal**2)))
        running: Samples = np.sqrt(np.maximum(energy[width:] - energy[:-width], 0.0) / width + _FLOOR)
        return running


def _follow(target: Samples, rate: Samples) -> Samples:
    """Solve g[i] = g[i-1] + rate[i] (target[i] - g[i-1]) from g = 1, block by block.

    Within a block, the recursion is a cumulative sum weighted by the cumulative product of 1 - rate, which does not
    underflow in 4096 samples for time constants of at least 1 ms.
    """
    out = np.empty_like(target)
    gain = 1.0
    for start in range(0, len(target), _BLOCK):
        here = slice(start, start + _BLOCK)
        decay = np.cumprod(1 - rate[here])
        out[here] = decay * (gain + np.cumsum(rate[here] * target[here] / decay))
        gain = out[here][-1]
    return out
