"""The two ways to the same number: pyclarity 0.3.2 itself, and our own fast HAAQI.

An engine is made for one song and scores that song's listeners, several at a time.
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
        """Of each listener HAAQI of each stem, or what made an end of scoring this one.

        A value is None where the reference is silent. No listener's values depend on who the others are.
        """
        ...


@cache
def pyclarity_function() -> Callable[..., float]:
    """pyclarity's function, with its compiled kernels kept in Numba's cache like ours."""
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
    """pyclarity's own compute_haaqi on one stem at 24 kHz, drawing from NumPy's global generator."""
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
    """The official scorer: slow, and right by definition."""

    def __init__(self, references: References) -> None:
        self._references = references

    def score_all(self, listenings: Sequence[Listening]) -> list[Values | Exception]:
        """See `SongEngine.score_all`; seeds NumPy's global generator anew for each, as the recipe does."""
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
    """Our own HAAQI: a song is prepared once for all its listeners."""

    def __init__(self, references: References) -> None:
        from harness.haaqi import (  # noqa: PLC0415  (compiles on first use; pyclarity runs need none of it)
            Song,
        )

        self._references = references
        self._song = Song(
            references.channels, sample_rate=CAD1.stem_rate, levels=references.levels, seed=references.seed
        )

    def score_all(self, listenings: Sequence[Listening]) -> list[Values | Exception]:
        """See `SongEngine.score_all`; they share the noise, which is made once for all of them."""
        return self._song.score_all(listenings, sample_rate=CAD1.stem_rate)


ENGINES: dict[Engine, Callable[[References], SongEngine]] = {"fast": FastSong, "pyclarity": PyclaritySong}


def audit(
    references: References,
    processed: Sequence[Signal],
    audiograms: Sequence[Sequence[float]],
    *,
    position: int,
) -> float:
    """pyclarity's own number for the stem at `position`, on the noise it had in the whole example.

    The stems before it are not scored by pyclarity; our own code says where the generator stood.

    Raises:
        ValueError: If that reference is silent, so that there is no number.
    """
    from harness.haaqi import Song  # noqa: PLC0415

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
