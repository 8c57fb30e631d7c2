"""Inputs for comparisons of whole scores, made from seeds, so that only scores are stored."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Signal = NDArray[np.floating]
Samples = NDArray[np.float64]
LONGEST_TONE = 2.5  # seconds

AUDIOGRAMS: dict[str, list[float]] = {
    "normal": [0, 0, 0, 0, 0, 0],
    "better than normal": [-10, -5, -5, 0, -5, -10],
    "mild": [10, 10, 15, 20, 30, 35],
    "moderate": [25, 30, 35, 45, 60, 65],
    "severe": [55, 60, 65, 70, 75, 80],
    "profound": [90, 95, 100, 100, 105, 110],
    "rising": [70, 60, 50, 40, 30, 20],
    "steep": [0, 5, 10, 40, 80, 90],
    "notched": [10, 10, 10, 15, 60, 20],
    "fractional": [12.5, 17.25, 33.3, 41.7, 52.9, 61.1],
}


@dataclass(frozen=True)
class Case:
    """One call of `haaqi_v1`."""

    name: str
    make: Callable[[], tuple[Signal, Signal]]
    rates: tuple[float, float] = (24000, 24000)
    loss: Sequence[float] = field(default_factory=lambda: AUDIOGRAMS["moderate"])
    equalisation: int = 1
    level: float = 90.0
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 1

    def run(self, haaqi_v1: Callable[..., Any]) -> list[float]:
        """Return combined, nonlinear, linear and the raw components; advances NumPy's generator."""
        reference, processed = self.make()
        np.random.seed(self.seed)
        with np.errstate(all="ignore"):
            combined, nonlinear, linear, raw = haaqi_v1(
                reference,
                self.rates[0],
                processed,
                self.rates[1],
                np.array(self.loss),
                self.equalisation,
                self.level,
                **self.options,
            )
        return [float(value) for value in (combined, nonlinear, linear, *raw)]


def generator_state() -> list[Any]:
    """Return the state of NumPy's global generator, with a checksum of its words."""
    state: Any = np.random.get_state()
    return [zlib.crc32(state[1].tobytes()), *state[2:]]


def music(length: int, *, rate: float = 24000, seed: int = 0) -> Samples:
    """Return something like music: decaying harmonic tones over a little noise, RMS about 0.05.

    NumPy's sines and exponentials differ between versions and processors. The tones are outputs of two-pole
    filters, so every environment gets the same bits.
    """
    rng = np.random.RandomState(seed)
    sound = 0.003 * rng.standard_normal(length)
    impulse = np.zeros(min(length, round(LONGEST_TONE * rate)))
    impulse[0] = 1.0
    start = 0.0
    while start * rate < length:
        pitch = 55.0 * math.pow(2.0, rng.uniform(0, 4.5))
        radius = math.exp(-rng.uniform(2, 12) / rate)
        first = math.ceil(start * rate)
        part = sound[first : first + len(impulse)]
        for harmonic in range(1, 7):
            if harmonic * pitch < 0.45 * rate:
                angle = 2 * math.pi * harmonic * pitch / rate
                loudness = rng.uniform(0.03, 0.09) / harmonic
                part += lfilter(
                    [0.0, loudness * radius * math.sin(angle)],
                    [1.0, -2 * radius * math.cos(angle), radius * radius],
                    impulse[: len(part)],
                )
        start += rng.uniform(0.04, 0.25)
    return sound


def rms(signal: Signal) -> float:
    """Return the root mean square, with exact summation."""
    return math.sqrt(math.fsum((signal * signal).tolist()) / len(signal))


def wave(length: int, *, step: float) -> Samples:
    """Return sines in steps of an angle, computed by the C library."""
    return np.array([math.sin(k * step) for k in range(length)])


def noisy(signal: Signal, *, share: float = 0.2, seed: int = 99) -> Samples:
    """Add noise of a share of the signal's RMS."""
    rng = np.random.RandomState(seed)
    return np.asarray(signal + share * rms(signal) * rng.standard_normal(len(signal)))


def pair(
    length: int,
    *,
    rates: tuple[float, float] = (24000, 24000),
    single: bool = True,
    seed: int = 0,
    change: Callable[[Signal], Signal] = noisy,
    silence: tuple[tuple[int, int], ...] = (),
    scale: float = 1.0,
) -> Callable[[], tuple[Signal, Signal]]:
    """Return a maker of a reference and a changed version of it."""

    def make() -> tuple[Signal, Signal]:
        reference = scale * music(length, rate=rates[0], seed=seed)
        for start, stop in silence:
            reference[start:stop] = 0
        source = reference
        if rates[0] != rates[1]:
            source = scale * music(round(length * rates[1] / rates[0]), rate=rates[1], seed=seed)
        processed = change(source)
        kind = np.float32 if single else np.float64
        return reference.astype(kind), processed.astype(kind)

    return make


def _delayed(samples: int) -> Callable[[Signal], Signal]:
    def change(signal: Signal) -> Signal:
        moved = np.zeros_like(signal)
        if samples >= 0:
            moved[samples:] = signal[: len(signal) - samples]
        else:
            moved[:samples] = signal[-samples:]
        return noisy(moved, share=0.05)

    return change


