from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.enhance.blocks import BLOCK, OVERLAP, BlockSeparator, blocks
from harness.enhance.track import Track
from harness.protocol.errors import SetupError, UsageError
from validator.challenge.rules import CAD1


@settings(deadline=None)
@given(length=st.integers(1, 5000), block=st.integers(3, 900), share=st.floats(0, 0.49))
def test_fades_sum_to_one_everywhere(length, block, share):
    overlap = int(block * share)
    total = np.zeros(length)
    for here in blocks(length, block=block, overlap=overlap):
        total[here.start : here.stop] += here.fade()
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_blocks_equal_the_recipe():
    # Like separate_sources of the recipe for 40 s: 11 s, then 11.1 s each, the last one shorter.
    assert (BLOCK, OVERLAP) == (485100, 4410)
    found = [(here.start, here.stop, here.fade_in, here.fade_out) for here in blocks(40 * 44100)]
    assert found == [
        (0, 485100, 0, 4410),
        (480690, 970200, 4410, 4410),
        (965790, 1455300, 4410, 4410),
        (1450890, 1764000, 4410, 0),
    ]


def test_one_short_block_keeps_its_end():
    (only,) = blocks(1000)
    assert np.all(only.fade() == 1)


def test_overlap_must_fit():
    with pytest.raises(UsageError, match="cannot overlap"):
        list(blocks(100, block=10, overlap=5))


ORDER = ("vocals", "drums", "bass", "other")
SHARES = np.array([0.4, 0.3, 0.2, 0.1], dtype=np.float32)[:, None, None]


def run(challenge, model, **settings):
    separator = BlockSeparator(
        **{"identity": "toy", "model": model, "order": ORDER, "normalise": False, **settings}
    )
    track = Track(challenge.songs[0])
    target = np.zeros((4, 2, track.frames), dtype=np.float32)
    reports = []
    separator.separate(track, target, lambda done, total: reports.append((done, total)))
    return track.read("mixture"), target, reports


def test_stems_are_reordered_from_the_order_of_the_model(challenge):
    mixture, target, reports = run(challenge, lambda block: block * SHARES, block=30000, overlap=2000)
    for stem, signal in zip(CAD1.stems, target, strict=True):
        np.testing.assert_allclose(signal, mixture * SHARES[ORDER.index(stem)], atol=1e-6)
    assert reports == [(count, 5) for count in range(6)]


def test_model_gets_the_normalised_song_and_its_stems_are_scaled_back(challenge):
    seen = []

    def model(block):
        seen.append(block)
        return np.stack([block] * 4)

    mixture, target, _ = run(challenge, model, normalise=True)
    middle = mixture.mean(axis=0)
    np.testing.assert_allclose(seen[0], (mixture - middle.mean()) / middle.std(), rtol=1e-4, atol=1e-5)
    for signal in target:
        np.testing.assert_allclose(signal, mixture, atol=1e-6)


def smoothing(block):
    """A model with memory: each stem is a moving average over 101 samples."""
    kernel = np.ones(101) / 101
    smooth = np.stack([np.convolve(side, kernel, "same") for side in block])
    return (smooth * SHARES).astype(np.float32)


def test_blocks_agree_with_the_whole_away_from_the_seams(challenge):
    _, whole, reports = run(challenge, smoothing)
    assert reports == [(0, 1), (1, 1)]
    _, parts, _ = run(challenge, smoothing, block=30000, overlap=2000)
    away = np.ones(whole.shape[2], dtype=bool)
    for here in list(blocks(whole.shape[2], block=30000, overlap=2000))[1:]:
        away[here.start - 60 : here.start + here.fade_in + 60] = False
    assert away.mean() > 0.8
    np.testing.assert_allclose(parts[:, :, away], whole[:, :, away], atol=1e-6)
    assert np.abs(parts - whole).max() < 0.05


def failing(block):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (failing, "toy failed on .*: out of memory"),
        (lambda block: np.stack([block] * 3), "too few"),
        (lambda block: np.stack([block * np.float32("nan")] * 4), "not finite"),
    ],
)
def test_a_failing_model_is_a_setup_error(model, sentence, challenge):
    with pytest.raises(SetupError, match=sentence):
        run(challenge, model)
