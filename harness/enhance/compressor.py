"""The recipe's dynamic-range compressor, off by default.

Its gain moves towards a level-dependent target while the running rms is above the threshold (attack), and
back to 1 below it (release), each as a first-order recursion. The numbers are those of pyclarity 0.3.2's
`clarity.enhancer.compressor` within 1e-9; the values of `Compressor()` are the recipe's configuration.
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
        threshold: Running rms above which the gain falls.
        attenuation: Weight of the rms in the gain aimed at, 0 to 1; the threshold has the rest.
        attack: Time constant in ms of the gain's fall, at least 1.
        release: Time constant in ms of its return, at least 1.
        window: Seconds of the running rms.
        sample_rate: Hz.
    """

    threshold: float = 0.35
    attenuation: float = 0.1
    attack: float = 50.0
    release: float = 1000.0
    window: float = 0.064
    sample_rate: int = CAD1.reference_rate

    def __call__(self, signal: Samples) -> Samples:
        """Compresses a one-dimensional signal from its first sample on; the result has its length."""
        rms = self._running_rms(signal)
        loud = rms > self.threshold
        rate = np.where(loud, self._rate(self.attack), self._rate(self.release))
        aim = np.where(loud, rms * self.attenuation + (1 - self.attenuation) * self.threshold, 1.0)
        compressed: Samples = signal * _follow(aim, rate)
        return compressed

    def _rate(self, milliseconds: float) -> float:
        """Share of the way to its aim that the gain goes in one sample."""
        return 1000 / milliseconds / self.sample_rate

    def _running_rms(self, signal: Samples) -> Samples:
        """Rms over the window that ends at each sample; silence comes before the first."""
        width = int(self.window * self.sample_rate)
        energy = np.concatenate((np.zeros(width), np.cumsum(signal**2)))
        running: Samples = np.sqrt(np.maximum(energy[width:] - energy[:-width], 0.0) / width + _FLOOR)
        return running


def _follow(aim: Samples, rate: Samples) -> Samples:
    """Solves g[i] = g[i-1] + rate[i] (aim[i] - g[i-1]) from g = 1, block by block.

    Within a block the recursion is a cumulative sum weighted by the cumulative product of 1 - rate, which
    over 4096 samples stays far above underflow for time constants of 1 ms and more.
    """
    out = np.empty_like(aim)
    gain = 1.0
    for start in range(0, len(aim), _BLOCK):
        here = slice(start, start + _BLOCK)
        decay = np.cumprod(1 - rate[here])
        out[here] = decay * (gain + np.cumsum(rate[here] * aim[here] / decay))
        gain = out[here][-1]
    return out
