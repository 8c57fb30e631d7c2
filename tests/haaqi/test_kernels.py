"""The kernels below the stages: elementary functions, rounding, transforms, the generator, NumPy's sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.haaqi.alignment import lags
from harness.haaqi.cochlea import gammatone, noise
from harness.haaqi.cochlea.hearing_loss import widest_bandwidths
from harness.haaqi.cochlea.middle_ear import middle_ear
from harness.haaqi.kernels import elementary, rounding
from harness.haaqi.kernels.compilation import exact

ULP = 2.0**-52


@pytest.mark.parametrize(("low", "high"), [(-990, 990), (-1, 1), (-1e-3, 1e-3)])
def test_log2_is_accurate_to_a_few_ulp(low: float, high: float) -> None:
    x = 2.0 ** np.random.RandomState(1).uniform(low, high, 3000)
    exact_value = np.log2(x.astype(np.longdouble))
    logarithms = np.array([elementary.log2_finish(*elementary.log2_start(value)) for value in x])
    started = [elementary.log2_and_inverse_start(value) for value in x]
    with_inverse = np.array([elementary.log2_finish(exponent, s) for exponent, s, _ in started])
    inverses = np.array([inverse for _, _, inverse in started])
    assert np.max(np.abs((logarithms - exact_value) / exact_value)) < 3 * ULP
    assert np.max(np.abs((with_inverse - exact_value) / exact_value)) < 4 * ULP
    assert np.max(np.abs(inverses * x.astype(np.longdouble) - 1)) < 2 * ULP


def test_exp2_is_accurate_to_a_few_ulp() -> None:
    x = np.concatenate((np.random.RandomState(2).uniform(-990, 990, 3000), [0.0, 0.5, -0.5, 1.0, 1.5, -3.0]))
    exact_value = np.exp2(x.astype(np.longdouble))
    powers = np.array([elementary.exp2(value) for value in x])
    assert np.max(np.abs((powers - exact_value) / exact_value)) < 2 * ULP


def test_economised_series_keep_low_terms_that_suffice() -> None:
    from fractions import Fraction

    line = elementary.economised(
        [Fraction(3), Fraction(-2), Fraction(0)], low=Fraction(0), high=Fraction(5), terms=2
    )
    assert line == (3.0, -2.0)


@exact
def _sums_of_products(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


def test_exact_loops_do_not_fuse_products_and_sums() -> None:
    # (1 + e)(1 - e) = 1 - e**2: rounded on its own, it is 1; fused with the -1, the sum is -e**2.
    e = 2.0**-30
    assert _sums_of_products(np.array([1.0, 1 + e]), np.array([-1.0, 1 - e])) == 0.0


@pytest.mark.parametrize("length", [1, 7, 8, 127, 128, 129, 1000, 8192, 8193, 20000, 100001])
def test_summation_plan_gives_numpys_sums(length: int) -> None:
    """The filter widths depend on the last bit of a mean, so it must equal NumPy's."""
    values = np.random.RandomState(length).uniform(size=length)
    pieces, merges = rounding.summation_plan(length)
    stack: list[float] = []
    start = 0
    for size, merge_count in zip(pieces, merges, strict=True):
        stack.append(float(np.add.reduce(values[start : start + size])))
        start += size
        for _ in range(merge_count):
            right = stack.pop()
            stack.append(stack.pop() + right)
    assert start == length
    assert stack == [rounding.pairwise_sum(values)]
    if np.__version__.startswith("1."):
        assert stack == [np.add.reduce(values)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_middle_ear_rounds_like_lfilter(dtype: type[np.floating]) -> None:
    from scipy.signal import butter, lfilter

    signal = np.random.RandomState(4).standard_normal(20001).astype(dtype)
    expected = lfilter(*butter(2, 350 / 12000, "high"), lfilter(*butter(1, 5000 / 12000), signal))
    np.testing.assert_array_equal(middle_ear(signal), expected)


def test_control_filters_round_like_direct_form_filters() -> None:
    from scipy.signal import lfilter

    signal = np.random.RandomState(3).standard_normal(9001)
    filters = gammatone.design(widest_bandwidths())
    found = gammatone.control_rms(signal, filters=filters)
    for channel in (0, 13, 31):
        first, second, third, fourth, zero = filters.taps[channel]
        turn_cos, turn_sin = (float(value) for value in gammatone.phase_steps()[channel])
        carrier = np.empty((2, len(signal)))
        cosine, sine = 1.0, 0.0
        for k in range(len(signal)):
            carrier[:, k] = cosine, sine
            cosine, sine = cosine * turn_cos + sine * turn_sin, sine * turn_cos - cosine * turn_sin
        real, imag = lfilter([1, first, zero], [1, -first, -second, -third, -fourth], signal * carrier)
        envelope = filters.gain[channel] * np.sqrt(real * real + imag * imag)
        assert found[channel] == np.sqrt(np.mean(envelope**2))


@pytest.mark.parametrize("length", [10, 3000, 23168, 23169, 60000])
def test_chunked_correlation_equals_that_of_a_long_transform(length: int) -> None:
    rng = np.random.RandomState(length)
    x, y = rng.standard_normal(length), rng.standard_normal(length)
    size = 2 ** int(np.ceil(np.log2(2 * length + 4800)))
    whole = np.fft.irfft(np.conj(np.fft.rfft(x, size)) * np.fft.rfft(y, size), size)
    expected = np.concatenate((whole[-2400:], whole[:2400]))
    correlation = lags.ChunkedCorrelation()
    correlation.add(x, y, offset=0, first=0, last=length, length=length)
    found = correlation.values()
    assert np.max(np.abs(found - expected)) < 1e-12 * np.max(np.abs(expected))


def _assert_same_state(stream: noise.NormalStream, generator: np.random.RandomState) -> None:
    state = stream.state()
    expected: Any = generator.get_state()
    assert np.array_equal(state[1], expected[1])
    assert state[2:] == expected[2:]


@pytest.mark.parametrize("start", ["seeded", "odd place", "held", "odd place and held"])
def test_stream_equals_numpys(start: str) -> None:
    generator = np.random.RandomState(4)
    if "odd" in start:
        generator.bytes(12)
    if "held" in start:
        generator.standard_normal(3)
    stream = noise.NormalStream(generator.get_state())
    for k, count in enumerate((0, 1, 2, 5, 300, 4001, 1, 1, 30000, 77, 624, 8)):
        expected = generator.standard_normal(count)
        if k % 3 == 2:
            stream.skip(count)
        else:
            np.testing.assert_allclose(stream.draw(count), expected, rtol=4 * ULP, atol=0)
        _assert_same_state(stream, generator)


def test_advanced_leaves_the_stream_in_place() -> None:
    stream = noise.NormalStream.seeded(5)
    generator = np.random.RandomState(5)
    advanced = stream.advanced(1001)
    _assert_same_state(stream, generator)
    generator.standard_normal(1001)
    _assert_same_state(advanced, generator)


def test_checkpoints_reach_positions_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "CHECKPOINT_INTERVAL", 1000)
    checkpoints = noise.Checkpoints(6)
    for position in (2500, 0, 999, 1000, 1001, 7777, 2500):
        generator = np.random.RandomState(6)
        generator.standard_normal(position)
        stream = checkpoints.at(position)
        _assert_same_state(stream, generator)
        generator.standard_normal(1234)
        _assert_same_state(stream.advanced(1234), generator)


