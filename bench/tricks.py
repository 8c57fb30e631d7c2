"""Tricks that may raise HAAQI without separating better, for `bench/gaming.py`.

A trick changes one amplified stem at 24 kHz. A name that ends in (T) is of a trick that uses the true stem, in (S)
of one that uses the stems of other songs.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import istft, stft

from harness.enhance.compressor import Compressor
from harness.enhance.nalr import Samples, convolve
from validator.challenge.rules import CAD1
from validator.checks.nalr import response

RATE = CAD1.stem_rate
SHAPE_HZ = np.array([0, *np.geomspace(80, 11000, 30), RATE / 2])
"""Edges of the bands of a long-term spectrum."""

SEARCH_HZ = np.array([0, 250, 500, 1000, 2000, 4000, RATE / 2])
"""Edges of the bands whose gains are searched with HAAQI."""

STEPS_DB = (8.0, 4.0)
"""The search tries each band that much louder and softer, in one round for each step."""


@dataclass(frozen=True)
class Stem:
    """One stem of one example.

    Attributes:
        key: Song, listener and name, such as `left_drums`.
        signal: As the base separator makes it, after NAL-R.
        opposite: The base's stem of the other channel, amplified for this ear.
        mixture: The mixture, amplified for this ear.
        true: The reference, as the scorer amplifies it.
        usual: Power of this stem relative to the mixture in the other songs, in each band of `SHAPE_HZ`.
        loss: Hearing levels of the ear in dB HL at `CAD1.frequencies`.
    """

    key: tuple[str, str, str]
    signal: Samples
    opposite: Samples
    mixture: Samples
    true: Samples
    usual: Samples
    loss: Sequence[float]


@dataclass(frozen=True)
class Trick:
    """A change of every stem; `scale` gives the scale file's text from the signal's peak, None for no file."""

    name: str
    change: Callable[[Stem], Samples]
    scale: Callable[[float], str | None] = repr


def power(signal: Samples) -> float:
    """Sum of the squared samples."""
    return float(np.sum(signal**2))


def filtered(signal: Samples, gain: Callable[[Any], Any]) -> Samples:
    """The signal with a gain in dB that is a function of the frequencies in Hz, without delay."""
    factors: Samples = 10 ** (gain(np.fft.rfftfreq(len(signal), 1 / RATE)) / 20)
    return np.fft.irfft(np.fft.rfft(signal) * factors, len(signal))


def stepped(signal: Samples, edges: Samples, decibels: Samples) -> Samples:
    """The signal with one gain in each band, interpolated between the centres of the bands."""
    centres = (edges[1:] + edges[:-1]) / 2
    return filtered(signal, lambda frequencies: np.interp(frequencies, centres, decibels))


def band_powers(signal: Samples) -> Samples:
    """Power in each band of `SHAPE_HZ`; above zero, and with `power` as their sum."""
    bins = np.abs(np.fft.rfft(signal)) ** 2 * 2 / len(signal)
    starts = np.searchsorted(np.fft.rfftfreq(len(signal), 1 / RATE), SHAPE_HZ[:-1])
    return np.add.reduceat(bins, starts) + 1e-12


def shaped(signal: Samples, powers: Samples) -> Samples:
    """The signal with those powers in the bands, each changed by at most 40 dB."""
    change = 10 * np.log10(powers / band_powers(signal))
    return stepped(signal, SHAPE_HZ, np.clip(change, -40, 40))


def levelled(signal: Samples, wanted: float) -> Samples:
    """The signal at another power; silence stays silent."""
    return signal * np.sqrt(wanted / own) if (own := power(signal)) > 0 else signal


def noise(stem: Stem) -> Samples:
    """White noise with the RMS of a stem, another for each stem, and the same every time."""
    seed = zlib.crc32("/".join(stem.key).encode())
    return levelled(np.random.RandomState(seed).randn(len(stem.signal)), power(stem.signal))


def envelope(signal: Samples) -> Samples:
    """RMS over 20 ms around each sample."""
    window = np.hanning(RATE // 50)
    smooth = convolve(signal**2, window / window.sum(), start=len(window) // 2)
    return np.sqrt(np.maximum(smooth[: len(signal)], 0))


def expanded(signal: Samples, exponent: float) -> Samples:
    """The signal with its envelope raised to a power, at its own level; its range is at most 80 dB."""
    size = envelope(signal)
    floor = 1e-4 * float(np.max(size)) or 1.0
    return levelled(signal * (np.maximum(size, floor) / floor) ** (exponent - 1), power(signal))


def sharpened(signal: Samples, exponent: float) -> Samples:
    """The signal with the magnitudes of its short-time spectrum raised to a power, at its own level."""
    _, _, spectrum = stft(signal, nperseg=1024)
    floor = 1e-9 * float(np.max(np.abs(spectrum))) or 1.0
    _, changed = istft(spectrum * np.maximum(np.abs(spectrum), floor) ** (exponent - 1), nperseg=1024)
    return levelled(changed[: len(signal)], power(signal))


def gated(signal: Samples, key: Samples) -> Samples:
    """Zeros where the envelope of `key` is 60 dB below the RMS of `key`."""
    return np.where(envelope(key) > np.sqrt(np.mean(key**2)) / 1000, signal, 0.0)


def compressed(signal: Samples) -> Samples:
    """The recipe's compressor with the RMS of the signal as its threshold."""
    return Compressor(threshold=float(np.sqrt(np.mean(signal**2))), sample_rate=RATE)(signal)


