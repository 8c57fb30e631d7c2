"""One of several listeners of a song: the signals taken one by one, the place in the noise, the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager

from harness.haaqi.alignment.anchor import Anchor
from harness.haaqi.cochlea.compression import Outputs
from harness.haaqi.cochlea.hearing import check_audiogram
from harness.haaqi.features.tiles import Normals
from harness.haaqi.index import Comparison
from harness.haaqi.kernels.resampling import resample
from harness.haaqi.kernels.signals import check_signal
from harness.haaqi.listening import Listening, Values


class Listener:
    """A listener on the way through a song. What goes wrong ends it for this one, not for the others.

    Attributes:
        values: HAAQI of each signal so far, None where the reference is silent.
        places: how many normals of the song's noise lie before each signal so far, and before the next.
        error: what has ended it, if it has been ended.
    """

    def __init__(self, listening: Listening, *, number: int) -> None:
        """Stand before the first signal.

        Args:
            listening: the signals and audiograms.
            number: how many references the song has.
        """
        self.values: Values = []
        self.places = [0]
        self.error: Exception | None = None
        signals, audiograms = listening.processed, listening.audiograms
        self._signals, self._audiograms = iter(signals), audiograms
        self._comparison: Comparison | None = None
        count = len(signals) if isinstance(signals, Sized) else len(audiograms)
        if count > number or count != len(audiograms):
            self.error = ValueError(
                f"The song has {number} references, but there are "
                f"{count} signals and {len(audiograms)} audiograms."
            )

    @property
    def place(self) -> int:
        """Where in the song's noise this listener's next signal begins."""
        return self.places[-1]

    @property
    def length(self) -> int:
        """How many samples there are to listen to now; 0 for none."""
        return self._comparison.length if self._comparison is not None else 0

    def begin(self, anchor: Anchor | None, *, sample_rate: int, level: float) -> None:
        """Take the next signal and bring it to the ear.

        Args:
            anchor: holds the reference; None where it is silent.
            sample_rate: of the signal, Hz.
            level: dB SPL of an RMS of 1.
        """
        with self._ending():
            if self._left():
                self._begin(anchor, sample_rate=sample_rate, level=level)

    def rooms(self) -> Outputs:
        """Return what `listen` needs, for this listener and others with signals of this length."""
        assert self._comparison is not None
        return self._comparison.ear.rooms()

    def listen(self, index: int, noises: tuple[Normals, Normals], *, outputs: Outputs) -> None:
        """Listen to one channel, see `Ear.listen`."""
        with self._ending():
            if self._comparison is not None:
                self._comparison.ear.listen(index, noises, outputs=outputs)

    def end(self) -> None:
        """Note the signal's number, and where the next one's noise begins."""
        with self._ending():
            if self._left():
                comparison, self._comparison = self._comparison, None
                quality = None if comparison is None else comparison.quality()
                self.values.append(None if quality is None else quality.combined)
                self.places.append(self.place + (0 if comparison is None else comparison.drawn))

    def _begin(self, anchor: Anchor | None, *, sample_rate: int, level: float) -> None:
        number = len(self.values)
        signal = next(self._signals, None)
        if signal is None:
            raise ValueError(f"There are {len(self._audiograms)} audiograms, but only {number} signals.")
        if anchor is None:
            return
        theirs = resample(check_signal(signal, name=f"{number + 1}. processed"), sample_rate=sample_rate)
        self._comparison = Comparison(
            anchor, theirs, hearing_loss=check_audiogram(self._audiograms[number]), level=level
        )

    def _left(self) -> bool:
        return self.error is None and len(self.values) < len(self._audiograms)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error = error
            self._comparison = None
