"""From the compressed outputs of a channel to what its inner hair cells make of them.

Source: Kates (2013): the envelope becomes dB above the listener's threshold; rapid (2 ms) and
short-term (60 ms) adaptation of the synapse is that of a circuit of two resistor-capacitor stages,
stepped by backward differences; the basilar membrane's motion gets the same gain as the envelope.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .elementary import log2_and_inverse_start, log2_finish
from .gammatone import NOTHING
from .kernel import fused, inlined
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
def sensation(
    envelope: NDArray[np.float64],
    base: float,
    count: int,
    level: NDArray[np.float64],
    room: NDArray[np.float64],
) -> None:
    """Turn an envelope into dB above threshold.

    Args:
        envelope: (count,) linear; changed in place to its reciprocal, for `scale`.
        base: dB above threshold of an envelope of 1.
        count: how many samples.
        level: to be filled.
        room: (count,) to be overwritten.
    """
    for k in range(count):
        room[k], level[k], envelope[k] = log2_and_inverse_start(envelope[k] + SMALLEST)
    for k in range(count):
        level[k] = max(base + DECIBELS_PER_DOUBLING * log2_finish(room[k], level[k]), 0.0)


@fused
def adapt(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    count: int,
    synapse: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Let the synapse adapt to both signals' envelopes, in place.

    Args:
        ours: dB above threshold, changed to the same with adaptation.
        theirs: the processed signal's.
        count: how many samples.
        synapse: of `adaptation`.
        state: (4,) both synapses' voltages, changed in place; zeros at the start.
    """
    a, b, c, d, e, f, gain = (
        synapse[0],
        synapse[1],
        synapse[2],
        synapse[3],
        synapse[4],
        synapse[5],
        synapse[6],
    )
    r1, r2, p1, p2 = state[0], state[1], state[2], state[3]
    for k in range(count):
        v = ours[k]
        w = theirs[k]
        new = b * r1 + (c * r2 + a * v)
        r2 = f * r2 + (e * r1 + d * v)
        r1 = new
        new = b * p1 + (c * p2 + a * w)
        p2 = f * p2 + (e * p1 + d * w)
        p1 = new
        ours[k] = max(gain * (v - r1), 0.0)
        theirs[k] = max(gain * (w - p1), 0.0)
    state[0], state[1], state[2], state[3] = _or_zero(r1), _or_zero(r2), _or_zero(p1), _or_zero(p2)


@inlined
def _or_zero(value: float) -> float:
    """Take a voltage that has died away for zero, before it becomes denormal."""
    return value if abs(value) > NOTHING else 0.0


@fused
def scale(
    motion: NDArray[np.float64], level: NDArray[np.float64], inverse: NDArray[np.float64], count: int
) -> None:
    """Give the motion of the basilar membrane, in place, the gain that the envelope got.

    Args:
        motion: linear.
        level: the adapted envelope.
        inverse: the reciprocal of the linear envelope.
        count: how many samples.
    """
    for k in range(count):
        motion[k] *= (level[k] + SMALLEST) * inverse[k]


@fused
def copy_shifted(
    source: NDArray[np.float64], length: int, start: int, count: int, target: NDArray[np.float64]
) -> None:
    """Copy source[start : start + count] to target, with zeros for what is not between 0 and length."""
    low = min(max(-start, 0), count)
    high = max(min(length - start, count), low)
    for k in range(low):
        target[k] = 0.0
    target[low:high] = source[start + low : start + high]
    for k in range(high, count):
        target[k] = 0.0