def clipped(signal: Samples, share: float) -> Samples:
    """The signal clipped at a share of its peak."""
    peak = share * float(np.max(np.abs(signal)))
    return np.clip(signal, -peak, peak)


def louder(decibels: float) -> Trick:
    """A flat gain."""
    return Trick(f"level {decibels:+g} dB", lambda stem: stem.signal * 10 ** (decibels / 20))


def prescribed(share: float) -> Trick:
    """A share, in dB, of the gain that NAL-R prescribes, or more than all of it."""
    return Trick(
        f"{share:.0%} of NAL-R's gain in dB",
        lambda stem: filtered(stem.signal, lambda f: (share - 1) * response(stem.loss, f)),
    )


def passed(name: str, *, low: float = 0, high: float = RATE) -> Trick:
    """Nothing below and above two frequencies in Hz."""
    return Trick(name, lambda s: filtered(s.signal, lambda f: np.where((f >= low) & (f <= high), 0, -100)))


def noisy(decibels: float) -> Trick:
    """White noise added, at a level relative to the stem's."""
    return Trick(f"noise at {decibels:g} dB", lambda s: s.signal + noise(s) * 10 ** (decibels / 20))


def wider(exponent: float) -> Trick:
    """See `expanded`."""
    return Trick(f"envelope to the power {exponent:g}", lambda stem: expanded(stem.signal, exponent))


def sharper(exponent: float) -> Trick:
    """See `sharpened`."""
    return Trick(f"spectrum to the power {exponent:g}", lambda stem: sharpened(stem.signal, exponent))


def later(milliseconds: float) -> Trick:
    """The signal later, with its length kept."""
    silence = np.zeros(round(milliseconds / 1000 * RATE))
    return Trick(f"{milliseconds:g} ms later", lambda s: np.concatenate((silence, s.signal))[: len(s.signal)])


TRICKS = [
    *map(louder, (-10, -5, -2, 2, 5, 10)),
    Trick("level of the true stem (T)", lambda s: levelled(s.signal, power(s.true))),
    Trick(
        "usual level of the stem (S)", lambda s: levelled(s.signal, float(s.usual @ band_powers(s.mixture)))
    ),
    *map(prescribed, (0.0, 0.75, 1.25, 1.5)),
    Trick("spectrum of the true stem (T)", lambda s: shaped(s.signal, band_powers(s.true))),
    Trick("usual spectrum of the stem (S)", lambda s: shaped(s.signal, s.usual * band_powers(s.mixture))),
    passed("low-pass 8 kHz", high=8000),
    passed("low-pass 4 kHz", high=4000),
    passed("high-pass 100 Hz", low=100),
    Trick("compressor, threshold at the RMS", lambda s: compressed(s.signal)),
    Trick("clipped at a quarter of the peak", lambda s: clipped(s.signal, 0.25)),
    *map(wider, (1.5, 2.5)),
    *map(sharper, (0.75, 1.25, 1.75)),
    Trick("a fifth of the mixture added", lambda s: s.signal + 0.2 * s.mixture),
    *map(noisy, (-60, -40, -20)),
    Trick("level +12 dB, noise at -60 dB", lambda s: 4 * (s.signal + noise(s) / 1000)),
    Trick("silence", lambda s: s.signal * 0),
    Trick("noise at -60 dB instead of the stem", lambda s: noise(s) / 1000),
    Trick("silent where the true stem is (T)", lambda s: gated(s.signal, s.true)),
    Trick("mean with the true stem (T)", lambda s: (s.signal + s.true) / 2),
    Trick("mean of left and right", lambda s: (s.signal + s.opposite) / 2),
    Trick("polarity inverted", lambda s: -s.signal),
    *map(later, (1, 20, 200)),
    Trick("2 samples shorter", lambda s: s.signal[:-2]),
    Trick("half as long", lambda s: s.signal[: len(s.signal) // 2]),
    Trick("scale file left out", lambda s: s.signal, lambda peak: None),
    Trick("scale 10000", lambda s: s.signal, lambda peak: "10000"),
    Trick("scale 10001", lambda s: s.signal, lambda peak: "10001"),
    Trick("scale negative", lambda s: s.signal, lambda peak: repr(-peak)),
]


def searched(stems: Sequence[Stem], score: Callable[[list[Samples]], Samples]) -> list[Trick]:
    """Tricks with the gain of each band of `SEARCH_HZ` that maximises HAAQI, here and in the other songs.

    Args:
        stems: All stems.
        score: HAAQI of changed stems, shape (stems,).
    """
    bands = len(SEARCH_HZ) - 1
    gains = np.zeros((len(stems), bands))
    best = score([stem.signal for stem in stems])
    for step, band, sign in itertools.product(STEPS_DB, range(bands), (1, -1)):
        tried = gains.copy()
        tried[:, band] += sign * step
        pairs = zip(stems, tried, strict=True)
        scores = score([stepped(stem.signal, SEARCH_HZ, gain) for stem, gain in pairs])
        gains[scores > best] = tried[scores > best]
        best = np.fmax(best, scores)
    here = {stem.key: gain for stem, gain in zip(stems, gains, strict=True)}

    def elsewhere(song: str, *stem: str) -> Samples:
        found = [gain for (name, *key), gain in here.items() if name != song and key == [*stem]]
        mean: Samples = np.mean(found, axis=0)
        return mean

    return [
        Trick("gains searched with HAAQI (T)", lambda s: stepped(s.signal, SEARCH_HZ, here[s.key])),
        Trick("gains searched elsewhere (S)", lambda s: stepped(s.signal, SEARCH_HZ, elsewhere(*s.key))),
    ]
