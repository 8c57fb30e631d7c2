"""The gain that NAL-R prescribes (Byrne & Dillon 1986, Ear and Hearing 7(4), 257-265).

    G(f) = X + 0.31 H(f) + k(f),  X = 0.05 (H500 + H1000 + H2000)

with the sum's part over 180 dB counting 0.116 instead (Byrne, Parkinson & Newall 1990, for severe losses),
and never less than 0 dB. Between the audiometric frequencies the scorer goes on straight lines in dB over Hz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)
"""Hz, at which a hearing loss is given."""

_BIAS = np.array([-17.0, -8.0, 1.0, -1.0, -2.0, -2.0])
_SEVERE = 180.0


def gains(loss: Sequence[float]) -> npt.NDArray[np.float64]:
    """Prescribed gain in dB, at least 0, shape (6,).

    Args:
        loss: Hearing loss in dB HL at `FREQUENCIES`.

    Raises:
        ValueError: there are not six values.
    """
    levels = np.asarray(loss, dtype=np.float64)
    if levels.shape != (len(FREQUENCIES),):
        raise ValueError(f"loss has shape {levels.shape}; six values at {FREQUENCIES} Hz are needed")
    if levels.max() <= 0:
        return np.zeros(len(FREQUENCIES))  # normal hearing: the scorer amplifies nothing
    three = float(levels[1] + levels[2] + levels[3])
    common = 0.05 * min(three, _SEVERE) + 0.116 * max(three - _SEVERE, 0.0)
    return np.asarray(np.maximum(common + 0.31 * levels + _BIAS, 0.0))


def response(loss: Sequence[float], frequencies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Prescribed gain in dB at any frequencies in Hz, of their shape."""
    return np.interp(frequencies, FREQUENCIES, gains(loss))