CHANGES: dict[str, Callable[[Signal], Signal]] = {
    "equal": lambda signal: signal.copy(),
    "louder": lambda signal: 4 * signal,
    "much softer": lambda signal: 0.01 * signal,
    "inverted": lambda signal: -signal,
    "clipped": lambda signal: np.clip(signal, -0.03, 0.03),
    "rectified": np.abs,
    "noise only": lambda signal: noisy(np.zeros_like(signal) + 1e-9, share=1e7),
    "silent": np.zeros_like,
    "half silent": lambda signal: np.where(np.arange(len(signal)) < len(signal) // 2, signal, 0.0),
    "reversed": lambda signal: signal[::-1].copy(),
    "differentiated": lambda signal: np.diff(signal, prepend=0.0),
    "summed": lambda signal: 0.01 * np.cumsum(signal - np.mean(signal)),
    "quantised": lambda signal: np.round(signal * 64) / 64,
    "offset": lambda signal: signal + 0.1,
    "modulated": lambda signal: signal * (1 + wave(len(signal), step=1 / 300)),
    "shorter": lambda signal: signal[: len(signal) - 777],
    "longer": lambda signal: np.concatenate((signal, signal[:777])),
    "click": lambda signal: signal + 3.0 * (np.arange(len(signal)) == len(signal) // 3),
}


OPTIONS: dict[str, dict[str, Any]] = {
    "threshold 0": {"silence_threshold": 0.0},
    "threshold 10": {"silence_threshold": 10.0},
    "threshold 40": {"silence_threshold": 40.0},
    "noise on envelopes": {"add_noise": 1.0},
    "segments of 8 ms": {"segment_covariance": 8},
    "segments of 5.1 ms": {"segment_covariance": 5.1},
    "segments of 32 ms": {"segment_covariance": 32},
    "segments of 41 ms": {"segment_covariance": 41},
}


def by_hand() -> Iterator[Case]:
    """Yield the hand-written cases."""
    for name, change in CHANGES.items():
        for audiogram in ("mild", "moderate", "severe", "steep"):
            yield Case(f"{name}, {audiogram}", pair(6000, change=change, seed=3), loss=AUDIOGRAMS[audiogram])
    for name, loss in AUDIOGRAMS.items():
        for equalisation in (0, 1, 2):
            yield Case(
                f"{name}, mode {equalisation}", pair(4801, seed=4), loss=loss, equalisation=equalisation
            )
    for rate in (8000, 11025, 12000, 16000, 22050, 24000, 24400, 32000, 44100, 48000):
        length = round(rate / 4)
        yield Case(f"both {rate} Hz", pair(length, rates=(rate, rate), seed=5), rates=(rate, rate))
        yield Case(f"reference {rate} Hz", pair(length, rates=(rate, 24000), seed=5), rates=(rate, 24000))
        yield Case(f"processed {rate} Hz", pair(6001, rates=(24000, rate), single=False), rates=(24000, rate))
    for samples in (
        -3000,
        -2449,
        -480,
        -49,
        -48,
        -47,
        -1,
        1,
        47,
        48,
        49,
        480,
        2399,
        2400,
        2448,
        2449,
        2600,
        4000,
    ):
        yield Case(f"delayed by {samples}", pair(9000, change=_delayed(samples), seed=6))
    for level in (-20, 0, 30, 65, 80, 100, 120, 150):
        yield Case(f"level {level}", pair(4803, seed=7), level=level)
    for name, silence in {
        "silent start": ((0, 3000),),
        "silent end": ((6000, 9000),),
        "silent ends": ((0, 1000), (8000, 9000)),
        "silent middle": ((2000, 7000),),
        "one burst": ((0, 4000), (5000, 9000)),
        "gaps": ((1000, 1500), (3000, 3100), (5000, 6500)),
    }.items():
        yield Case(name, pair(9000, silence=silence, seed=8))
        yield Case(f"{name}, equal", pair(9000, silence=silence, change=CHANGES["equal"], seed=8))
    for exponent in (-2, -4, -6, -9):
        yield Case(f"reference at 1e{exponent}", pair(4800, scale=10.0**exponent, seed=9))
        yield Case(
            f"reference at 1e{exponent}, raised", pair(4800, scale=10.0**exponent), level=90 - 20 * exponent
        )
    for length in (600, 601, 767, 768, 769, 959, 960, 1151, 1152, 1153, 2400, 4799, 7681, 12001, 16385):
        yield Case(
            f"{length} samples", pair(length, change=CHANGES["equal"] if length < 2400 else noisy, seed=10)
        )
    for name, options in OPTIONS.items():
        yield Case(name, pair(7000, silence=((3000, 4000),), seed=11), options=options)
    yield Case("double precision", pair(6000, single=False, seed=12))
    yield Case("sine", lambda: (tone := 0.1 * wave(7200, step=1 / 4), noisy(tone, share=0.01)))
    yield Case("seconds", pair(60000, seed=13))
    yield Case("seconds, odd", pair(48001, seed=14, change=_delayed(100)), loss=AUDIOGRAMS["mild"], seed=77)


CASES = {case.name: case for case in by_hand()}

# Too long for every run: the whole song takes pyclarity ten minutes and 12 GB.
LONG = {
    "a minute": Case("a minute", pair(24000 * 60 + 1, seed=40, change=_delayed(77)), loss=AUDIOGRAMS["mild"]),
    "a whole song": Case(
        "a whole song",
        pair(24000 * 240 - 1, seed=41, change=_delayed(300), silence=((0, 30000), (2400000, 2500000))),
        loss=AUDIOGRAMS["steep"],
    ),
}
