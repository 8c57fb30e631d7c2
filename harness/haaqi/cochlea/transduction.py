"""From the compressed outputs of a channel to what its inner hair cells make of them.

Source: Kates (2013): the envelope becomes dB above the listener's threshold; rapid (2 ms) and
short-term (60 ms) adaptation of the synapse is that of a circuit of two resistor-capacitor stages,
stepped by backward differences; the basilar membrane's motion gets the same gain as the envelope.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.gammatone import NOTHING
from harness.haaqi.kernels.compilation import fused, inlined
from harness.haaqi.kernels.elementary import log2_and_inverse_start, log2_finish
from harness.haaqi.kernels.lanes import WIDTH, fma, highest, load, spread, store
from harness.haaqi.kernels.resampling import SAMPLE_RATE

OVERSHOOT = 2
RAPID = 0.001 * 2
SHORT_TERM = 0.001 * 60
SMALLEST = 1e-30
DECIBELS_PER_DOUBLING = 20 * float(np.log10(2))


@cache
def adaptation() -> NDArray[np.float64]:
    """Return the synapse as (37,): how its two voltages follow the input and each other, and its gain.

    The new first voltage is p[0] * input + p[1] * first + p[2] * second, the new second one
    p[3] * input + p[4] * first + p[5] * second; the output is p[6] * (input - first). From p[7] on
    the same for four samples at once: the first voltage after each of them as sums of what it and
    the second one were (four numbers each) and of the four inputs (four times four), then the
    second one after all four, as such a sum (six numbers).
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
    step = (
        np.array(
            [[own_second * first_charge, r1 * second_charge], [r3 * first_charge, own_first * second_charge]]
        )
        / determinant
    )
    charge = np.array([own_second * r2, r3 * r2]) / determinant
    powers = [np.linalg.matrix_power(step, k) for k in range(5)]
    own = np.array([power[0] for power in powers[1:]])
    inputs = np.zeros((4, 4))
    for k in range(4):
        inputs[k, k:] = [(power @ charge)[0] for power in powers[: 4 - k]]
    last = [(powers[3 - k] @ charge)[1] for k in range(4)]
    return np.concatenate(
        (
            [charge[0], *step[0], charge[1], *step[1], 1 / r1],
            own.T.ravel(),
            inputs.ravel(),
            powers[4][1],
            last,
        )
    )


@fused
def sensation(
    envelope: NDArray[np.float64],
    base: float,
    count: int,
    level: NDArray[np.float64],
    inverse: NDArray[np.float64],
    room: NDArray[np.float64],
) -> None:
    """Turn an envelope into dB above threshold.

    Args:
        envelope: (count,) linear.
        base: dB above threshold of an envelope of 1.
        count: how many samples.
        level: to be filled.
        inverse: to be filled with the envelope's reciprocal, for `scale`; may be the envelope itself.
        room: (count,) to be overwritten.
    """
    for k in range(count):
        room[k], level[k], inverse[k] = log2_and_inverse_start(envelope[k] + SMALLEST)
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

    Four samples are taken at once: one by one, each would wait for the last one's voltages.

    Args:
        ours: dB above threshold, changed to the same with adaptation.
        theirs: the processed signal's.
        count: how many samples.
        synapse: of `adaptation`.
        state: (4,) both synapses' voltages, changed in place; zeros at the start.
    """
    r1, r2, p1, p2 = state[0], state[1], state[2], state[3]
    whole = count - count % WIDTH
    for k in range(0, whole, WIDTH):
        r1, r2 = _adapt_four(ours, k, r1, r2, synapse)
        p1, p2 = _adapt_four(theirs, k, p1, p2, synapse)
    for k in range(whole):
        ours[k] = max(ours[k], 0.0)
        theirs[k] = max(theirs[k], 0.0)
    for k in range(whole, count):
        r1, r2 = _adapt_one(ours, k, r1, r2, synapse)
        p1, p2 = _adapt_one(theirs, k, p1, p2, synapse)
    state[0], state[1], state[2], state[3] = _or_zero(r1), _or_zero(r2), _or_zero(p1), _or_zero(p2)


@inlined
def _adapt_four(
    level: NDArray[np.float64], k: int, first: float, second: float, synapse: NDArray[np.float64]
) -> tuple[float, float]:
    a, b, c, d = level[k], level[k + 1], level[k + 2], level[k + 3]
    from_inputs = fma(spread(b), load(synapse, 19), spread(a) * load(synapse, 15))
    from_inputs = from_inputs + fma(spread(d), load(synapse, 27), spread(c) * load(synapse, 23))
    voltage = fma(spread(first), load(synapse, 7), fma(spread(second), load(synapse, 11), from_inputs))
    input_part = (synapse[33] * a + synapse[34] * b) + (synapse[35] * c + synapse[36] * d)
    second = synapse[31] * first + (synapse[32] * second + input_part)
    store(level, k, (load(level, k) - voltage) * spread(synapse[6]))
    return highest(voltage), second


@inlined
def _adapt_one(
    level: NDArray[np.float64], k: int, first: float, second: float, synapse: NDArray[np.float64]
) -> tuple[float, float]:
    value = level[k]
    voltage = synapse[1] * first + (synapse[2] * second + synapse[0] * value)
    second = synapse[5] * second + (synapse[4] * first + synapse[3] * value)
    level[k] = max(synapse[6] * (value - voltage), 0.0)
    return voltage, second


@inlined
def _or_zero(value: float) -> float:
    """Take a voltage that has died away for zero, before it becomes denormal."""
    return value if abs(value) > NOTHING else 0.0


@fused
def scale(
    motion: NDArray[np.float64],
    level: NDArray[np.float64],
    inverse: NDArray[np.float64],
    count: int,
    scaled: NDArray[np.float64],
) -> None:
    """Give the motion of the basilar membrane the gain that the envelope got.

    Args:
        motion: (count,) linear.
        level: the adapted envelope.
        inverse: the reciprocal of the linear envelope.
        count: how many samples.
        scaled: to be filled; may be the motion itself.
    """
    for k in range(count):
        scaled[k] = motion[k] * ((level[k] + SMALLEST) * inverse[k])


@fused
def stretch(
    source: NDArray[np.float64], length: int, start: int, count: int, room: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return source[start : start + count], with zeros for what is not between 0 and length.

    Args:
        source: samples.
        length: how many of them there are.
        start: the first one wanted; it may be negative.
        count: how many are wanted.
        room: (count,), overwritten and returned when they do not lie within; else it is a view.
    """
    if start >= 0 and start + count <= length:
        return source[start : start + count]
    low = min(max(-start, 0), count)
    high = max(min(length - start, count), low)
    for k in range(low):
        room[k] = 0.0
    room[low:high] = source[start + low : start + high]
    for k in range(high, count):
        room[k] = 0.0
    return room