def test_bits_of_a_normal_do_not_depend_on_where_reading_starts() -> None:
    gain = 0.0137
    whole = np.empty(4000 + noise.PADDING)
    noise.NormalStream.seeded(7).fill(whole, count=4000, gain=gain)
    for first in range(700):
        stream = noise.NormalStream.seeded(7)
        stream.skip(first)
        out = np.empty(660 + noise.PADDING)
        stream.fill(out, count=660, gain=gain)
        assert np.array_equal(out[:660], whole[first : first + 660])
    for step in (1, 2, 3, 7, 311, 624, 625):
        stream = noise.NormalStream.seeded(7)
        out = np.empty(step + noise.PADDING)
        for first in range(0, 4000 - step, step):
            stream.fill(out, count=step, gain=gain)
            assert np.array_equal(out[:step], whole[first : first + step])


def test_copy_gives_the_same_bits() -> None:
    for count in (4, 5):
        stream = noise.NormalStream.seeded(8)
        stream.skip(count)
        assert np.array_equal(stream.copy().draw(20), stream.advanced(0).draw(20))
        assert np.array_equal(stream.copy().draw(20), noise.NormalStream.seeded(8).draw(count + 20)[count:])


def test_cached_normal_of_a_generator_is_used_unchanged() -> None:
    generator = np.random.RandomState(9)
    generator.standard_normal(1)
    state: Any = generator.get_state()
    assert 2.0 * state[4] == noise.NoiseBuffer(noise.NormalStream(state), gain=2.0).read(0, 1)[0]


def test_noise_buffer_computes_every_normal_once() -> None:
    expected = 3.0 * noise.NormalStream.seeded(10).draw(5000)
    stream = noise.NormalStream.seeded(10)
    buffer = noise.NoiseBuffer(stream, gain=3.0)
    moves = [
        (0, 0),
        (0, 101),
        (5, 60),
        (5, 101),
        (7, 300),
        (250, 301),
        (400, 400),
        (1001, 3000),
        (1001, 1001),
    ]
    for first, last in [*moves, (2500, 2800), (2900, 4000)]:
        np.testing.assert_allclose(buffer.read(first, last), expected[first:last], rtol=4 * ULP, atol=0)
    _assert_same_state(stream, _drawn(10, 4000))
    buffer.read(4444, 4444)
    _assert_same_state(stream, _drawn(10, 4444))


def _drawn(seed: int, count: int) -> np.random.RandomState:
    generator = np.random.RandomState(seed)
    generator.standard_normal(count)
    return generator


def test_other_generators_are_rejected() -> None:
    with pytest.raises(ValueError, match="needs NumPy's legacy generator"):
        noise.NormalStream(("PCG64", None, 0, 0, 0.0))
