"""From the compressed outputs of a channel to what its inner hair cells make of them.

Source: Kates (2013): the envelope becomes dB above the listener's threshold; rapid (2 ms) and
short-term (60 ms) adaptation of the synapse is that of a circuit of two resistor-capacitor stages,
stepped by backward differences; the basilar membrane's motion gets the same gain as the envelope.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .elementary import log2
from .kernel import fused
from .resampling import SAMPLE_RATE

OVERSHOOT = 2
RAPID = 0.001 * 2
SHORT_TERM = 0.001 * 60
SMALLEST = 1e-30
DECIBELS_PER_DOUBLING = 20 * float(np.log10(2))


def adaptation() -> NDArray[np.float64]:
    """Return the synapse as (7,): how its two voltages follow the input and each other, and its gain.

    The new first voltage is p[0] * input + p[1] * first + p[2] * second, the new second one
    p[3] * input + p[4] * first + p[5] * second; the output is p[6] * (input - first).
    """
    r1 = 1 / OVERSHOOT
    r2 = r3 = 0.5 * (1 - r1)
    c1 = RAPID * (r1 + r2) / (r1 * r2)
    c2 = SHORT_TERM / ((r1 + r2) * r3)
    first_charge = r1 * r2 * (c1 * SAMPLE_RATE)
    second_charge = r2 * r3 * (c2 * SAMPLE_RATE)
    own_first = r1 + r2 + first_charge
    own_second = r2 + r3 + second_charge
    determinant = own_first * own_second - r1 * r3
    return (
        np.array(
            [
                own_second * r2,
                own_second * first_charge,
                r1 * second_charge,
                r3 * r2,
                r3 * first_charge,
                own_first * second_charge,
                determinant / r1,
            ]
        )
        / determinant
    )


@fused
def transduce(
    envelope: NDArray[np.float64],
    motion: NDArray[np.float64],
    length: int,
    start: int,
    count: int,
    delays: tuple[int, int],
    base: float,
    synapse: NDArray[np.float64],
    state: NDArray[np.float64],
    work: NDArray[np.float64],
    level: NDArray[np.float64],
    moved: NDArray[np.float64],
    place: int,
) -> None:
    """Transduce some samples of one signal in one channel.

    Args:
        envelope: (m,) compressed envelope.
        motion: (m,) compressed motion of the basilar membrane.
        length: how many of the samples count; the rest is taken for zero.
        start: the first sample wanted.
        count: how many are wanted.
        delays: how many samples later the envelope and the motion are read.
        base: dB above threshold of an envelope of 1.
        synapse: of `adaptation`.
        state: (2,) the synapse's voltages, changed in place.
        work: room for `count` numbers.
        level: to be filled from `place` on with the adapted envelope in dB above threshold.
        moved: to be filled from `place` on with the motion as the adapted envelope scales it.
        place: see above.
    """
    _shifted(envelope, length, start + delays[0], count, work, 0)
    _shifted(motion, length, start + delays[1], count, moved, place)
    for k in range(count):
        work[k] += SMALLEST
    for k in range(count):
        level[place + k] = max(base + DECIBELS_PER_DOUBLING * log2(work[k]), 0.0)
    a, b, c, d, e, f, gain = (
        synapse[0],
        synapse[1],
        synapse[2],
        synapse[3],
        synapse[4],
        synapse[5],
        synapse[6],
    )
    first, second = state[0], state[1]
    for k in range(count):
        v = level[place + k]
        new = b * first + (c * second + a * v)
        second = f * second + (e * first + d * v)
        first = new
        level[place + k] = max(gain * (v - first), 0.0)
    state[0] = first if abs(first) > 1e-100 else 0.0
    state[1] = second if abs(second) > 1e-100 else 0.0
    for k in range(count):
        moved[place + k] *= (level[place + k] + SMALLEST) / work[k]


@fused
def _shifted(
    source: NDArray[np.float64], length: int, start: int, count: int, target: NDArray[np.float64], place: int
) -> None:
    """Copy source[start : start + count] to target[place:], with zeros for what is not between 0 and length."""
    low = min(max(-start, 0), count)
    high = max(min(length - start, count), low)
    for k in range(low):
        target[place + k] = 0.0
    for k in range(low, high):
        target[place + k] = source[start + k]
    for k in range(high, count):
        target[place + k] = 0.0
