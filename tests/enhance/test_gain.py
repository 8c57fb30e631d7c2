from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from harness.enhance import enhance
from harness.enhance.encoding import resample
from harness.enhance.gain import SCORER_ORDER, SongSpectra
from harness.enhance.nalr import convolve, nalr_taps
from harness.enhance.separators import Oracle
from harness.enhance.track import Track
from validator.challenge import SIDES, STEMS
from validator.manifest import stem_name


def scorer_level(track, listener, *, part, side):
    """Rms of a reference as the scorer amplifies it, computed in the time domain."""
    start, stop = track.song.objective_slice
    signal = resample(track.read(part)[SIDES.index(side), start:stop], target_rate=24000)
    taps = nalr_taps(
        frequencies=listener.frequencies,
        levels=getattr(listener, side),
        sample_rate=24000,
        order=SCORER_ORDER,
    )
    return np.sqrt(np.mean(convolve(signal, taps)[: len(signal)] ** 2))


def submitted_level(packed, listener, song, *, side, stem):
    with zipfile.ZipFile(packed) as archive:
        name = "evaluation/" + stem_name(listener.id, song.name, side, stem)
        pcm, _ = soundfile.read(io.BytesIO(archive.read(name)))
        return np.sqrt(np.mean(pcm**2)) * float(archive.read(name.replace(".flac", ".txt")))


class Weak(Oracle):
    """The true stems, each at another wrong level."""

    identity = "weak"

    def separate(self, track, target, report):
        super().separate(track, target, report)
        target *= np.array([0.1, 0.5, 2.0, 0.7], dtype=np.float32)[:, None, None]


def test_spectrum_gives_the_scorer_s_level(challenge):
    track = Track(challenge.songs[0])
    spectra = SongSpectra.measure(track)
    assert spectra.matched
    for listener in challenge.listeners:
        for side in SIDES:
            levels = spectra.levels(listener, side)
            for stem, level in zip(STEMS, levels, strict=True):
                exact = scorer_level(track, listener, part=stem, side=side)
                assert 20 * np.log10(level / exact) == pytest.approx(0, abs=0.2)


def test_match_brings_every_stem_to_the_scorer_s_level(challenge, tmp_path):
    plain = enhance(challenge, separator=Weak(), output=tmp_path / "plain", team="E001")
    matched = enhance(challenge, separator=Weak(), output=tmp_path / "matched", team="E001", gain="match")
    for song in challenge.songs:
        track = Track(song)
        for listener in challenge.listeners:
            for side in SIDES:
                for stem in STEMS:
                    wanted = scorer_level(track, listener, part=stem, side=side)
                    found = submitted_level(matched, listener, song, side=side, stem=stem)
                    assert 20 * np.log10(found / wanted) == pytest.approx(0, abs=0.3)
                off = submitted_level(plain, listener, song, side=side, stem="drums")
                assert off < 0.2 * scorer_level(track, listener, part="drums", side=side)


def test_without_the_stems_one_factor_an_ear_matches_the_mixture(challenge, tmp_path):
    song = challenge.songs[0]
    folder = tmp_path / "song"
    folder.mkdir()
    (folder / "mixture.wav").write_bytes(song.reference_path("mixture").read_bytes())
    track = Track(replace(song, folder=folder))
    spectra = SongSpectra.measure(track)
    assert not spectra.matched
    listener = challenge.listeners[0]
    factors = spectra.factors(np.array([1.0, 1.0, 1.0, 1.0, 4.0]), listener=listener, side="left")
    wanted = scorer_level(Track(song), listener, part="mixture", side="left")
    np.testing.assert_allclose(factors, wanted / 2, rtol=0.03)


def test_silence_is_left_alone(challenge):
    spectra = SongSpectra(power=np.zeros((4, 2, 1025)), matched=True)
    factors = spectra.factors(np.array([1.0, 0, 0, 0, 1.0]), listener=challenge.listeners[0], side="left")
    assert factors.tolist() == [1, 1, 1, 1]
