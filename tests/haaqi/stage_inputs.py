"""Inputs of the stages, and what the computations of the stages share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.haaqi.cases import AUDIOGRAMS, music, noisy, wave

Numbers = NDArray[np.float64]
LOSSES = ("normal", "better than normal", "moderate", "profound", "steep", "fractional")
LOSS = np.array(AUDIOGRAMS["moderate"])
LENGTH = 6000
CHANNELS = (0, 9, 20, 31)
LEVEL = 92.0


def pyclarity_eb() -> Any:
    from clarity.evaluator.haspi import eb

    return eb


def thinned(*parts: Any) -> Numbers:
    """Return at most 60 numbers of each array, evenly spaced, and the sum of all."""
    out: list[Numbers] = []
    for part in parts:
        flat = np.asarray(part, dtype=np.float64).ravel()
        out += [flat[:: max(1, len(flat) // 50)], np.sum(flat, keepdims=True)]
    return np.concatenate(out)


def signals() -> tuple[Numbers, Numbers]:
    """Return a reference and a processed signal behind the middle ear, partly silent."""
    reference = music(LENGTH, seed=20)
    reference[2500:3500] = 0
    return reference, np.roll(noisy(1.5 * reference, share=0.1), 5)


def envelopes() -> tuple[Numbers, Numbers]:
    """Return two linear envelopes, the second of them partly 0."""
    later = np.concatenate((np.zeros(30), wave(LENGTH - 30, step=1 / 690)))
    return np.abs(0.02 * wave(LENGTH, step=1 / 700)) + 1e-7, np.abs(0.03 * later) * (np.arange(LENGTH) > 1500)


def decibels() -> tuple[Numbers, Numbers]:
    """Return two smoothed envelopes of 32 channels and 150 segments, in dB."""
    rng = np.random.RandomState(21)
    reference = np.maximum(20 * np.add.accumulate(rng.standard_normal((32, 150)), axis=0), 0)
    reference[:, 40:55] = 0.0
    return reference, np.maximum(reference + 6 * rng.standard_normal((32, 150)), 0)


def motions() -> tuple[Numbers, Numbers]:
    """Return the motion of two channels, alternately loud and faint, for two signals."""
    rng = np.random.RandomState(22)
    swell = wave(LENGTH, step=1 / 900) ** 2
    reference = np.stack([20 * wave(LENGTH, step=1 / 5) * swell * swell, wave(LENGTH, step=1 / 2)])
    return reference, np.roll(reference, 7, axis=1) + rng.standard_normal(reference.shape)
