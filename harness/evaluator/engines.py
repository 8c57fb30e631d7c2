"""The two engines, which give the same values: pyclarity 0.3.2 itself, and our own fast HAAQI.

An engine is made for one song and scores batches of that song's listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

import numpy as np

from harness.evaluator.references import References, Signal
from harness.haaqi.listening import Listening, Values
from harness.protocol.records import Engine
from validator.challenge.rules import CAD1


class SongEngine(Protocol):
    """Scores the listeners of one song."""

    def score_all(self, listenings: Sequence[Listening]) -> list[Values | Exception]:
        """The HAAQI values of each listener's stems in `CAD1.scoring_order`, or the exception that prevented them.

        A value is None if the reference is silent. The values do not depend on the other listeners in the batch.
        """
        ...


@cache
def pyclarity_function() -> Callable[..., float]:
    """pyclarity's compute_haaqi, with its compiled kernels in Numba's cache like ours."""
    from clarity.evaluator.haaqi import compute_haaqi  # noqa: PLC0415  (only the locked environment has it)
    from clarity.evaluator.haspi import eb  # noqa: PLC0415

    for member in vars(eb).values():
        if hasattr(member, "enable_caching"):
            member.enable_caching()
    function: Callable[..., float] = compute_haaqi
    return function


def pyclarity_haaqi(
    processed: Signal, reference: Signal, *, audiogram: Sequence[float], level1: float
) -> float:
    """pyclarity's compute_haaqi for one stem at 24 kHz; draws its noise from NumPy's global generator.

    Args:
        processed: (samples,) float32.
        reference: (samples,) float32.
        audiogram: Levels in dB HL at `CAD1.frequencies`.
        level1: dB SPL of a signal with an RMS of 1.
    """
    return float(
        pyclarity_function()(
            processed_signal=processed,
            reference_signal=reference,
            sample_rate_processed=CAD1.stem_rate,
            sample_rate_reference=CAD1.stem_rate,
            audiogram=np.array(audiogram),
            audiogram_frequencies=np.array(CAD1.frequencies),
            level1=level1,
        )
    )


class PyclaritySong:
    """The official scorer: slow, and correct by definition."""

    def __init__(self, references: References) -> None:
        self._references = references

    def score_all(self, listenings: Sequence[Listening]) -> list[Values | Exception]:
        """See `SongEngine.score_all`; seeds NumPy's global generator for each listener, as the recipe does."""
        found: list[Values | Exception] = []
        for listening in listenings:
            try:
                found.append(self._score(listening))
            except Exception as error:
                found.append(error)
        return found

    def _score(self, listening: Listening) -> Values:
        references = self._references
        np.random.seed(references.seed)
        return [
            None if np.isnan(level) else pyclarity_haaqi(signal, channel, audiogram=audiogram, level1=level)
            for signal, channel, audiogram, level in zip(
                listening.processed,
                references.channels,
                listening.audiograms,
                references.levels,
                strict=True,
            )
        ]


class FastSong:
    """Our own HAAQI: prepares a song once for all its listeners."""

    def __init__(self, references: References) -> None:
        from harness.haaqi import Song  # noqa: PLC0415  (loads compiled code, which pyclarity does not need)

        self._references = references
        self._song = Song(
            references.channels, sample_rate=CAD1.stem_rate, levels=references.levels, seed=references.seed
        )

    def score_all(self, listenings: Sequence[Listening]) -> list[Values | Exception]:
        """See `SongEngine.score_all`; the noise is made once for the whole batch."""
        return self._song.score_all(listenings, sample_rate=CAD1.stem_rate)


ENGINES: dict[Engine, Callable[[References], SongEngine]] = {"fast": FastSong, "pyclarity": PyclaritySong}


def audit(
    references: References,
    processed: Sequence[Signal],
    audiograms: Sequence[Sequence[float]],
    *,
    position: int,
) -> float:
    """pyclarity's value of the stem at `position`, with the same noise as in the whole example.

    The stems before it are not scored with pyclarity: our own code computes the generator's state.

    Args:
        references: The song's references.
        processed: The example's stems in `CAD1.scoring_order`.
        audiograms: For each stem the levels in dB HL at `CAD1.frequencies`.
        position: The stem's index in `CAD1.scoring_order`.

    Raises:
        ValueError: If its reference is silent, so that it has no value.
    """
    from harness.haaqi import Song  # noqa: PLC0415  (loads compiled code)

    level = references.levels[position]
    if np.isnan(level):
        raise ValueError(
            f"the reference of {CAD1.scoring_order[position]} is silent: there is nothing to audit"
        )
    song = Song(
        references.channels, sample_rate=CAD1.stem_rate, levels=references.levels, seed=references.seed
    )
    before = song.states(processed[:position], sample_rate=CAD1.stem_rate, audiograms=audiograms[:position])
    np.random.set_state(before[-1])
    return pyclarity_haaqi(
        processed[position], references.channels[position], audiogram=audiograms[position], level1=level
    )
