"""A song prepared once gives what single calls give, one after the other from the seed on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from haaqi_cases import AUDIOGRAMS, music, noisy

from harness.haaqi import Song, compute_haaqi

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
def test_scores_are_those_of_single_calls_bit_by_bit() -> None:
    song = _song()
    for seed, audiograms in enumerate(LISTENERS):
        processed = _processed(seed)
        assert (
            song.score(processed, sample_rate=24000, audiograms=audiograms)
            == _one_by_one(processed, audiograms)[0]
        )


def test_states_are_where_single_calls_leave_the_generator() -> None:
    song = _song()
    processed = _processed(5)
    expected = _one_by_one(processed, LISTENERS[3])[1]
    found = song.states(processed, sample_rate=24000, audiograms=LISTENERS[3])
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours[1], theirs[1])
        assert ours[2:] == theirs[2:]


def test_pyclarity_gives_a_signal_alone_the_same_score(pyclarity: Any) -> None:
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


def test_mistakes_are_said_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^There are 4 references, but 1 levels\.$"):
        Song(_references(), sample_rate=24000, levels=[65.0], seed=0)
    with pytest.raises(
        ValueError, match=r"^The song has 4 references, but there are 4 signals and 1 audiograms\.$"
    ):
        _song().score(_processed(0), sample_rate=24000, audiograms=LISTENERS[0][:1])
    with pytest.raises(ValueError, match=r"^The 2\. reference signal is empty\.$"):
        Song([music(600), np.zeros(0, np.float32)], sample_rate=24000, levels=[65, 65], seed=0)
    bad = _processed(0)
    bad[3] = bad[3] * np.float32(np.nan)
    with pytest.raises(ValueError, match=r"^The 4\. processed signal holds NaN or infinite samples\.$"):
        _song().score(bad, sample_rate=24000, audiograms=LISTENERS[0])
