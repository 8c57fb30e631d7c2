"""The alignment within a channel: float32 where it is certain, float64 where it is undecided."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.haaqi.alignment import lags, overlap_save

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
Kind = Callable[[np.random.RandomState, int], Pair]


def _rolled(rng: np.random.RandomState, length: int) -> Pair:
    noise = rng.standard_normal(length)
    return noise, np.roll(noise, rng.randint(-3000, 3000)) + rng.standard_normal(length)


def _unrelated(rng: np.random.RandomState, length: int) -> Pair:
    return rng.standard_normal(length), rng.standard_normal(length)


def _equal(rng: np.random.RandomState, length: int) -> Pair:
    noise = rng.standard_normal(length)
    return noise, noise.copy()


def _inverted(rng: np.random.RandomState, length: int) -> Pair:
    noise = rng.standard_normal(length)
    return noise, -noise


def _slow(rng: np.random.RandomState, length: int) -> Pair:
    """Envelopes of a few hertz: many neighbouring lags are nearly as good."""
    envelope = 1.0 + np.convolve(rng.standard_normal(length + 4000), np.hanning(4001), "valid") / 100
    return envelope, np.roll(envelope, rng.randint(-50, 50)) * rng.uniform(0.1, 3)


def _tones(rng: np.random.RandomState, length: int) -> Pair:
    time = np.arange(length) / 24000
    frequency = rng.uniform(40, 9000)
    return np.sin(2 * np.pi * frequency * time), np.sin(2 * np.pi * frequency * (time - rng.uniform(0, 0.01)))


def _constant(rng: np.random.RandomState, length: int) -> Pair:
    return np.full(length, rng.uniform(0.1, 2)), np.full(length, rng.uniform(-2, 2))


def _impulses(rng: np.random.RandomState, length: int) -> Pair:
    x, y = np.zeros(length), np.zeros(length)
    x[rng.randint(length)], y[rng.randint(length)] = 1.0, 1.0
    return x, y


def _near_tie(gap: float) -> Kind:
    def make(rng: np.random.RandomState, length: int) -> Pair:
        x, y = np.zeros(length), 0.3 * rng.standard_normal(length).clip(-3, 3)
        x[length // 2] = 1.0
        y[rng.choice(length, min(4, length), replace=False)] = [1.0, 1.0 + gap, 1.0 - gap, 1.0 + 2 * gap][
            :length
        ]
        return x, y

    return make


def _zero(rng: np.random.RandomState, length: int) -> Pair:
    return rng.standard_normal(length), np.zeros(length)


def _fading(rng: np.random.RandomState, length: int) -> Pair:
    """Fades to nothing: float32 would have to represent denormal numbers, and neglects those spans."""
    x = rng.standard_normal(length) * 10.0 ** -np.linspace(0, 60, length)
    return x, np.roll(x, 17) if rng.randint(2) else np.roll(x[::-1], 3).copy()


def _steps(rng: np.random.RandomState, length: int) -> Pair:
    """Numbers just below those of float32, so that all of them round in the same direction."""
    x = np.where(rng.uniform(size=length) < 0.5, 1.0, -1.0) * (1 + 2.0**-24 * (1 - 1e-9))
    return x, np.roll(x, 100)


KINDS: dict[str, Kind] = {
    "rolled": _rolled,
    "unrelated": _unrelated,
    "equal": _equal,
    "inverted": _inverted,
    "slow": _slow,
    "tones": _tones,
    "constant": _constant,
    "impulses": _impulses,
    "tie of 1e-7": _near_tie(1e-7),
    "tie of 1e-9": _near_tie(1e-9),
    "tie": _near_tie(0.0),
    "zero": _zero,
    "fading": _fading,
    "steps": _steps,
}
LENGTHS = [1, 2, 7, 130, 2399, 2400, 2401, 9001, 23168, 48737, 75001]
SCALES = [1.0, 1e-3, 1e3, 1e-10, 1e10, 1e-150, 1e150]


def _transformed(x: NDArray[np.float64], y: NDArray[np.float64]) -> lags.ChunkedCorrelation:
    correlation = lags.ChunkedCorrelation()
    correlation.add(x, y, offset=0, first=0, last=len(x), length=len(x))
    return correlation


def _delay_by_transforms(x: NDArray[np.float64], y: NDArray[np.float64]) -> int:
    return _transformed(x, y).best_delay(length=len(x))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(sorted(KINDS)),
    length=st.sampled_from(LENGTHS) | st.integers(1, 80000),
    scales=st.tuples(st.sampled_from(SCALES), st.sampled_from(SCALES)),
    seed=st.integers(0, 2**31),
)
def test_delay_equals_that_of_float64_transforms(
    kind: str, length: int, scales: tuple[float, float], seed: int
) -> None:
    x, y = KINDS[kind](np.random.RandomState(seed), length)
    x, y = x * scales[0], y * scales[1]
    assert lags.best_delay(x, y, length=length) == _delay_by_transforms(x, y)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_delay_has_the_greatest_sum_of_products(kind: str) -> None:
    rng = np.random.RandomState(1)
    x, y = KINDS[kind](rng, 53000)
    found = lags.best_delay(x, y, length=len(x))
    whole = np.fft.irfft(np.conj(np.fft.rfft(x, 2**17)) * np.fft.rfft(y, 2**17), 2**17)
    assert -2400 <= found < 2400
    best = max(whole[:2400].max(), whole[-2400:].max())
    assert whole[found] >= best - 1e-13 * np.linalg.norm(x) * np.linalg.norm(y)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_float32_error_is_within_its_bound(kind: str, length: int) -> None:
    x, y = KINDS[kind](np.random.RandomState(length), length)
    values, bound, norm = lags.float32_correlation(x, y, length=length)
    error = np.max(np.abs(values - _transformed(x, y).values()))
    assert error <= bound / 4
    assert bound <= 1e-5 * norm + 2.0**-60


def test_signals_outside_the_float32_range_have_no_bound() -> None:
    x = np.random.RandomState(2).standard_normal(30000)
    for scale in (1e13, 1e30, 1e150, np.inf):
        assert lags.float32_correlation(x * scale, x, length=len(x))[1] == np.inf
        assert lags.float32_correlation(x, x * scale, length=len(x))[1] == np.inf
    _, bound, norm = lags.float32_correlation(x * 1e-30, x * 1e-30, length=len(x))
    assert bound == norm > 0  # everything is neglected: any lag may be the best one


def _peaks(first: float, second: float) -> Pair:
    """Signals whose correlation is two impulses far from each other."""
    x, y = np.zeros(60000), np.zeros(60000)
    x[30000], y[30000 - 900], y[30000 + 1500] = 1.0, first, second
    return x, y


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each use of float64 transforms."""
    calls: list[int] = []
    original = lags._float64_delay

    def counted(x: NDArray[np.float64], y: NDArray[np.float64], length: int) -> int:
        calls.append(length)
        return original(x, y, length)

    monkeypatch.setattr(lags, "_float64_delay", counted)
    return calls


