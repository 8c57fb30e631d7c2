"""A song as the input of a separator: its mixture and, for the yardsticks, its true stems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from harness.protocol.errors import SetupError, UsageError
from validator.challenge.rules import CAD1
from validator.challenge.songs import Song

Stereo = NDArray[np.float32]  # shape (2, samples): left, right; full scale ±1


@dataclass(frozen=True)
class Track:
    """One song of the data root, read part by part.

    Args:
        song: The song; it must come from a data root, not from the roster.
    """

    song: Song

    @property
    def name(self) -> str:
        """The song's name, verbatim."""
        return self.song.name

    @property
    def frames(self) -> int:
        """Samples per channel at 44.1 kHz.

        Raises:
            UsageError: The song comes from the roster, which has no audio.
        """
        if self.song.frames is None:
            raise UsageError(
                f"There is no audio of {self.name!r} to enhance.", hint="Give the data root with --data."
            )
        return self.song.frames

    def read(self, part: str) -> Stereo:
        """Decode the mixture or a stem.

        Args:
            part: "mixture" or a stem's name.

        Returns:
            Shape (2, samples), float32, int16 / 32768.

        Raises:
            SetupError: The file cannot be read, or has changed since the data root was checked.
        """
        path = self.song.reference_path(part)
        try:
            pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
        except (OSError, soundfile.SoundFileError) as error:
            raise SetupError(
                f"{path} cannot be read as audio: {error}.", hint="Check the data root given by --data."
            ) from error
        if pcm.shape != (self.frames, 2) or rate != CAD1.reference_rate:
            raise SetupError(
                f"{path} has {pcm.shape[0]} samples at {rate} Hz with {pcm.shape[1]} "
                f"channel{'' if pcm.shape[1] == 1 else 's'}; expected {self.frames} samples at "
                f"{CAD1.reference_rate} Hz with 2 channels.",
                hint="Unpack the challenge's music again, and do not change it while the command runs.",
            )
        return np.ascontiguousarray(pcm.T).astype(np.float32) / np.float32(CAD1.full_scale)
