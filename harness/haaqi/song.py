"""A song prepared once, and the listeners scored against it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.alignment.anchor import Anchor
from harness.haaqi.cochlea.hearing import CHANNELS
from harness.haaqi.cochlea.noise import Bookmarks
from harness.haaqi.ear import KEPT_WHOLE, listen_together
from harness.haaqi.kernels.resampling import resample
from harness.haaqi.kernels.signals import check_signal, is_silent
from harness.haaqi.listener import Listener
from harness.haaqi.listening import Listening, Values

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
    ) -> Values:
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
        return self._alone(processed, sample_rate=sample_rate, audiograms=audiograms).values

    def score_all(self, listenings: Sequence[Listening], *, sample_rate: int) -> list[Values | Exception]:
        """Score several listeners' signals together, which is sooner done than one by one.

        They hear the same noise at nearly the same places, so that it is made once for all of them.
        Each listener's numbers are those of `score`, bit by bit, whoever the others are.

        Args:
            listenings: one for each listener.
            sample_rate: of all signals, Hz.

        Returns:
            For each listener what `score` returns; or the exception that ended the scoring of this one,
            be it raised by `score` or by the iteration of the signals.
        """
        listeners = [Listener(listening, number=len(self._anchors)) for listening in listenings]
        self._run(listeners, sample_rate=sample_rate)
        return [listener.values if listener.error is None else listener.error for listener in listeners]

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
        places = self._alone(processed, sample_rate=sample_rate, audiograms=audiograms).places
        return [self._noise.at(place).state() for place in places]

    def _alone(
        self,
        processed: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        audiograms: Sequence[Sequence[float]],
    ) -> Listener:
        listener = Listener(Listening(processed=processed, audiograms=audiograms), number=len(self._anchors))
        self._run([listener], sample_rate=sample_rate)
        if listener.error is not None:
            raise listener.error
        return listener

    def _run(self, listeners: Sequence[Listener], *, sample_rate: int) -> None:
        """Let all of them listen, signal by signal."""
        for anchor, level in zip(self._anchors, self._levels, strict=True):
            for listener in listeners:
                listener.begin(anchor, sample_rate=sample_rate, level=level)
            for group in _groups(listeners):
                self._listen(group, level=level)
            for listener in listeners:
                listener.end()

    def _listen(self, group: Sequence[Listener], *, level: float) -> None:
        length, first = group[0].length, min(listener.place for listener in group)
        outputs = group[0].rooms()
        listen_together(
            [partial(listener.listen, outputs=outputs) for listener in group],
            places=[listener.place - first for listener in group],
            streams=(self._noise.at(first), self._noise.at(first + CHANNELS * length)),
            length=length,
            level=level,
        )


def _groups(listeners: Sequence[Listener]) -> list[list[Listener]]:
    """Return who can listen together: signals of one length, which must not be too long to be held."""
    groups: dict[object, list[Listener]] = {}
    for number, listener in enumerate(listeners):
        if listener.length:
            key = listener.length if listener.length <= KEPT_WHOLE else (listener.length, number)
            groups.setdefault(key, []).append(listener)
    return list(groups.values())
