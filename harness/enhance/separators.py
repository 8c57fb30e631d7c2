"""Separators: a stereo song in, four stereo stems out.

A team's own is any callable named by `package.module:name`:

    def separate(mixture, sample_rate):
        return {"drums": ..., "bass": ..., "other": ..., "vocals": ...}

`mixture` is a float32 array of shape (2, samples), left then right, full scale ±1, at 44100 Hz; each stem
is an array of that shape. A class is made without arguments once, and its instance is called.
Stems are named and never numbered: a submission of 2023 lost half its score to stems in another order.
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

Report = Callable[[int, int], None]
Stems = Mapping[str, Stereo]
LEAKAGE = 0.2  # share of every other stem that the `leaky` separator lets through


class Separator(Protocol):
    """What makes four stems out of a song."""

    @property
    def identity(self) -> str:
        """Names the separator and everything its result depends on.

        A half-finished run goes on only with the same one.
        """

    def separate(self, track: Track, target: NDArray[np.float32], report: Report) -> None:
        """Separates one song.

        Args:
            track: The song.
            target: Shape (4, 2, samples), in the order of `CAD1.stems`, left then right; written to. It may
                lie on disk, so that a song's stems never have to fit into memory.
            report: May be called with the number of blocks done, and of all, as a long separation goes on.

        Raises:
            HarnessError: It cannot be done; the sentence says by whose fault.
        """


class Oracle:
    """The true stems: the ceiling."""

    identity = "oracle"

    def separate(self, track: Track, target: NDArray[np.float32], report: Report) -> None:
        """Copies the song's own stems."""
        for index, stem in enumerate(CAD1.stems):
            target[index] = track.read(stem)


class Mixture:
    """A quarter of the song in every stem: the floor."""

    identity = "mixture"

    def separate(self, track: Track, target: NDArray[np.float32], report: Report) -> None:
        """Copies the mixture, divided by the number of stems."""
        target[:] = track.read("mixture") / np.float32(len(CAD1.stems))


class Leaky:
    """Each true stem with a fifth of the sum of the other three: a known quality in between."""

    identity = f"leaky {LEAKAGE}"

    def separate(self, track: Track, target: NDArray[np.float32], report: Report) -> None:
        """Mixes the true stems into one another."""
        true = [track.read(stem) for stem in CAD1.stems]
        for index in range(len(CAD1.stems)):
            others = sum(stem for position, stem in enumerate(true) if position != index)
            target[index] = true[index] + np.float32(LEAKAGE) * others


class TeamSeparator:
    """A team's own callable.

    Args:
        spec: How the user named it, for the error sentences.
        call: Takes the mixture and the sample rate in Hz, returns the stems.
    """

    def __init__(self, spec: str, call: Callable[[Stereo, int], Stems]) -> None:
        self._spec = spec
        self._call = call
        self.identity = f"{spec} {_source_digest(call)}".strip()

    def separate(self, track: Track, target: NDArray[np.float32], report: Report) -> None:
        """Calls it once with the whole mixture and checks what comes back.

        Raises:
            SubmissionError: It raised, or returned something else than four finite stems of the right shape.
        """
        mixture = track.read("mixture")
        try:
            stems = self._call(mixture, CAD1.reference_rate)
        except HarnessError:
            raise
        except Exception as error:
            raise SubmissionError(
                f"The separator {self._spec} raised {type(error).__name__} on {track.name!r}: {error}",
                hint="Run it alone on that song's mixture.wav to see where.",
            ) from error
        for index, stem in enumerate(CAD1.stems):
            target[index] = self._checked(stems, stem, track=track, shape=mixture.shape)

    def _checked(self, stems: Any, stem: str, *, track: Track, shape: tuple[int, ...]) -> NDArray[np.float32]:
        hint = f"Return a mapping from {', '.join(CAD1.stems)} to arrays of shape (2, samples)."
        if not isinstance(stems, Mapping):
            raise SubmissionError(
                f"The separator {self._spec} returned a {type(stems).__name__} for {track.name!r}; "
                "expected is a mapping.",
                hint=hint,
            )
        if set(stems) != set(CAD1.stems):
            raise SubmissionError(
                f"The separator {self._spec} returned the stems {', '.join(map(str, stems)) or 'none'} for "
                f"{track.name!r}; expected are {', '.join(CAD1.stems)}.",
                hint=hint,
            )
        try:
            signal = np.asarray(stems[stem])
        except Exception as error:  # tensors on a device or with gradients, ragged lists
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} as a "
                f"{type(stems[stem]).__name__} that cannot be made an array: {error}",
                hint=hint,
            ) from error
        if not np.issubdtype(signal.dtype, np.floating):
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} as {signal.dtype}; "
                "expected are floating-point samples with full scale ±1.",
                hint=hint,
            )
        if signal.shape != shape:
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} in the shape {signal.shape}; "
                f"expected is the mixture's, {shape}.",
                hint=hint,
            )
        with np.errstate(over="ignore"):
            signal = signal.astype(np.float32, copy=False)
        if not np.all(np.isfinite(signal)):
            where = int(np.argmin(np.all(np.isfinite(signal), axis=0)))
            raise SubmissionError(
                f"The separator {self._spec} returned {stem} of {track.name!r} with a value that is not a "
                f"number or infinite, first at sample {where}.",
                hint="Look for a division by zero or an overflow in the model.",
            )
        return signal


def _source_digest(thing: object) -> str:
    """The start of the SHA-256 of the file that defines a callable; empty where there is no such file."""
    try:
        source = inspect.getsourcefile(inspect.unwrap(thing) if inspect.isroutine(thing) else type(thing))
    except TypeError:
        return ""
    return "" if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16]
