"""A song as a separator gets it: its mixture and, for the yardsticks, its true stems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from harness.protocol.errors import SetupError, UsageError
from validator.challenge.songs import Song
from validator.challenge.rules import CAD1

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
            UsageError: The song comes from the roster, which holds no audio.
        """
        if self.song.frames is None:
            raise UsageError(
                f"There is no audio of {self.name!r} to enhance.", hint="Give the data root with --data."
            )
        return self.song.frames

    def read(self, part: str) -> Stereo:
        """Decodes the mixture or a stem.

        Args:
            part: "mixture" or a stem's name.

        Returns:
            Shape (2, samples), float32, int16 / 32768.

        Raises:
            SetupError: The file cannot be read, or is no longer what it was when the data root was checked.
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
                f"{path} holds {pcm.shape[0]} samples in {pcm.shape[1]} channel(s) at {rate} Hz; "
                f"expected are {self.frames} in 2 at {CAD1.reference_rate} Hz.",
                hint="Unpack the challenge's music again, and leave it alone while the command runs.",
            )
        return np.ascontiguousarray(pcm.T).astype(np.float32) / np.float32(32768)
