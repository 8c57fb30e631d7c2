"""What a hearing loss does to the cochlea: outer and inner hair cells, filter width, compression.

Source: Kates (2013), "An auditory model for intelligibility and quality predictions", POMA 19,
050184, sections on the hearing loss; the split between outer and inner hair cells follows Moore et
al. (1999), JASA 106, 2761-2778.
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
    """A listener's cochlea, one number per auditory channel from the lowest to the highest.

    Attributes:
        outer_loss: attenuation by the outer hair cells, dB.
        inner_loss: attenuation by the inner hair cells, dB.
        bandwidth: filter width at low levels, in widths of a normal ear.
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
        """Decibels of gain lost for each decibel of level above the knee."""
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
    """Return the equivalent rectangular bandwidth of a normal ear in Hz, channel by channel.

    Source: Moore and Glasberg (1983), JASA 74, 750-753.
    """
    return np.asarray(MIN_BANDWIDTH + (centre_frequencies() / EAR_Q))


def cochlea(hearing_loss: ArrayLike) -> Cochlea:
    """Apportion a hearing loss to the cochlea's parts.

    Args:
        hearing_loss: (6,) dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz; negative counts as 0
            after the interpolation to the centre frequencies.

    Returns:
        The listener's cochlea.
    """
    centres = centre_frequencies()
    losses = np.asarray(hearing_loss)
    frequencies = np.concatenate(([centres[0]], AUDIOMETRIC_FREQUENCIES, [centres[-1]]))
    # NumPy's `insert`, which the model was defined with, keeps whole frequencies whole.
    frequencies = np.trunc(frequencies)
    loss = np.interp(centres, frequencies, np.concatenate(([losses[0]], losses, [losses[-1]])))
    loss = np.maximum(loss, 0)

    ratio = LOW_RATIO + RATIO_RANGE * np.arange(CHANNELS) / (CHANNELS - 1)
    most_outer = 1.25 * (COMPRESSION_RANGE * (1 - (1 / ratio)))
    exhausted = loss >= most_outer
    outer = np.where(exhausted, OUTER_SHARE * most_outer, OUTER_SHARE * loss)
    inner = np.where(exhausted, INNER_SHARE * most_outer + (loss - most_outer), INNER_SHARE * loss)

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
    """Return the filter widths with the outer hair cells gone, in widths of a normal ear."""
    widest = cochlea([100] * len(AUDIOMETRIC_FREQUENCIES)).bandwidth
    widest.flags.writeable = False
    return widest


def check_audiogram(audiogram: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an audiogram as an array.

    Raises:
        ValueError: it does not hold six finite numbers.
    """
    levels = np.asarray(audiogram)
    if levels.shape != (len(AUDIOMETRIC_FREQUENCIES),):
        raise ValueError(
            "An audiogram has six levels, at 250, 500, 1000, 2000, 4000 and 6000 Hz; "
            f"this one has the shape {levels.shape}."
        )
    if not np.all(np.isfinite(levels.astype(np.float64))):
        raise ValueError("An audiogram's levels must be finite numbers.")
    return levels
