"""The gain that NAL-R prescribes for a hearing loss.

Sources:
    Byrne & Dillon (1986), "The National Acoustic Laboratories' (NAL) new procedure for selecting the gain and
    frequency response of a hearing aid", Ear and Hearing 7(4), 257-265: G(f) = X + 0.31 H(f) + k(f) with
    X = 0.05 (H500 + H1000 + H2000).
    Byrne, Parkinson & Newall (1990), for severe losses: the part of the sum above 180 dB counts 0.116 instead of
    0.05.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)
"""Frequencies in Hz at which NAL-R prescribes a gain."""

_BIAS = np.array([-17.0, -8.0, 1.0, -1.0, -2.0, -2.0])  # dB, k(f) at each of the frequencies
_KNEE = 180.0  # dB, summed loss at 500, 1000 and 2000 Hz above which the gain grows more slowly


def is_normal_hearing(levels: npt.ArrayLike) -> bool:
    """Whether no hearing level (dB HL) is above 0; pyclarity 0.3.2 does not amplify then."""
    return bool(np.max(levels) <= 0)


def nalr_gains(levels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Prescribed gains for one ear with a hearing loss.

    Args:
        levels: Hearing levels in dB HL at `FREQUENCIES`.

    Returns:
        Gains in dB, none below 0, shape (6,).

    Raises:
        ValueError: the levels are not six finite numbers.
    """
    loss = np.asarray(levels, dtype=np.float64)
    if loss.shape != (len(FREQUENCIES),) or not np.all(np.isfinite(loss)):
        raise ValueError(f"NAL-R needs six finite hearing levels in dB HL, not {levels!r}")
    summed = loss[1] + loss[2] + loss[3]
    common = 0.05 * summed if summed <= _KNEE else 9.0 + 0.116 * (summed - _KNEE)
    return np.asarray(np.maximum(common + 0.31 * loss + _BIAS, 0.0))


def response(levels: Sequence[float], frequencies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gain in dB with which the scorer amplifies a reference, of the frequencies' shape.

    It is 0 for normal hearing. Between `FREQUENCIES` it is linear in dB over Hz.

    Args:
        levels: Hearing levels in dB HL at `FREQUENCIES`.
        frequencies: Frequencies in Hz.

    Raises:
        ValueError: the levels are not six finite numbers.
    """
    gains = nalr_gains(levels)
    return np.interp(frequencies, FREQUENCIES, np.zeros_like(gains) if is_normal_hearing(levels) else gains)
