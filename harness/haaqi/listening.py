"""What one listener hears of a song, and the scores. This module imports nothing that is compiled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = list[float | None]
"""HAAQI of each signal, or None where the reference is silent."""


@dataclass(frozen=True, kw_only=True)
class Listening:
    """What one listener hears of a song.

    Attributes:
        processed: in the order of the references, each (m,) samples of one channel. Each signal is taken when
            the previous one has been scored, so they need not all be in memory.
        audiograms: for each signal six levels in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz.
    """

    processed: Iterable[NDArray[np.float32]]
    audiograms: Sequence[Sequence[float]]
