"""The state of one listener while a song is scored: signals to come, position in the noise, scores so far."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager

from harness.haaqi.alignment.broadband import BroadbandAligner
from harness.haaqi.cochlea.basilar_membrane import ChannelOutputs
from harness.haaqi.cochlea.hearing_loss import check_audiogram
from harness.haaqi.features.channel import NoiseReader
from harness.haaqi.index import Comparison
from harness.haaqi.kernels.resampling import resample
from harness.haaqi.kernels.signals import check_signal
from harness.haaqi.listening import Listening, Values


class ListenerRun:
    """One listener's way through a song. An error ends the run of this listener, not of the others.

    Attributes:
        values: HAAQI of each signal so far, None where the reference is silent.
        positions: position in the song's noise, in normals, before each signal so far and before the next.
        error: the exception that ended the run, or None.
    """

    def __init__(self, listening: Listening, *, references: int) -> None:
        """Start before the first signal.

        Args:
            listening: the signals and audiograms.
            references: number of references of the song.
        """
        self.values: Values = []
        self.positions = [0]
        self.error: Exception | None = None
        signals, audiograms = listening.processed, listening.audiograms
        self._signals, self._audiograms = iter(signals), audiograms
        self._comparison: Comparison | None = None
        count = len(signals) if isinstance(signals, Sized) else len(audiograms)
        if count > references or count != len(audiograms):
            self.error = ValueError(
                f"The numbers of references ({references}), signals ({count}) and audiograms "
                f"({len(audiograms)}) do not match."
            )

    @property
    def position(self) -> int:
        """The position in the song's noise, in normals, of this listener's next signal."""
        return self.positions[-1]

    @property
    def length(self) -> int:
        """The number of samples of the current signal to process; 0 if there is none."""
        return self._comparison.length if self._comparison is not None else 0

    def begin_signal(self, aligner: BroadbandAligner | None, *, sample_rate: int, level: float) -> None:
        """Take the next signal and prepare it for the ear model.

        Args:
            aligner: holds the reference; None if it is silent.
            sample_rate: of the signal, Hz.
            level: dB SPL of an RMS of 1.
        """
        with self._errors_kept():
            if self._active():
                self._begin_signal(aligner, sample_rate=sample_rate, level=level)

    def buffers(self) -> ChannelOutputs:
        """Return buffers for this listener and others with signals of this length."""
        assert self._comparison is not None
        return self._comparison.ear.buffers()

    def process_channel(
        self, number: int, noises: tuple[NoiseReader, NoiseReader], *, buffers: ChannelOutputs
    ) -> None:
        """Process one channel, see `EarModel.process_channel`."""
        with self._errors_kept():
            if self._comparison is not None:
                self._comparison.ear.process_channel(number, noises, buffers=buffers)

    def end_signal(self) -> None:
        """Store the signal's score and the position of the next signal's noise."""
        with self._errors_kept():
            if self._active():
                comparison, self._comparison = self._comparison, None
                quality = None if comparison is None else comparison.quality()
                self.values.append(None if quality is None else quality.combined)
                self.positions.append(self.position + (0 if comparison is None else comparison.normals_drawn))

    def _begin_signal(self, aligner: BroadbandAligner | None, *, sample_rate: int, level: float) -> None:
        number = len(self.values)
        signal = next(self._signals, None)
        if signal is None:
            raise ValueError(f"The signals ended early: found {number} of {len(self._audiograms)}.")
        if aligner is None:
            return
        processed = resample(
            check_signal(signal, name=f"Processed signal {number + 1}"), sample_rate=sample_rate
        )
        self._comparison = Comparison(
            aligner, processed, hearing_loss=check_audiogram(self._audiograms[number]), level=level
        )

    def _active(self) -> bool:
        """Return whether the run has not failed and there are signals left."""
        return self.error is None and len(self.values) < len(self._audiograms)

    @contextmanager
    def _errors_kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error = error
            self._comparison = None
