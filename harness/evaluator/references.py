"""A song's references, made as the official scorer makes them.

16-bit PCM / 32768 as float32, then both channels resampled together with soxr (HQ) from 44.1 to 24 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from validator.challenge.rules import CAD1, side_and_stem

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class References:
    """The reference channels of one song in `CAD1.scoring_order`.

    Attributes:
        song: The song's name.
        channels: Eight arrays (samples,) of float32 at 24 kHz.
        levels: HAAQI's level1 of each in dB: the SPL of a signal whose RMS is 1; NaN for a silent channel.
    """

    song: str
    channels: tuple[Signal, ...]
    levels: tuple[float, ...]

    @property
    def seed(self) -> int:
        """The seed of the noise generator for each example of this song."""
        return CAD1.seed(self.song)


def level_of(channel: Signal) -> float:
    """HAAQI's level1 in dB for a reference channel of shape (samples,); NaN if it is digitally silent."""
    rms = np.sqrt(np.mean(np.square(channel)))
    if rms == 0.0:
        return float("nan")
    return CAD1.level - 20.0 * float(np.log10(rms))


def make_references(song: str, stems: Mapping[str, NDArray[np.int16]]) -> References:
    """Resamples the four stereo references of a song.

    Args:
        song: The song's name.
        stems: For each of `CAD1.stems` the samples that are scored, (frames, 2) at 44.1 kHz.
    """
    channels: dict[str, Signal] = {}
    for stem in dict.fromkeys(side_and_stem(name)[1] for name in CAD1.scoring_order):
        resampled = soxr.resample(
            (stems[stem] / CAD1.full_scale).astype(np.float32),
            CAD1.reference_rate,
            CAD1.stem_rate,
            quality="HQ",
        )
        channels[f"left_{stem}"], channels[f"right_{stem}"] = resampled[:, 0], resampled[:, 1]
    ordered = tuple(channels[name] for name in CAD1.scoring_order)
    return References(song=song, channels=ordered, levels=tuple(level_of(c) for c in ordered))
