"""The effect of a hearing loss on the cochlea: hair cells, filter bandwidth, compression.

Source: Kates (2013), "An auditory model for intelligibility and quality predictions", POMA 19, 050184,
sections on the hearing loss; the split between outer and inner hair cells follows Moore et al. (1999),
JASA 106, 2761-2778.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.haaqi.kernels import rounding

CHANNELS = 32
AUDIOMETRIC_FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)

EAR_Q = 9.26449
MIN_BANDWIDTH = 24.7
LOWEST_CENTRE = 80
HIGHEST_CENTRE = 8000

LOW_RATIO = 1.25
RATIO_RANGE = 2.25
NORMAL_KNEE = 30
COMPRESSION_RANGE = 70
LINEAR_FROM = 100
OUTER_SHARE = 0.8
INNER_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Cochlea:
    """A listener's cochlea; each attribute has one number per auditory channel, (32,), in ascending frequency.

    Attributes:
        outer_loss: attenuation by the outer hair cells, dB.
        inner_loss: attenuation by the inner hair cells, dB.
        bandwidth: filter bandwidth at low levels, relative to a normal ear's.
        knee: level below which the amplification is linear, dB SPL.
        ratio: compression ratio between the knee and 100 dB SPL.
    """

    outer_loss: NDArray[np.float64]
    inner_loss: NDArray[np.float64]
    bandwidth: NDArray[np.float64]
    knee: NDArray[np.float64]
    ratio: NDArray[np.float64]

    @property
    def slope(self) -> NDArray[np.float64]:
        """Gain reduction in dB per dB of level above the knee."""
        return np.asarray(1 - (1 / self.ratio))


@cache
def centre_frequencies() -> NDArray[np.float64]:
    """Return the 32 centre frequencies in Hz, equally spaced in ERB number from 80 Hz to 8 kHz.

    Source: Slaney (1993), Apple technical report 35, equation for the ERB spacing.
    """
    offset = EAR_Q * MIN_BANDWIDTH
    span = -rounding.log(HIGHEST_CENTRE + offset) + rounding.log(LOWEST_CENTRE + offset)
    steps = np.arange(1, CHANNELS) * span / (CHANNELS - 1)
    below = -offset + rounding.exp(steps) * (HIGHEST_CENTRE + offset)
    centres = np.concatenate((below[::-1], [float(HIGHEST_CENTRE)]))
    centres.flags.writeable = False
    return centres


def equivalent_bandwidths() -> NDArray[np.float64]:
    """Return the equivalent rectangular bandwidths of a normal ear in Hz, (32,).

    Source: Moore and Glasberg (1983), JASA 74, 750-753.
    """
    return np.asarray(MIN_BANDWIDTH + (centre_frequencies() / EAR_Q))


def impaired_cochlea(hearing_loss: ArrayLike) -> Cochlea:
    """Return the cochlea of a listener with a hearing loss.

    Args:
        hearing_loss: (6,) dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz; negative values count as 0 after the
            interpolation to the centre frequencies.
    """
    centres = centre_frequencies()
    losses = np.asarray(hearing_loss)
    frequencies = np.concatenate(([centres[0]], AUDIOMETRIC_FREQUENCIES, [centres[-1]]))
    # As in pyclarity, where NumPy's `insert` converts the centre frequencies to integers.
    frequencies = np.trunc(frequencies)
    loss = np.interp(centres, frequencies, np.concatenate(([losses[0]], losses, [losses[-1]])))
    loss = np.maximum(loss, 0)

    ratio = LOW_RATIO + RATIO_RANGE * np.arange(CHANNELS) / (CHANNELS - 1)
    max_outer = 1.25 * (COMPRESSION_RANGE * (1 - (1 / ratio)))
    saturated = loss >= max_outer
    outer = np.where(saturated, OUTER_SHARE * max_outer, OUTER_SHARE * loss)
    inner = np.where(saturated, INNER_SHARE * max_outer + (loss - max_outer), INNER_SHARE * loss)

    bandwidth = np.ones(CHANNELS) + (outer / 50.0) + 2.0 * rounding.power(outer / 50.0, 6)
    knee = outer + NORMAL_KNEE
    loudest = NORMAL_KNEE + (COMPRESSION_RANGE / ratio)
    return Cochlea(
        outer_loss=outer,
        inner_loss=inner,
        bandwidth=bandwidth,
        knee=knee,
        ratio=(LINEAR_FROM - knee) / (loudest + outer - knee),
    )


@cache
def widest_bandwidths() -> NDArray[np.float64]:
    """Return the filter bandwidths without outer hair cells, relative to a normal ear's, (32,)."""
    widest = impaired_cochlea([100] * len(AUDIOMETRIC_FREQUENCIES)).bandwidth
    widest.flags.writeable = False
    return widest


def check_audiogram(audiogram: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Validate an audiogram and return it as an array.

    Raises:
        ValueError: it is not six finite numbers.
    """
    levels = np.asarray(audiogram)
    if levels.shape != (len(AUDIOMETRIC_FREQUENCIES),):
        raise ValueError(
            "An audiogram must have six levels, at 250, 500, 1000, 2000, 4000 and 6000 Hz; "
            f"its shape is {levels.shape}."
        )
    if not np.all(np.isfinite(levels.astype(np.float64))):
        raise ValueError("The levels of an audiogram must be finite.")
    return levels
