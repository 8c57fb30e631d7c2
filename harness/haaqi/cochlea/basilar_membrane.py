"""The input and the output of the auditory channels, for both signals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SignalPair(NamedTuple):
    """Both signals behind the middle ear, at 24 kHz.

    Attributes:
        reference: (m,) samples, m a multiple of `gammatone.BLOCK`.
        processed: (m,) samples.
    """

    reference: NDArray[np.float64]
    processed: NDArray[np.float64]


class BasilarMembrane(NamedTuple):
    """The compressed output of one channel for one signal.

    Attributes:
        envelope: (k,) linear.
        motion: (k,) linear.
    """

    envelope: NDArray[np.float64]
    motion: NDArray[np.float64]


class ChannelOutputs(NamedTuple):
    """The compressed outputs of one channel for both signals."""

    reference: BasilarMembrane
    processed: BasilarMembrane
