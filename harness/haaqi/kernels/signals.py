"""What a signal must be to be scored."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.haaqi.kernels import rounding

Signal: TypeAlias = NDArray[np.floating]


def check_signal(signal: ArrayLike, *, name: str) -> Signal:
    """Return a signal as an array of floating point numbers.

    Args:
        signal: (n,) samples; float32 and float64 stay what they are.
        name: what to call it in a message, such as "reference".

    Raises:
        ValueError: it is empty, not one-dimensional, not numeric, or holds NaN or infinity.
    """
    array = np.asarray(signal)
    if array.ndim != 1:
        raise ValueError(
            f"The {name} signal must have one dimension (one channel); it has the shape {array.shape}."
        )
    if array.size == 0:
        raise ValueError(f"The {name} signal is empty.")
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"The {name} signal must be of float32 or float64 samples, not {array.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError(f"The {name} signal holds NaN or infinite samples.")
    return array


def is_silent(signal: Signal) -> bool:
    """Say whether every sample is zero."""
    return not np.any(signal)


def rms(signal: Signal) -> np.floating:
    """Return the root of the mean square, in the signal's own precision."""
    value: np.floating = np.sqrt(rounding.mean(signal**2))
    return value
