"""A prepared song gives the scores of single calls, made one after the other from the seed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.haaqi import Listening, Song, compute_haaqi, song
from harness.haaqi.cochlea import noise
from tests.haaqi.cases import AUDIOGRAMS, music, noisy

FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
LENGTH = 4001
SILENT = 2
LISTENERS = [[AUDIOGRAMS[name]] * 4 for name in ("moderate", "mild", "steep")]
LISTENERS.append([AUDIOGRAMS["normal"], AUDIOGRAMS["profound"], AUDIOGRAMS["mild"], AUDIOGRAMS["rising"]])
LEVELS = [90.0, 88.5, 65.0, 91.0]


def _references() -> list[Any]:
    references = [music(LENGTH, seed=seed).astype(np.float32) for seed in range(4)]
    references[SILENT][:] = 0
    references[1][:900] = 0
    return references


def _processed(seed: int) -> list[Any]:
    return [noisy(reference, seed=seed).astype(np.float32) for reference in _references()]


def _song() -> Song:
    return Song(_references(), sample_rate=24000, levels=LEVELS, seed=321)


def _one_by_one(processed: list[Any], audiograms: Any) -> tuple[list[float | None], list[Any]]:
    np.random.seed(321)
    scores: list[float | None] = []
    states = [np.random.get_state()]
    for k, reference in enumerate(_references()):
        if k == SILENT:
            scores.append(None)
        else:
            scores.append(
                compute_haaqi(processed[k], reference, 24000, 24000, audiograms[k], FREQUENCIES, LEVELS[k])
            )
        states.append(np.random.get_state())
    return scores, states


@pytest.mark.filterwarnings("error")
def test_scores_have_the_bits_of_single_calls() -> None:
    song = _song()
    for seed, audiograms in enumerate(LISTENERS):
        processed = _processed(seed)
        assert (
            song.score(processed, sample_rate=24000, audiograms=audiograms)
            == _one_by_one(processed, audiograms)[0]
        )


def test_states_equal_those_after_single_calls() -> None:
    song = _song()
    processed = _processed(5)
    expected = _one_by_one(processed, LISTENERS[3])[1]
    found = song.states(processed, sample_rate=24000, audiograms=LISTENERS[3])
    assert len(found) == len(expected)
    for state, expected_state in zip(found, expected, strict=True):
        assert np.array_equal(state[1], expected_state[1])
        assert state[2:] == expected_state[2:]


def test_pyclarity_gives_the_same_score_from_a_state(pyclarity: Any) -> None:
    song = _song()
    processed = _processed(6)
    scores = song.score(processed, sample_rate=24000, audiograms=LISTENERS[3])
    states = song.states(processed, sample_rate=24000, audiograms=LISTENERS[3])
    for k in (3, 1):
        np.random.set_state(states[k])
        alone = pyclarity.compute_haaqi(
            processed[k],
            _references()[k],
            24000,
            24000,
            np.array(LISTENERS[3][k]),
            np.array(FREQUENCIES),
            LEVELS[k],
        )
        assert scores[k] == pytest.approx(alone, abs=1e-12)


def _listenings(count: int) -> list[Listening]:
    """Listeners with different audiograms, levels, lengths and delays, so that their noise positions differ."""
    found = []
    for number in range(count):
        processed = [(0.2 + number) * np.roll(signal, 40 * number) for signal in _processed(number)]
        if number == 3:
            processed[0] = processed[0][:-600]
        if number == 4:
            processed[3] = np.concatenate((processed[3], processed[3]))
        found.append(Listening(processed=processed, audiograms=LISTENERS[number % len(LISTENERS)]))
    return found


def test_scores_do_not_depend_on_the_other_listeners_of_a_batch() -> None:
    listenings = _listenings(8)
    expected = [_one_by_one(list(one.processed), one.audiograms)[0] for one in listenings]
    whole = _song().score_all(listenings, sample_rate=24000)
    assert whole == expected
    parts = _song()
    assert parts.score_all(listenings[:3], sample_rate=24000) == expected[:3]
    assert parts.score_all(listenings[3:], sample_rate=24000) == expected[3:]
    assert parts.score_all(listenings[::-1], sample_rate=24000) == expected[::-1]
    alone = _song()
    assert [alone.score_all([one], sample_rate=24000)[0] for one in listenings] == expected
    assert alone.score_all([], sample_rate=24000) == []


def test_listeners_of_a_batch_have_different_noise_positions() -> None:
    states = [
        _song().states(list(one.processed), sample_rate=24000, audiograms=one.audiograms)[-1]
        for one in _listenings(4)
    ]
    assert len({(state[1].tobytes(), state[2]) for state in states}) > 2


def test_batch_computes_its_noise_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    fill = noise.NormalStream.fill

    def counted(stream: noise.NormalStream, out: Any, *, count: int, gain: float) -> None:
        made.append(count)
        fill(stream, out, count=count, gain=gain)

    monkeypatch.setattr(noise.NormalStream, "fill", counted)
    listenings = [Listening(processed=_processed(0), audiograms=LISTENERS[0]) for _ in range(5)]
    song = _song()
    song.score_all(listenings[:1], sample_rate=24000)
    alone = sum(made)
    made.clear()
    song.score_all(listenings, sample_rate=24000)
    assert alone <= sum(made) < 1.2 * alone


@pytest.mark.parametrize("longest", [3000, 4000])
def test_signals_too_long_to_be_held_are_processed_one_by_one(
    longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _song().score_all(_listenings(3), sample_rate=24000)
    monkeypatch.setattr(song, "MAX_WHOLE_LENGTH", longest)
    assert _song().score_all(_listenings(3), sample_rate=24000) == expected


def test_error_of_one_listener_does_not_affect_the_others() -> None:
    listenings = _listenings(7)
    expected = _song().score_all(listenings, sample_rate=24000)

    def broken(processed: Any) -> Iterator[Any]:
        yield from processed[:1]
        raise KeyError("a file")

    bad = [*_processed(1)[:3], np.full(LENGTH, np.nan, np.float32)]
    audiograms = listenings[1].audiograms
    wrong = {
        1: Listening(processed=bad, audiograms=audiograms),
        2: Listening(processed=broken(_processed(2)), audiograms=audiograms),
        4: Listening(processed=iter(_processed(4)[:2]), audiograms=audiograms),
        6: Listening(processed=_processed(6), audiograms=[*audiograms[:3], [0.0] * 5]),
    }
    mixed = [wrong.get(number, one) for number, one in enumerate(listenings)]
    found = _song().score_all(mixed, sample_rate=24000)
    for number, values in enumerate(found):
        if number not in wrong:
            assert values == expected[number]
    assert [str(found[number]) for number in (1, 2, 4)] == [
        "Processed signal 4 contains NaN or infinite samples.",
        "'a file'",
        "The signals ended early: found 2 of 4.",
    ]
    assert isinstance(found[6], ValueError)


def test_error_within_a_channel_does_not_affect_the_other_listeners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness.haaqi import ear

    listenings = _listenings(3)
    expected = _song().score_all(listenings, sample_rate=24000)
    calls = []
    process_channel = ear.EarModel.process_channel

    def sometimes(self: ear.EarModel, number: int, noises: Any, *, buffers: Any) -> None:
        calls.append(number)
        if len(calls) == 8:
            raise MemoryError
        process_channel(self, number, noises, buffers=buffers)

    monkeypatch.setattr(ear.EarModel, "process_channel", sometimes)
    found = _song().score_all(listenings, sample_rate=24000)
    assert [found[0], found[2]] == [expected[0], expected[2]]
    assert isinstance(found[1], MemoryError)


def test_signals_are_taken_one_at_a_time() -> None:
    taken: list[int] = []

    def counted() -> Iterator[Any]:
        for number, signal in enumerate(_processed(0)):
            taken.append(number)
            yield signal

    class Audiograms(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            asked.append((index, len(taken)))
            return super().__getitem__(index)

    asked: list[tuple[int, int]] = []
    _song().score_all(
        [Listening(processed=counted(), audiograms=Audiograms(LISTENERS[0]))], sample_rate=24000
    )
    assert asked == [(0, 1), (1, 2), (3, 4)]


def test_order_of_listeners_does_not_matter() -> None:
    one, other = _song(), _song()
    forth = [one.score(_processed(s), sample_rate=24000, audiograms=LISTENERS[s]) for s in range(3)]
    back = [other.score(_processed(s), sample_rate=24000, audiograms=LISTENERS[s]) for s in (2, 1, 0)]
    assert forth == back[::-1]


def test_silent_references_and_other_lengths() -> None:
    song = _song()
    processed = _processed(7)
    processed[0] = processed[0][:-600]
    processed[1] = np.concatenate((processed[1], processed[1]))
    processed[SILENT] = np.full(10, np.nan, np.float32)
    scores = song.score(processed, sample_rate=24000, audiograms=LISTENERS[0])
    assert scores[SILENT] is None
    assert scores == _one_by_one(processed, LISTENERS[0])[0]


def test_fewer_signals_for_the_states() -> None:
    song = _song()
    processed = _processed(5)
    whole = song.states(processed, sample_rate=24000, audiograms=LISTENERS[3])
    part = song.states(processed[:1], sample_rate=24000, audiograms=LISTENERS[3][:1])
    assert [state[2] for state in part] == [state[2] for state in whole[:2]]


def test_invalid_arguments_are_rejected_with_a_message() -> None:
    with pytest.raises(
        ValueError, match=r"^The numbers of references \(4\) and levels \(1\) do not match\.$"
    ):
        Song(_references(), sample_rate=24000, levels=[65.0], seed=0)
    with pytest.raises(
        ValueError,
        match=r"^The numbers of references \(4\), signals \(4\) and audiograms \(1\) do not match\.$",
    ):
        _song().score(_processed(0), sample_rate=24000, audiograms=LISTENERS[0][:1])
    with pytest.raises(ValueError, match=r"^Reference signal 2 is empty\.$"):
        Song(
            [music(600).astype(np.float32), np.zeros(0, np.float32)],
            sample_rate=24000,
            levels=[65, 65],
            seed=0,
        )
    bad = _processed(0)
    bad[3] = bad[3] * np.float32(np.nan)
    with pytest.raises(ValueError, match=r"^Processed signal 4 contains NaN or infinite samples\.$"):
        _song().score(bad, sample_rate=24000, audiograms=LISTENERS[0])
