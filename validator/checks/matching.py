"""Compares stems with references: which reference a stem is similar to, and with which gain.

Both come from cross-spectra of a stem and the references, block by block, up to 4 kHz. The blocks start at the same
times and the bins are equally spaced, so the two sample rates need no resampling. The references are amplified as
the scorer amplifies them (`validator.checks.nalr`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from validator.challenge.references import read_reference
from validator.challenge.rules import CAD1
from validator.checks.nalr import response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from validator.challenge.challenge import Challenge
    from validator.challenge.listeners import Listener

BLOCK_SECONDS = 10
"""Length of the blocks of which spectra are taken, so the bins are 0.1 Hz apart."""

TOP_HZ = 4000
"""Highest frequency used; nearly all power of music is below it."""

MAX_LAG_SECONDS = 0.1
"""Longest delay searched; the NAL-R filter delays by 2.5 ms, a block-wise separator may delay by more."""

BANDS_HZ = (0, 125, 250, 375, 500, 750, 1000, 1500, 2000, 2500, 3000, 4000)
"""Edges of the bands in which the gain is measured."""

SILENT_DB = -90.0
"""RMS in dB re full scale below which a 16-bit reference is silent: less than one quantisation step."""

FOLLOWS = 0.3
"""Least correlation of a stem with its own reference at which its level can be measured."""

_UNCLEAR = (math.nan,) * 4
_BINS = TOP_HZ * BLOCK_SECONDS
_GROUP = 25  # bins summed before the transform to lags: 2.5 Hz, which resolves lags below 0.2 s
_POINTS = 4 * _BINS // _GROUP  # lags: four per period of the highest frequency
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
        own_gain: Gain with which it contains its own reference, as a factor.
        other_side: Correlation with the other channel of its own reference.
        sides_alike: Correlation of the two channels of its own reference.
        likeness: Correlation with the reference of each of `CAD1.stems`, in their order, either channel.
        best_stem, best: The stem with the highest correlation (either channel), and that correlation.
        best_gain: Gain with which it contains that reference, as a factor.
        own_power: Power of its own reference below 4 kHz relative to the song's loudest stem, in dB.
        offset: Level of its own reference in it relative to the reference as the scorer amplifies it, in dB; NaN if
            its correlation with its own reference is too low to measure it, or its scale factor is unknown.
        misfit: Standard deviation over bands of (measured gain - prescribed gain) in dB; or NaN.
        flatness: Standard deviation over bands of the measured gain in dB; or NaN.
        prescribed: Standard deviation over bands of the prescribed gain in dB; or NaN.
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
    """Spectra of all blocks, the last padded with zeros: shape (blocks, bins), scaled by 1 / rate."""
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
    """Cross-spectrum over all blocks that both signals have: shape (bins,)."""
    total: npt.NDArray[np.complex64] = a[0].conj() * b[0]
    for one, other in zip(a[1:], b[1:], strict=False):
        total += one.conj() * other
    return total


def _peak(cross: npt.NDArray[np.complex64]) -> tuple[float, float]:
    """Largest magnitude of the correlation within `MAX_LAG_SECONDS`, and its lag in seconds.

    Only short lags are needed, so neighbouring bins are summed first. That weights the lags by a sinc, which is 1
    at lag 0 and 0 at `BLOCK_SECONDS / _GROUP`, and shifts every bin by half a group, which `_UNSHIFT` reverses.
    """
    groups = cross.reshape(-1, _GROUP).sum(axis=1, dtype=np.complex128)
    over_lag = np.fft.ifft(groups, _POINTS) * _POINTS
    near = (np.concatenate((over_lag[-_LAGS:], over_lag[: _LAGS + 1])) * _UNSHIFT).real
    at = int(np.argmax(np.abs(near)))
    return float(abs(near[at])), (at - _LAGS) * _STEP


def _normalised(value: float, power_a: float, power_b: float) -> float:
    product = math.sqrt(power_a * power_b)
    return min(value / product, 1.0) if product > 0 else 0.0


class SongReferences:
    """The spectra of one song's references, with which stems are compared.

    Args:
        references: For each of `CAD1.stems` the samples that are scored, (frames, 2) at 44.1 kHz.
        listeners: The listeners of the challenge.
    """

    def __init__(
        self, references: Mapping[str, npt.NDArray[np.int16]], listeners: Sequence[Listener]
    ) -> None:
        self._listeners = {listener.id: listener for listener in listeners}
        self._spectra: dict[tuple[str, str], npt.NDArray[np.complex64]] = {}
        self._bins: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        self._levels_db: dict[tuple[str, str], float] = {}
        for stem in CAD1.stems:
            pcm = references[stem]
            for channel, side in enumerate(CAD1.sides):
                key = (side, stem)
                signal = pcm[:, channel]
                rms = math.sqrt(float(np.mean(np.square(signal, dtype=np.float64)))) if len(signal) else 0.0
                self._levels_db[key] = 20 * math.log10(rms / CAD1.full_scale) if rms > 0 else -math.inf
                self._spectra[key] = _spectra(signal, CAD1.reference_rate)
                self._bins[key] = _power(self._spectra[key])
        self._sides_alike = {stem: self._correlate_sides(stem) for stem in CAD1.stems}
        self._gain = lru_cache(maxsize=128)(self._find_gain)
        self._powers = lru_cache(maxsize=128)(self._find_powers)

    def _correlate_sides(self, stem: str) -> float:
        left, right = ("left", stem), ("right", stem)
        peak, _ = _peak(_cross(self._spectra[left], self._spectra[right]))
        return _normalised(peak, float(self._bins[left].sum()), float(self._bins[right].sum()))

    def _find_gain(self, listener: str, side: str) -> npt.NDArray[np.float32]:
        loss = self._listeners[listener].levels(side)
        return np.asarray(10 ** (response(loss, _FREQUENCIES) / 20), dtype=np.float32)

    def _find_powers(self, listener: str, side: str) -> dict[tuple[str, str], float]:
        """Power of each reference after amplification for one ear."""
        gain = self._gain(listener, side)
        return {key: float((one * gain**2).sum()) for key, one in self._bins.items()}

    def match(
        self, pcm: npt.NDArray[np.int16], *, scale: float | None, listener: str, side: str, stem: str
    ) -> Match:
        """Compare a stem with the references.

        Args:
            pcm: int16, shape (frames,), 24 kHz.
            scale: Its scale factor; None if its scale file is invalid, so that its level is unknown.
            listener: Listener in its name.
            side: Side in its name.
            stem: Stem in its name.
        """
        gain = self._gain(listener, side)
        spectra = _spectra(pcm, CAD1.stem_rate)
        power = float(_power(spectra).sum())
        amplified = spectra * gain  # instead of amplifying each reference: the product is the same
        likeness: dict[tuple[str, str], float] = {}
        gains: dict[tuple[str, str], float] = {}
        powers = self._powers(listener, side)
        lag = 0.0
        own = (side, stem)
        for key, reference in self._spectra.items():
            peak, at = _peak(_cross(reference, amplified))
            likeness[key] = _normalised(peak, powers[key], power)
            gains[key] = peak / powers[key] if powers[key] > 0 else 0.0
            if key == own:
                lag = at
        best = max(likeness, key=lambda key: likeness[key])
        other = (CAD1.sides[1 - CAD1.sides.index(side)], stem)
        loudest = max(powers.values())
        unclear = likeness[own] < FOLLOWS or self._levels_db[own] < SILENT_DB
        levels = (
            _UNCLEAR
            if unclear
            else self._measure_gain(own, spectra, lag=lag, scale=scale or 1.0, listener=listener)
        )
        return Match(
            own=likeness[own],
            own_gain=gains[own],
            other_side=likeness[other],
            sides_alike=self._sides_alike[stem],
            likeness=tuple(max(likeness[one, name] for one in CAD1.sides) for name in CAD1.stems),
            best_stem=best[1],
            best=likeness[best],
            best_gain=gains[best],
            own_power=10 * math.log10(powers[own] / loudest) if powers[own] > 0 else -math.inf,
            offset=math.nan if scale is None else levels[0],
            misfit=levels[1],
            flatness=levels[2],
            prescribed=levels[3],
            reference_silent=self._levels_db[own] < SILENT_DB,
        )

    def _measure_gain(
        self,
        own: tuple[str, str],
        spectra: npt.NDArray[np.complex64],
        *,
        lag: float,
        scale: float,
        listener: str,
    ) -> tuple[float, float, float, float]:
        """Offset, misfit, flatness and prescribed, as in `Match`; NaN if they cannot be measured."""
        aligned = _cross(self._spectra[own], spectra) * np.exp(2j * np.pi * _FREQUENCIES * lag)
        at = _EDGES[:-1]
        cross = np.add.reduceat(aligned.real, at)
        reference = np.add.reduceat(self._bins[own], at)
        found = np.add.reduceat(_power(spectra), at)
        amplification = response(self._listeners[listener].levels(own[0]), _CENTRES)
        # use a band if the reference has power in it and the stem follows the reference
        coherent = np.abs(cross) ** 2 > 0.3 * reference * found
        usable = coherent & (reference > 1e-4 * reference.max()) & (cross != 0)
        if np.count_nonzero(usable) < 3:
            return _UNCLEAR
        measured = 20 * np.log10(np.abs(cross[usable]) / reference[usable] * scale)
        wanted = amplification[usable]
        weight = reference[usable] * 10 ** (wanted / 10)
        offset = float(np.average(measured - wanted, weights=weight))
        return offset, float(np.std(measured - wanted)), float(np.std(measured)), float(np.std(wanted))


class ReferenceSpectra:
    """The reference spectra of a challenge; only those of the last song are kept, as files come song by song."""

    def __init__(self, challenge: Challenge) -> None:
        self._challenge = challenge
        self._load = lru_cache(maxsize=1)(self._load_song)

    def _load_song(self, song: str) -> SongReferences:
        found = self._challenge.song(song)
        return SongReferences(
            {stem: read_reference(found, stem) for stem in CAD1.stems}, self._challenge.listeners
        )

    def of_song(self, song: str) -> SongReferences:
        """The references of one song.

        Raises:
            ChallengeError: a reference cannot be read.
        """
        return self._load(song)
