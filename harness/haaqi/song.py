"""A song prepared once, and the listeners scored against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alignment import Anchor
from .hearing import check_audiogram
from .index import compare
from .noise import Bookmarks
from .resampling import resample
from .signals import check_signal, is_silent

# References longer than a minute keep no spectrum: of eight, the spectra would take 1 GB.
LONGEST_WITH_SPECTRUM = 24000 * 60


class Song:
    """The reference signals of one song, prepared once; listeners are scored against them.

    All that the listeners of a song share is kept: the references at the model's rate, their
    spectra for the alignment, and where in the noise each signal's share begins.
    """

    def __init__(
        self,
        references: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        levels: Sequence[float],
        seed: int,
    ) -> None:
        """Prepare a song.

        Args:
            references: the reference channels in the order of scoring, each (n,) samples.
            sample_rate: of all references, Hz.
            levels: dB SPL of an RMS of 1, one for each reference.
            seed: what `numpy.random.seed` gets before each example.

        Raises:
            ValueError: a reference is empty, not of one channel, or holds NaN or infinity; or there
                are not as many levels as references.
        """
        if len(levels) != len(references):
            raise ValueError(f"There are {len(references)} references, but {len(levels)} levels.")
        self._levels = [float(level) for level in levels]
        self._anchors: list[Anchor | None] = []
        for number, reference in enumerate(references, start=1):
            signal = check_signal(reference, name=f"{number}. reference")
            if is_silent(signal):
                self._anchors.append(None)
                continue
            ours = resample(signal, sample_rate=sample_rate)
            self._anchors.append(Anchor(reference=ours, keep_spectrum=len(ours) <= LONGEST_WITH_SPECTRUM))
        self._noise = Bookmarks(seed)

    def score(
        self,
        processed: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        audiograms: Sequence[Sequence[float]],
    ) -> list[float | None]:
        """Score one listener's signals.

        Args:
            processed: in the order of the references, each (m,) samples.
            sample_rate: of all of them, Hz.
            audiograms: for each signal six levels in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz.

        Returns:
            HAAQI of each signal, on the noise that it gets when all are scored one after the other
            from the song's seed on; None where the reference is silent, which draws no noise.

        Raises:
            ValueError: a signal cannot be scored, see `compute_haaqi`; or the numbers of signals
                and audiograms do not match that of the references.
        """
        return [value for value, _ in self._run(processed, sample_rate=sample_rate, audiograms=audiograms)]

    def states(
        self,
        processed: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        audiograms: Sequence[Sequence[float]],
    ) -> list[tuple[Any, ...]]:
        """Return where the generator stands before each signal of an example.

        Another implementation of HAAQI that starts from the k-th state (`numpy.random.set_state`)
        must give signal k the number that `score` gives it.

        Args:
            processed: as for `score`; what follows the last state wanted may be left out.
            sample_rate: as for `score`.
            audiograms: as for `score`.

        Returns:
            One state more than there are signals, of the kind `RandomState.get_state()` returns.

        Raises:
            ValueError: as `score`.
        """
        positions = [0]
        for _, position in self._run(processed, sample_rate=sample_rate, audiograms=audiograms):
            positions.append(position)
        return [self._noise.at(position).state() for position in positions]

    def _run(
        self,
        processed: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        audiograms: Sequence[Sequence[float]],
    ) -> Iterator[tuple[float | None, int]]:
        """Yield each signal's value, and the noise's position after it."""
        if len(processed) > len(self._anchors) or len(processed) != len(audiograms):
            raise ValueError(
                f"The song has {len(self._anchors)} references, but there are "
                f"{len(processed)} signals and {len(audiograms)} audiograms."
            )
        position = 0
        signals = zip(processed, audiograms, self._anchors, self._levels, strict=False)
        for number, (signal, audiogram, anchor, level) in enumerate(signals, start=1):
            if anchor is None:
                yield None, position
                continue
            theirs = resample(check_signal(signal, name=f"{number}. processed"), sample_rate=sample_rate)
            comparison = compare(
                anchor,
                theirs,
                hearing_loss=check_audiogram(audiogram),
                level=level,
                noise=self._noise.at(position),
            )
            position += comparison.drawn
            yield comparison.quality.combined, position
