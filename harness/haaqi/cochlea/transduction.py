"""Inner hair cells: from the compressed outputs of a channel to sensation level.

Source: Kates (2013): the envelope becomes dB above the listener's threshold; rapid (2 ms) and short-term
(60 ms) adaptation of the synapse is that of a circuit of two resistor-capacitor stages, stepped by backward
differences; the motion of the basilar membrane gets the same gain as the envelope.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.gammatone import FLUSH_BELOW
from harness.haaqi.kernels.compilation import fused, inlined
from harness.haaqi.kernels.elementary import log2_and_inverse_start, log2_finish
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.simd import WIDTH, broadcast, fma, last_lane, load, store

OVERSHOOT = 2
RAPID_SECONDS = 0.001 * 2
SHORT_TERM_SECONDS = 0.001 * 60
SMALLEST = 1e-30
DECIBELS_PER_DOUBLING = 20 * float(np.log10(2))


@cache
def synapse_coefficients() -> NDArray[np.float64]:
    """Return the coefficients of the synapse, (37,).

    The two voltages are updated as

        first'  = p[0] * input + p[1] * first + p[2] * second
        second' = p[3] * input + p[4] * first + p[5] * second

    and the output is p[6] * (input - first'). From p[7] on are the coefficients for four samples at once: the
    first voltage after each sample, as sums of both initial voltages (four numbers each) and of the four inputs
    (four numbers each); then the second voltage after all four samples, as a sum of the six (six numbers).
    """
    r1 = 1 / OVERSHOOT
    r2 = r3 = 0.5 * (1 - r1)
    c1 = RAPID_SECONDS * (r1 + r2) / (r1 * r2)
    c2 = SHORT_TERM_SECONDS / ((r1 + r2) * r3)
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
def sensation_level(
    envelope: NDArray[np.float64],
    unit_level: float,
    count: int,
    level: NDArray[np.float64],
    inverse: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> None:
    """Convert an envelope to dB above threshold.

    Args:
        envelope: (count,) linear.
        unit_level: dB above threshold of an envelope of 1.
        count: number of samples.
        level: (count,) filled.
        inverse: (count,) filled with the envelope's reciprocal, for `scale_motion`; may be `envelope` itself.
        scratch: (count,) overwritten.
    """
    for k in range(count):
        scratch[k], level[k], inverse[k] = log2_and_inverse_start(envelope[k] + SMALLEST)
    for k in range(count):
        level[k] = max(unit_level + DECIBELS_PER_DOUBLING * log2_finish(scratch[k], level[k]), 0.0)


@fused
def adapt(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    count: int,
    synapse: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Apply the synapse's adaptation to both signals' envelopes, in place.

    Four samples are processed at once: one by one, each would wait for the previous one's voltages.

    Args:
        reference: (count,) dB above threshold.
        processed: (count,) dB above threshold.
        count: number of samples.
        synapse: (37,) `synapse_coefficients()`.
        state: (4,) the two voltages of both synapses, updated; initially zeros.
    """
    r1, r2, p1, p2 = state[0], state[1], state[2], state[3]
    whole = count - count % WIDTH
    for k in range(0, whole, WIDTH):
        r1, r2 = _adapt_four(reference, k, r1, r2, synapse)
        p1, p2 = _adapt_four(processed, k, p1, p2, synapse)
    for k in range(whole):
        reference[k] = max(reference[k], 0.0)
        processed[k] = max(processed[k], 0.0)
    for k in range(whole, count):
        r1, r2 = _adapt_one(reference, k, r1, r2, synapse)
        p1, p2 = _adapt_one(processed, k, p1, p2, synapse)
    state[0], state[1], state[2], state[3] = _or_zero(r1), _or_zero(r2), _or_zero(p1), _or_zero(p2)


@inlined
def _adapt_four(
    level: NDArray[np.float64], k: int, first: float, second: float, synapse: NDArray[np.float64]
) -> tuple[float, float]:
    """Adapt samples k to k + 3 of `level` in place, and return the new voltages."""
    a, b, c, d = level[k], level[k + 1], level[k + 2], level[k + 3]
    from_inputs = fma(broadcast(b), load(synapse, 19), broadcast(a) * load(synapse, 15))
    from_inputs = from_inputs + fma(broadcast(d), load(synapse, 27), broadcast(c) * load(synapse, 23))
    voltage = fma(broadcast(first), load(synapse, 7), fma(broadcast(second), load(synapse, 11), from_inputs))
    input_part = (synapse[33] * a + synapse[34] * b) + (synapse[35] * c + synapse[36] * d)
    second = synapse[31] * first + (synapse[32] * second + input_part)
    store(level, k, (load(level, k) - voltage) * broadcast(synapse[6]))
    return last_lane(voltage), second


@inlined
def _adapt_one(
    level: NDArray[np.float64], k: int, first: float, second: float, synapse: NDArray[np.float64]
) -> tuple[float, float]:
    """Adapt sample k of `level` in place, and return the new voltages."""
    value = level[k]
    voltage = synapse[1] * first + (synapse[2] * second + synapse[0] * value)
    second = synapse[5] * second + (synapse[4] * first + synapse[3] * value)
    level[k] = max(synapse[6] * (value - voltage), 0.0)
    return voltage, second


@inlined
def _or_zero(value: float) -> float:
    """Set a voltage that has decayed to zero, before it becomes denormal."""
    return value if abs(value) > FLUSH_BELOW else 0.0


@fused
def scale_motion(
    motion: NDArray[np.float64],
    level: NDArray[np.float64],
    inverse: NDArray[np.float64],
    count: int,
    scaled: NDArray[np.float64],
) -> None:
    """Apply the envelope's gain to the motion of the basilar membrane.

    Args:
        motion: (count,) linear.
        level: (count,) adapted envelope, dB above threshold.
        inverse: (count,) reciprocal of the linear envelope.
        count: number of samples.
        scaled: (count,) filled; may be `motion` itself.
    """
    for k in range(count):
        scaled[k] = motion[k] * ((level[k] + SMALLEST) * inverse[k])


@fused
def padded_view(
    source: NDArray[np.float64], length: int, start: int, count: int, scratch: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return source[start : start + count], with zeros for samples before 0 and from `length` on.

    Args:
        source: (length or more,) samples.
        length: number of samples.
        start: index of the first sample; it may be negative.
        count: number of samples to return.
        scratch: (count,) overwritten and returned if zeros are needed; otherwise the result is a view.
    """
    if start >= 0 and start + count <= length:
        return source[start : start + count]
    low = min(max(-start, 0), count)
    high = max(min(length - start, count), low)
    for k in range(low):
        scratch[k] = 0.0
    scratch[low:high] = source[start + low : start + high]
    for k in range(high, count):
        scratch[k] = 0.0
    return scratch
