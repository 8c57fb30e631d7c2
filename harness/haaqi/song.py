"""A song's references, prepared once, and the listeners scored against them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.alignment.broadband import BroadbandAligner
from harness.haaqi.cochlea.hearing_loss import CHANNELS
from harness.haaqi.cochlea.noise import Checkpoints
from harness.haaqi.ear import MAX_WHOLE_LENGTH, process_channels
from harness.haaqi.kernels.resampling import resample
from harness.haaqi.kernels.signals import check_signal, is_silent
from harness.haaqi.listener_run import ListenerRun
from harness.haaqi.listening import Listening, Values

# The spectra of longer references are not kept: those of eight references would take 1 GB.
MAX_SPECTRUM_LENGTH = 24000 * 60


class Song:
    """The references of one song, prepared once; listeners are scored against them.

    What the listeners of a song share is kept: the references at the model's sample rate, their spectra for the
    alignment, and checkpoints in the noise.
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
            levels: dB SPL of an RMS of 1 (`level1`), one for each reference.
            seed: the seed that `numpy.random.seed` gets before each example.

        Raises:
            ValueError: a reference is empty, not one-dimensional, or contains NaN or infinity; or the numbers of
                levels and references differ.
        """
        if len(levels) != len(references):
            raise ValueError(
                f"The numbers of references ({len(references)}) and levels ({len(levels)}) do not match."
            )
        self._levels = [float(level) for level in levels]
        self._aligners: list[BroadbandAligner | None] = []
        for number, reference in enumerate(references, start=1):
            signal = check_signal(reference, name=f"Reference signal {number}")
            if is_silent(signal):
                self._aligners.append(None)
                continue
            resampled = resample(signal, sample_rate=sample_rate)
            keep_spectrum = len(resampled) <= MAX_SPECTRUM_LENGTH
            self._aligners.append(BroadbandAligner(reference=resampled, keep_spectrum=keep_spectrum))
        self._noise = Checkpoints(seed)

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
            sample_rate: of all signals, Hz.
            audiograms: for each signal six levels in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz.

        Returns:
            HAAQI of each signal, with the noise that it gets when all are scored one after the other from the
            song's seed on; None where the reference is silent, which draws no noise.

        Raises:
            ValueError: a signal cannot be scored, see `compute_haaqi`; or the numbers of signals, audiograms and
                references do not match.
        """
        return self._score_one(processed, sample_rate=sample_rate, audiograms=audiograms).values

    def score_all(self, listenings: Sequence[Listening], *, sample_rate: int) -> list[Values | Exception]:
        """Score several listeners' signals together, which is faster than one by one.

        The listeners need nearly the same part of the noise, so it is computed once for all of them. Each
        listener's scores are bit for bit those of `score`, whoever the other listeners are.

        Args:
            listenings: one for each listener.
            sample_rate: of all signals, Hz.

        Returns:
            For each listener what `score` returns, or the exception that ended the scoring of this listener, raised
            by `score` or by the iteration of the signals.
        """
        listeners = [ListenerRun(listening, references=len(self._aligners)) for listening in listenings]
        self._run(listeners, sample_rate=sample_rate)
        return [listener.values if listener.error is None else listener.error for listener in listeners]

    def states(
        self,
        processed: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        audiograms: Sequence[Sequence[float]],
    ) -> list[tuple[Any, ...]]:
        """Return the state of NumPy's generator before each signal of an example.

        Another implementation of HAAQI that starts from the k-th state (`numpy.random.set_state`) must return the
        score that `score` returns for signal k.

        Args:
            processed: as for `score`; signals after the last state wanted may be omitted.
            sample_rate: as for `score`.
            audiograms: as for `score`.

        Returns:
            One more state than there are signals, in the form of `RandomState.get_state()`.

        Raises:
            ValueError: as for `score`.
        """
        listener = self._score_one(processed, sample_rate=sample_rate, audiograms=audiograms)
        return [self._noise.at(position).state() for position in listener.positions]

    def _score_one(
        self,
        processed: Sequence[NDArray[np.float32]],
        *,
        sample_rate: int,
        audiograms: Sequence[Sequence[float]],
    ) -> ListenerRun:
        listening = Listening(processed=processed, audiograms=audiograms)
        listener = ListenerRun(listening, references=len(self._aligners))
        self._run([listener], sample_rate=sample_rate)
        if listener.error is not None:
            raise listener.error
        return listener

    def _run(self, listeners: Sequence[ListenerRun], *, sample_rate: int) -> None:
        """Score all listeners, signal by signal."""
        for aligner, level in zip(self._aligners, self._levels, strict=True):
            for listener in listeners:
                listener.begin_signal(aligner, sample_rate=sample_rate, level=level)
            for group in _groups(listeners):
                self._process(group, level=level)
            for listener in listeners:
                listener.end_signal()

    def _process(self, group: Sequence[ListenerRun], *, level: float) -> None:
        length, first = group[0].length, min(listener.position for listener in group)
        buffers = group[0].buffers()
        process_channels(
            [partial(listener.process_channel, buffers=buffers) for listener in group],
            positions=[listener.position - first for listener in group],
            streams=(self._noise.at(first), self._noise.at(first + CHANNELS * length)),
            length=length,
            level=level,
        )


def _groups(listeners: Sequence[ListenerRun]) -> list[list[ListenerRun]]:
    """Group the listeners that can be processed together: signals of one length, short enough to be held."""
    groups: dict[object, list[ListenerRun]] = {}
    for number, listener in enumerate(listeners):
        if listener.length:
            key = listener.length if listener.length <= MAX_WHOLE_LENGTH else (listener.length, number)
            groups.setdefault(key, []).append(listener)
    return list(groups.values())
