"""Validation of signals."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.haaqi.kernels import rounding

Signal: TypeAlias = NDArray[np.floating]


def check_signal(signal: ArrayLike, *, name: str) -> Signal:
    """Validate a signal and return it as a floating-point array.

    Args:
        signal: (n,) samples; float32 and float64 keep their type, integers become float64.
        name: how messages refer to it, such as "The reference signal".

    Raises:
        ValueError: the signal is empty, not one-dimensional, not real, or contains NaN or infinity.
    """
    array = np.asarray(signal)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional (one channel), not of shape {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{name} is empty.")
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, not {array.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinite samples.")
    return array


def is_silent(signal: Signal) -> bool:
    """Return whether every sample is zero."""
    return not np.any(signal)


def rms(signal: Signal) -> np.floating:
    """Return the root mean square, in the signal's precision."""
    value: np.floating = np.sqrt(rounding.mean(signal**2))
    return value
