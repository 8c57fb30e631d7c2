"""Whether the audio makes sense: which reference a stem is like, and whether it was amplified.

Both come from cross-spectra of a stem with the references, block by block, up to 4 kHz. As the blocks of
both begin at the same time and their bins are equally spaced, the two sample rates need no resampling.
The references are amplified by the gain with which the scorer amplifies them (`validator.checks.nalr`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from validator.challenge.challenge import Challenge
from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1
from validator.checks.nalr import response

if TYPE_CHECKING:
    import numpy.typing as npt

    from validator.challenge.challenge import Listener, Song

BLOCK_SECONDS = 10
"""Spectra are taken over blocks of this length, so bins lie 0.1 Hz apart."""

TOP_HZ = 4000
"""Highest frequency looked at: it holds nearly all power of music."""

MAX_LAG_SECONDS = 0.1
"""Delays looked for; NAL-R's filter delays by 2.5 ms, a block-wise separator may by more."""

BANDS_HZ = (0, 125, 250, 375, 500, 750, 1000, 1500, 2000, 2500, 3000, 4000)
"""Edges of the bands in which the gain is measured."""

SILENT_DB = -90.0
"""RMS in dB re full scale below which a 16-bit reference is silent: under one step of its quantiser."""

FOLLOWS = 0.3
"""Least correlation with its own reference at which a stem's level can be told."""

_UNCLEAR = (math.nan,) * 4
_BINS = TOP_HZ * BLOCK_SECONDS
_GROUP = 25  # bins summed before the way to lags: 2.5 Hz, which still tells lags below 0.2 s
_POINTS = 4 * _BINS // _GROUP  # lags of one period: four to a period of the highest frequency
_STEP = BLOCK_SECONDS / _GROUP / _POINTS  # seconds between two lags
_LAGS = round(MAX_LAG_SECONDS / _STEP)
_UNSHIFT = np.exp(2j * np.pi * (_GROUP - 1) / 2 / BLOCK_SECONDS * _STEP * np.arange(-_LAGS, _LAGS + 1))
_FREQUENCIES = np.arange(_BINS) / BLOCK_SECONDS
_EDGES = np.searchsorted(_FREQUENCIES, BANDS_HZ)
_CENTRES = np.array([(low + high) / 2 for low, high in itertools.pairwise(BANDS_HZ)])


@dataclass(frozen=True, slots=True)
class Match:
    """How a stem compares with the references of its song, amplified for its listener and side.

    Attributes:
        own: Correlation with its own reference at the best lag, 0 to 1.
        own_gain: How much of its own reference it holds, as a factor.
        other_side: Correlation with its own reference's other channel.
        sides_alike: Correlation of the two channels of its own reference.
        likeness: Correlation with the reference of each of `CAD1.stems`, in their order, either channel.
        best_stem, best: The stem whose reference it is most like (either channel), and how much.
        best_gain: How much of that reference it holds, as a factor.
        own_power: Power of its own reference below 4 kHz, over that of the song's loudest stem, in dB.
        offset: Level of the reference's part in it against the reference as the scorer amplifies it, in dB;
            NaN where it is too unlike its reference to say.
        misfit: Standard deviation over bands of (measured gain - prescribed gain), dB; NaN likewise.
        flatness: Standard deviation over bands of the measured gain itself, dB; NaN likewise.
        prescribed: Standard deviation over the same bands of the prescribed gain, dB; NaN likewise.
        reference_silent: Whether its own reference is silent.
    """

    own: float
    own_gain: float
    other_side: float
    sides_alike: float
    likeness: tuple[float, ...]
    best_stem: str
    best: float
    best_gain: float
    own_power: float
    offset: float
    misfit: float
    flatness: float
    prescribed: float
    reference_silent: bool


