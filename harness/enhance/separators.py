"""Separators: from a stereo song to four stereo stems.

A team's own separator is any callable given as `package.module:name`:

    def separate(mixture, sample_rate):
        return {"drums": ..., "bass": ..., "other": ..., "vocals": ...}

`mixture` is a float32 array of shape (2, samples), left then right, full scale ±1, at 44100 Hz; each stem
is an array of that shape. A class is instantiated once, without arguments, and its instance is called.
Stems are named, not numbered: a submission of 2023 lost half its score because of their order.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.enhance.track import Stereo, Track
from harness.protocol.errors import HarnessError, SubmissionError
from validator.challenge.rules import CAD1

BlockProgress = Callable[[int, int], None]  # blocks done, blocks in all
Stems = Mapping[str, Stereo]
LEAKAGE = 0.2  # gain of the other stems in each stem of the `leaky` separator


class Separator(Protocol):
    """Separates a song into four stems."""

    @property
    def identity(self) -> str:
        """Name of the separator and of everything that its result depends on.

        An unfinished run is only continued with the same identity.
        """

    def separate(self, track: Track, target: NDArray[np.float32], report: BlockProgress) -> None:
        """Separate one song.

        Args:
            track: The song.
            target: Array for the result, shape (4, 2, samples), in the order of `CAD1.stems`, left then right.
                It may be on disk, so that the stems need not fit into memory.
            report: May be called with the number of blocks done and in all.

        Raises:
            HarnessError: It failed; the class of the error gives the cause.
        """


class Oracle:
    """The true stems: the upper bound."""

    identity = "oracle"

    def separate(self, track: Track, target: NDArray[np.float32], report: BlockProgress) -> None:
        """Copy the true stems."""
        for index, stem in enumerate(CAD1.stems):
            target[index] = track.read(stem)


class Mixture:
    """A quarter of the mixture as every stem: the lower bound."""

    identity = "mixture"

    def separate(self, track: Track, target: NDArray[np.float32], report: BlockProgress) -> None:
        """Copy the mixture, divided by the number of stems."""
        target[:] = track.read("mixture") / np.float32(len(CAD1.stems))


class Leaky:
    """Each true stem with a fifth of the sum of the others: a known quality between the bounds."""

    identity = f"leaky {LEAKAGE}"

    def separate(self, track: Track, target: NDArray[np.float32], report: BlockProgress) -> None:
        """Mix the true stems."""
        true = [track.read(stem) for stem in CAD1.stems]
        for index in range(len(CAD1.stems)):
            others = sum(stem for position, stem in enumerate(true) if position != index)
            target[index] = true[index] + np.float32(LEAKAGE) * others


class TeamSeparator:
    """A team's own callable.

    Args:
        spec: Its name, for error messages.
        call: Function of the mixture and the sample rate in Hz that returns the stems.
    """

    def __init__(self, spec: str, call: Callable[[Stereo, int], Stems]) -> None:
        self._spec = spec
        self._call = call
        self.identity = f"{spec} {_source_digest(call)}".strip()

    def separate(self, track: Track, target: NDArray[np.float32], report: BlockProgress) -> None:
        """Call it once with the whole mixture, and check the result.

        Raises:
            SubmissionError: It raised an error, or did not return four finite stems of the right shape.
        """
        mixture = track.read("mixture")
        try:
            stems = self._call(mixture, CAD1.reference_rate)
        except HarnessError:
            raise
        except Exception as error:
            raise SubmissionError(
                f"The separator {self._spec} raised {type(error).__name__} on {track.name!r}: {error}",
                hint="Run it on that song's mixture.wav to find the cause.",
            ) from error
        for index, stem in enumerate(CAD1.stems):
            target[index] = self._checked(stems, stem, track=track, shape=mixture.shape)

    def _checked(self, stems: Any, stem: str, *, track: Track, shape: tuple[int, ...]) -> NDArray[np.float32]:
        hint = f"Return a dict from {', '.join(CAD1.stems)} to arrays of shape (2, samples)."
        if not isinstance(stems, Mapping):
            raise SubmissionError(
                f"The separator {self._spec} returned {type(stems).__name__} for {track.name!r}; "
                "expected a dict.",
                hint=hint,
            )
        if set(stems) != set(CAD1.stems):
            raise SubmissionError(
                f"The separator {self._spec} returned the stems {', '.join(map(str, stems)) or 'none'} for "
                f"{track.name!r}; expected {', '.join(CAD1.stems)}.",
                hint=hint,
            )
        try:
            signal = np.asarray(stems[stem])
        except Exception as error:  # tensors on a device or with gradients, ragged lists
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} as "
                f"{type(stems[stem]).__name__}, which cannot be converted to an array: {error}",
                hint=hint,
            ) from error
        if not np.issubdtype(signal.dtype, np.floating):
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} as {signal.dtype}; "
                "expected floating-point samples with full scale ±1.",
                hint=hint,
            )
        if signal.shape != shape:
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} with the shape {signal.shape}; "
                f"expected the shape of the mixture, {shape}.",
                hint=hint,
            )
        with np.errstate(over="ignore"):
            signal = signal.astype(np.float32, copy=False)
        if not np.all(np.isfinite(signal)):
            where = int(np.argmin(np.all(np.isfinite(signal), axis=0)))
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} with a value that is not "
                f"finite, first at sample {where}.",
                hint="Look for a division by zero or an overflow in the model.",
            )
        return signal


def _source_digest(thing: object) -> str:
    """First digits of the SHA-256 of the file that defines a callable; empty if there is no such file."""
    try:
        source = inspect.getsourcefile(inspect.unwrap(thing) if inspect.isroutine(thing) else type(thing))
    except TypeError:
        return ""
    return "" if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16]
