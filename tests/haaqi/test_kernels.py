"""The loops under the stages: elementary functions, lanes, the transform, the generator, NumPy's sums."""

from __future__ import annotations

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
def test_log2_is_good_to_a_few_ulp(low: float, high: float) -> None:
    x = 2.0 ** np.random.RandomState(1).uniform(low, high, 3000)
    exact_value = np.log2(x.astype(np.longdouble))
    ours = np.array([elementary.log2(value) for value in x])
    both = np.array([elementary.log2_and_inverse(value) for value in x])
    assert np.max(np.abs((ours - exact_value) / exact_value)) < 3 * ULP
    assert np.max(np.abs((both[:, 0] - exact_value) / exact_value)) < 4 * ULP
    assert np.max(np.abs(both[:, 1] * x.astype(np.longdouble) - 1)) < 2 * ULP


def test_exp2_is_good_to_a_few_ulp() -> None:
    x = np.concatenate((np.random.RandomState(2).uniform(-990, 990, 3000), [0.0, 0.5, -0.5, 1.0, 1.5, -3.0]))
    exact_value = np.exp2(x.astype(np.longdouble))
    ours = np.array([elementary.exp2(value) for value in x])
    assert np.max(np.abs((ours - exact_value) / exact_value)) < 2 * ULP


def test_economised_series_keep_low_terms_when_they_suffice() -> None:
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
    # (1 + e)(1 - e) = 1 - e**2: rounded on its own it is 1, fused with the -1 it is -e**2.
    e = 2.0**-30
    assert _sums_of_products(np.array([1.0, 1 + e]), np.array([-1.0, 1 - e])) == 0.0


@pytest.mark.parametrize("length", [1, 7, 8, 127, 128, 129, 1000, 8192, 8193, 20000, 100001])
def test_sums_are_those_of_numpy(length: int) -> None:
    """The filter widths hang on the last bit of a mean, so that it has to be NumPy's."""
    values = np.random.RandomState(length).uniform(size=length)
    pieces, joins = gammatone._summation_plan(length, rounding.SUM_BUFFER)
    stack: list[float] = []
    start = 0
    for size, join in zip(pieces, joins, strict=True):
        stack.append(float(np.add.reduce(values[start : start + size])))
        start += size
        for _ in range(join):
            right = stack.pop()
            stack.append(stack.pop() + right)
    assert start == length
    assert stack == [rounding.pairwise_sum(values)]
    if np.__version__.startswith("1."):
        assert stack == [np.add.reduce(values)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_middle_ear_rounds_as_lfilter_does(dtype: type[np.floating]) -> None:
    from scipy.signal import butter, lfilter

    signal = np.random.RandomState(4).standard_normal(20001).astype(dtype)
    expected = lfilter(*butter(2, 350 / 12000, "high"), lfilter(*butter(1, 5000 / 12000), signal))
    np.testing.assert_array_equal(middle_ear(signal), expected)


def test_control_filters_round_as_direct_form_filters_do() -> None:
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
def test_cross_correlation_is_that_of_a_long_transform(length: int) -> None:
    rng = np.random.RandomState(length)
    x, y = rng.standard_normal(length), rng.standard_normal(length)
    size = 2 ** int(np.ceil(np.log2(2 * length + 4800)))
    whole = np.fft.irfft(np.conj(np.fft.rfft(x, size)) * np.fft.rfft(y, size), size)
    expected = np.concatenate((whole[-2400:], whole[:2400]))
    found = lags.cross_correlation(x, y, length=length)
    assert np.max(np.abs(found - expected)) < 1e-12 * np.max(np.abs(expected))


def _same(ours: noise.NormalStream, generator: np.random.RandomState) -> None:
    state, expected = ours.state(), generator.get_state()
    assert np.array_equal(state[1], expected[1])
    assert state[2:] == expected[2:]


@pytest.mark.parametrize("start", ["seeded", "odd place", "held", "odd place and held"])
def test_stream_is_numpys(start: str) -> None:
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
            np.testing.assert_allclose(stream.take(count), expected, rtol=4 * ULP, atol=0)
        _same(stream, generator)


def test_streams_ahead_leave_the_stream_where_it_is() -> None:
    stream = noise.NormalStream.seeded(5)
    generator = np.random.RandomState(5)
    ahead = stream.ahead(1001)
    _same(stream, generator)
    generator.standard_normal(1001)
    _same(ahead, generator)
    stream.move_to(ahead)
    _same(stream, generator)


def test_bookmarks_lead_to_the_same_places_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "CHECKPOINT_INTERVAL", 1000)
    bookmarks = noise.Checkpoints(6)
    for position in (2500, 0, 999, 1000, 1001, 7777, 2500):
        generator = np.random.RandomState(6)
        generator.standard_normal(position)
        stream = bookmarks.at(position)
        _same(stream, generator)
        generator.standard_normal(1234)
        _same(stream.ahead(1234), generator)


def test_a_normal_has_the_same_bits_wherever_reading_begins_and_ends() -> None:
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


def test_a_copy_gives_the_same_bits() -> None:
    for count in (4, 5):
        stream = noise.NormalStream.seeded(8)
        stream.skip(count)
        assert np.array_equal(stream.copy().take(20), stream.ahead(0).take(20))
        assert np.array_equal(stream.copy().take(20), noise.NormalStream.seeded(8).take(count + 20)[count:])


def test_what_a_generator_holds_back_is_used_as_it_is() -> None:
    generator = np.random.RandomState(9)
    generator.standard_normal(1)
    state = generator.get_state()
    assert 2.0 * state[4] == noise.NoiseBuffer(noise.NormalStream(state), gain=2.0).read(0, 1)[0]


def test_a_window_makes_every_normal_once_and_moves_on() -> None:
    expected = 3.0 * noise.NormalStream.seeded(10).take(5000)
    stream = noise.NormalStream.seeded(10)
    window = noise.NoiseBuffer(stream, gain=3.0)
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
        np.testing.assert_allclose(window.read(first, last), expected[first:last], rtol=4 * ULP, atol=0)
    _same(stream, _drawn(10, 4000))
    window.read(4444, 4444)
    _same(stream, _drawn(10, 4444))


def _drawn(seed: int, count: int) -> np.random.RandomState:
    generator = np.random.RandomState(seed)
    generator.standard_normal(count)
    return generator


def test_other_generators_are_refused() -> None:
    with pytest.raises(ValueError, match="legacy kind"):
        noise.NormalStream(("PCG64", None, 0, 0, 0.0))