def _spectra(signal: npt.NDArray[np.int16], rate: int) -> npt.NDArray[np.complex64]:
    """Spectra of whole blocks, the last filled with zeros: shape (blocks, bins), scaled by 1 / rate."""
    size = rate * BLOCK_SECONDS
    blocks = max(1, -(-len(signal) // size))
    out = np.empty((blocks, _BINS), dtype=np.complex64)
    for block in range(blocks):
        part = signal[block * size : (block + 1) * size].astype(np.float32)
        out[block] = np.fft.rfft(part, size)[:_BINS] / rate
    return out


def _power(spectra: npt.NDArray[np.complex64]) -> npt.NDArray[np.float64]:
    """Power of each bin over all blocks."""
    return np.asarray((spectra.real**2 + spectra.imag**2).sum(axis=0, dtype=np.float64))


def _cross(a: npt.NDArray[np.complex64], b: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Cross-spectrum over all blocks that both have: shape (bins,)."""
    total: npt.NDArray[np.complex64] = a[0].conj() * b[0]
    for one, other in zip(a[1:], b[1:], strict=False):
        total += one.conj() * other
    return total


def _peak(cross: npt.NDArray[np.complex64]) -> tuple[float, float]:
    """Greatest magnitude of the correlation within the lags, and its lag in seconds.

    Only short lags are wanted, so neighbouring bins are summed first: that weighs lags by a sinc that is 1
    at no lag and first 0 at `BLOCK_SECONDS / _GROUP`, and shifts every bin by half a group, undone after.
    """
    groups = cross.reshape(-1, _GROUP).sum(axis=1, dtype=np.complex128)
    over_lag = np.fft.ifft(groups, _POINTS) * _POINTS
    near = (np.concatenate((over_lag[-_LAGS:], over_lag[: _LAGS + 1])) * _UNSHIFT).real
    at = int(np.argmax(np.abs(near)))
    return float(abs(near[at])), (at - _LAGS) * _STEP


def _over(value: float, power_a: float, power_b: float) -> float:
    product = math.sqrt(power_a * power_b)
    return min(value / product, 1.0) if product > 0 else 0.0


class SongSense:
    """The references of one song, ready to be compared with."""

    def __init__(self, song: Song, listeners: dict[str, Listener]) -> None:
        self._listeners = listeners
        self._spectra: dict[tuple[str, str], npt.NDArray[np.complex64]] = {}
        self._bins: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        self.levels: dict[tuple[str, str], float] = {}
        span = song.objective_slice or (0, None)
        for stem in CAD1.stems:
            pcm = _read(song, stem, span)
            for channel, side in enumerate(CAD1.sides):
                key = (side, stem)
                one = pcm[:, channel]
                rms = math.sqrt(float(np.mean(np.square(one, dtype=np.float64)))) if len(one) else 0.0
                self.levels[key] = 20 * math.log10(rms / 32768) if rms > 0 else -math.inf
                self._spectra[key] = _spectra(one, CAD1.reference_rate)
                self._bins[key] = _power(self._spectra[key])
        self._alike = {stem: self._channels_alike(stem) for stem in CAD1.stems}
        self._gain = lru_cache(maxsize=128)(self._find_gain)
        self._powers = lru_cache(maxsize=128)(self._find_powers)

    def _channels_alike(self, stem: str) -> float:
        left, right = ("left", stem), ("right", stem)
        peak, _ = _peak(_cross(self._spectra[left], self._spectra[right]))
        return _over(peak, float(self._bins[left].sum()), float(self._bins[right].sum()))

    def _find_gain(self, listener: str, side: str) -> npt.NDArray[np.float32]:
        loss = self._listeners[listener].levels(side)
        return np.asarray(10 ** (response(loss, _FREQUENCIES) / 20), dtype=np.float32)

    def _find_powers(self, listener: str, side: str) -> dict[tuple[str, str], float]:
        """Power of each reference, amplified for one ear."""
        gain = self._gain(listener, side)
        return {key: float((one * gain**2).sum()) for key, one in self._bins.items()}

    def match(
        self, pcm: npt.NDArray[np.int16], *, scale: float, listener: str, side: str, stem: str
    ) -> Match:
        """Compare a stem with the references.

        Args:
            pcm: int16, shape (frames,), 24 kHz.
            scale: Its scale factor.
            listener: For whom it is said to be.
            side: Which channel it is said to be.
            stem: Which stem it is said to be.
        """
        gain = self._gain(listener, side)
        spectra = _spectra(pcm, CAD1.stem_rate)
        power = float(_power(spectra).sum())
        amplified = spectra * gain  # instead of amplifying each reference: the product is the same
        likeness: dict[tuple[str, str], float] = {}
        held: dict[tuple[str, str], float] = {}
        powers = self._powers(listener, side)
        lag = 0.0
        own = (side, stem)
        for key, reference in self._spectra.items():
            peak, at = _peak(_cross(reference, amplified))
            likeness[key] = _over(peak, powers[key], power)
            held[key] = peak / powers[key] if powers[key] > 0 else 0.0
            if key == own:
                lag = at
        best = max(likeness, key=lambda key: likeness[key])
        other = (CAD1.sides[1 - CAD1.sides.index(side)], stem)
        loudest = max(powers.values())
        unclear = likeness[own] < FOLLOWS or self.levels[own] < SILENT_DB
        levels = _UNCLEAR if unclear else self._levels(own, spectra, lag=lag, scale=scale, listener=listener)
        return Match(
            own=likeness[own],
            own_gain=held[own],
            other_side=likeness[other],
            sides_alike=self._alike[stem],
            likeness=tuple(max(likeness[one, name] for one in CAD1.sides) for name in CAD1.stems),
            best_stem=best[1],
            best=likeness[best],
            best_gain=held[best],
            own_power=10 * math.log10(powers[own] / loudest) if powers[own] > 0 else -math.inf,
            offset=levels[0],
            misfit=levels[1],
            flatness=levels[2],
            prescribed=levels[3],
            reference_silent=self.levels[own] < SILENT_DB,
        )

    def _levels(
        self,
        own: tuple[str, str],
        spectra: npt.NDArray[np.complex64],
        *,
        lag: float,
        scale: float,
        listener: str,
    ) -> tuple[float, float, float, float]:
        """Offset, misfit, flatness and spread of the prescribed gain, by bands; NaN where unclear."""
        aligned = _cross(self._spectra[own], spectra) * np.exp(2j * np.pi * _FREQUENCIES * lag)
        at = _EDGES[:-1]
        cross = np.add.reduceat(aligned.real, at)
        reference = np.add.reduceat(self._bins[own], at)
        found = np.add.reduceat(_power(spectra), at)
        amplification = response(self._listeners[listener].levels(own[0]), _CENTRES)
        # a band counts where the reference has power in it and the stem follows the reference
        coherent = np.abs(cross) ** 2 > 0.3 * reference * found
        usable = coherent & (reference > 1e-4 * reference.max()) & (cross != 0)
        if np.count_nonzero(usable) < 3:
            return _UNCLEAR
        measured = 20 * np.log10(np.abs(cross[usable]) / reference[usable] * scale)
        wanted = amplification[usable]
        weight = reference[usable] * 10 ** (wanted / 10)
        offset = float(np.average(measured - wanted, weights=weight))
        return offset, float(np.std(measured - wanted)), float(np.std(measured)), float(np.std(wanted))


def _read(song: Song, stem: str, span: tuple[int, int | None]) -> npt.NDArray[np.int16]:
    """The stretch of a reference that is scored: int16, shape (frames, 2)."""
    import soundfile  # noqa: PLC0415 - headers alone need no audio library

    path = song.reference_path(stem)
    try:
        pcm, _ = soundfile.read(str(path), start=span[0], stop=span[1], dtype="int16", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ChallengeError(f"{path} cannot be read: {error}", hint="Unpack MUSDB18-HQ afresh.") from error
    return np.asarray(pcm)


class References:
    """The references of one song at a time: the scorer and the validator go song by song."""

    def __init__(self, challenge: Challenge) -> None:
        self._challenge = challenge
        self._listeners = {listener.id: listener for listener in challenge.listeners}
        self._of = lru_cache(maxsize=1)(self._load)

    def _load(self, song: str) -> SongSense:
        return SongSense(self._challenge.song(song), self._listeners)

    def of(self, song: str) -> SongSense:
        """The references of that song.

        Raises:
            ChallengeError: a reference cannot be read.
        """
        return self._of(song)
