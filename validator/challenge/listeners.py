"""Listeners and their audiograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener of a split.

    Attributes:
        id: As in the metadata, such as "L5002".
        frequencies: Hz; empty for the roster, which has no audiograms.
        left, right: Hearing levels in dB HL at these frequencies.
    """

    id: str
    frequencies: tuple[int, ...] = ()
    left: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    def levels(self, side: str, frequencies: Sequence[int] = CAD1.frequencies) -> tuple[float, ...]:
        """Hearing levels in dB HL of one ear at exactly these frequencies (Hz).

        Raises:
            ValueError: the side is not "left" or "right", or a frequency is not in the audiogram.
        """
        if side not in CAD1.sides:
            raise ValueError(f"side is {side!r}; it must be 'left' or 'right'")
        levels = self.left if side == "left" else self.right
        missing = [frequency for frequency in frequencies if frequency not in self.frequencies]
        if missing:
            raise ValueError(f"the audiogram of {self.id} has no level at {missing} Hz")
        return tuple(levels[self.frequencies.index(frequency)] for frequency in frequencies)
