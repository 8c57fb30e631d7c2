from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile

from harness.cli import app, console
from harness.enhance import enhance
from harness.enhance.encoding import resample
from harness.enhance.gain import SCORER_ORDER, SongSpectra
from harness.enhance.nalr import convolve, nalr_taps
from harness.enhance.separators import Oracle
from harness.enhance.track import Track
from validator import validate
from validator.challenge.challenge import Challenge
from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1

WAVS = [f"{stem}.wav" for stem in CAD1.stems]


def scorer_level(track, listener, *, part, side):
    """RMS of a reference as the scorer amplifies it, computed in the time domain."""
    start, stop = track.song.objective_slice
    signal = resample(track.read(part)[CAD1.sides.index(side), start:stop], target_rate=24000)
    taps = nalr_taps(
        frequencies=listener.frequencies,
        levels=getattr(listener, side),
        sample_rate=24000,
        order=SCORER_ORDER,
    )
    return np.sqrt(np.mean(convolve(signal, taps)[: len(signal)] ** 2))


def submitted_level(packed, listener, song, *, side, stem):
    with zipfile.ZipFile(packed) as archive:
        name = "evaluation/" + CAD1.stem_name(listener.id, song.name, side, stem)
        pcm, _ = soundfile.read(io.BytesIO(archive.read(name)))
        return np.sqrt(np.mean(pcm**2)) * float(archive.read(name.replace(".flac", ".txt")))


class Weak(Oracle):
    """The true stems, each at a different wrong level."""

    identity = "weak"

    def separate(self, track, target, report):
        super().separate(track, target, report)
        target *= np.array([0.1, 0.5, 2.0, 0.7], dtype=np.float32)[:, None, None]


def test_spectrum_gives_the_level_of_the_scorer(challenge):
    track = Track(challenge.songs[0])
    spectra = SongSpectra.measure(track)
    assert spectra.matched
    for listener in challenge.listeners:
        for side in CAD1.sides:
            levels = spectra.levels(listener, side)
            for stem, level in zip(CAD1.stems, levels, strict=True):
                exact = scorer_level(track, listener, part=stem, side=side)
                assert 20 * np.log10(level / exact) == pytest.approx(0, abs=0.2)


def test_match_scales_every_stem_to_the_level_of_the_scorer(challenge, tmp_path):
    plain = enhance(challenge, separator=Weak(), output=tmp_path / "plain", team="E001")
    matched = enhance(challenge, separator=Weak(), output=tmp_path / "matched", team="E001", gain="match")
    for song in challenge.songs:
        track = Track(song)
        for listener in challenge.listeners:
            for side in CAD1.sides:
                for stem in CAD1.stems:
                    wanted = scorer_level(track, listener, part=stem, side=side)
                    found = submitted_level(matched, listener, song, side=side, stem=stem)
                    assert 20 * np.log10(found / wanted) == pytest.approx(0, abs=0.3)
                off = submitted_level(plain, listener, song, side=side, stem="drums")
                assert off < 0.2 * scorer_level(track, listener, part="drums", side=side)


def test_without_stems_one_factor_per_ear_matches_the_mixture(challenge, tmp_path):
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


@pytest.fixture
def without_stems(challenge, tmp_path):
    """The synthetic challenge as a team has it at test time: only mixtures and metadata."""
    root = shutil.copytree(challenge.root, tmp_path / "root", ignore=shutil.ignore_patterns(*WAVS))
    assert {path.name for path in root.rglob("*.wav")} == {"mixture.wav"}
    return root


def test_the_command_matches_the_mixture_without_stems(challenge, without_stems, tmp_path, capsys):
    def packed(root, output):
        options = ["--data", root, "--split", "test", "--output", tmp_path / output, "--team", "E001"]
        arguments = ["enhance", "--separator", "mixture", "--gain", "match", *options]
        assert console.run(lambda: app.app(list(map(str, arguments)), standalone_mode=False)) == 0
        return capsys.readouterr()

    packed(without_stems, "alone")
    matched = tmp_path / "alone" / "submission_E001.zip"
    assert validate(matched, challenge).valid
    for song in challenge.songs:
        for listener in challenge.listeners:
            for side in CAD1.sides:
                wanted = scorer_level(Track(song), listener, part="mixture", side=side)
                for stem in CAD1.stems:
                    found = submitted_level(matched, listener, song, side=side, stem=stem)
                    assert 20 * np.log10(4 * found / wanted) == pytest.approx(0, abs=0.3)
    packed(challenge.root, "stems")
    assert matched.read_bytes() != (tmp_path / "stems" / "submission_E001.zip").read_bytes()


@pytest.mark.parametrize("separator", ["oracle", "leaky"])
def test_the_command_names_the_stem_that_a_yardstick_needs(separator, without_stems, tmp_path, capsys):
    options = ["--data", without_stems, "--split", "test", "--output", tmp_path / "out", "--team", "E001"]
    arguments = ["enhance", "--separator", separator, *options]
    assert console.run(lambda: app.app(list(map(str, arguments)), standalone_mode=False)) == 3
    assert "drums.wav is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _keep_note(notes: list[str], done: int, total: int, note: str) -> None:
    notes.append(note)


def test_progress_names_what_is_matched(challenge, without_stems, tmp_path):
    for root, what in ((challenge.root, "stems"), (without_stems, "mixture")):
        notes: list[str] = []
        enhance(
            Challenge.load(root, split="test", stems=False),
            separator="mixture",
            output=tmp_path / what,
            team="E001",
            gain="match",
            progress=partial(_keep_note, notes),
        )
        assert f"matching {challenge.songs[0].name} to the level of its {what}" in notes


def test_scoring_and_validation_still_need_the_stems(without_stems):
    with pytest.raises(ChallengeError, match=r"drums\.wav is missing"):
        Challenge.load(without_stems, split="test")


def test_silence_is_not_scaled(challenge):
    spectra = SongSpectra(power=np.zeros((4, 2, 1025)), matched=True)
    factors = spectra.factors(np.array([1.0, 0, 0, 0, 1.0]), listener=challenge.listeners[0], side="left")
    assert factors.tolist() == [1, 1, 1, 1]