@pytest.mark.parametrize("gap", [1e-7, 1.6e-7, 1e-9, 1e-11])
def test_lags_that_float32_leaves_undecided_are_computed_in_float64(
    gap: float, transforms: list[int]
) -> None:
    early, late = _peaks(1 + gap, 1.0), _peaks(1.0, 1 + gap)
    assert lags.best_delay(*early, length=60000) == -900
    assert lags.best_delay(*late, length=60000) == 1500
    assert transforms == []


def test_float32_alone_would_give_a_wrong_lag() -> None:
    wrong = 0
    for pair, right in ((_peaks(1 + 1e-9, 1.0), -900), (_peaks(1.0, 1 + 1e-9), 1500)):
        values, _, _ = lags.float32_correlation(*pair, length=60000)
        wrong += int(np.argmax(values)) - 2400 != right
        assert lags.best_delay(*pair, length=60000) == right
    assert wrong == 1


def test_equal_peaks_are_decided_by_float64_transforms(transforms: list[int]) -> None:
    pair = _peaks(1.0, 1.0)
    assert lags.best_delay(*pair, length=60000) == _delay_by_transforms(*pair)
    assert transforms == [60000]


def test_many_undecided_lags_are_decided_by_float64_transforms(transforms: list[int]) -> None:
    slow = np.hanning(60000)
    assert lags.best_delay(slow, slow, length=60000) == _delay_by_transforms(slow, slow)
    assert transforms == [60000]


def test_ordinary_signals_need_no_float64_transforms(transforms: list[int]) -> None:
    for kind in ("rolled", "equal", "unrelated"):
        x, y = KINDS[kind](np.random.RandomState(3), 75001)
        lags.best_delay(x, y, length=len(x))
    assert transforms == []


@pytest.mark.parametrize("length", [1, 5, 8, 11, 2400, 2407, 5003])
def test_lagged_products_are_sums_of_products(length: int) -> None:
    rng = np.random.RandomState(length)
    x, y = rng.standard_normal(length), rng.standard_normal(length)
    full = np.correlate(y, x, "full")
    reach = min(2400, length)
    padded = np.concatenate((np.zeros(10), full, np.zeros(10)))
    for lag in {-reach, 1 - reach, -9, -8, -7, -4, -1, 0, 1, 5, reach - 8, reach - 1} & set(
        range(-reach, reach)
    ):
        start = length - 1 + lag + 10
        found = overlap_save.lagged_products(x, y, length, lag)
        np.testing.assert_allclose(found, padded[start : start + 8], rtol=0, atol=1e-12 * np.sqrt(length))


def test_samples_after_the_length_do_not_count() -> None:
    rng = np.random.RandomState(5)
    x, y = rng.standard_normal(75008), rng.standard_normal(75008)
    for length in (2000, 50000, 75001):
        expected = _delay_by_transforms(x[:length].copy(), y[:length].copy())
        assert lags.best_delay(x, y, length=length) == expected
        values, bound, _ = lags.float32_correlation(x, y, length=length)
        assert np.max(np.abs(values - _transformed(x[:length].copy(), y[:length].copy()).values())) < bound
