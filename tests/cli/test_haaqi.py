"""`cad1 haaqi`: one HAAQI of two sound files, as the library computes it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harness.cli import console, haaqi
from harness.cli.app import cad1
from harness.evaluator.references import make_references
from harness.haaqi import Song, compute_haaqi
from validator import Challenge
from validator.challenge.references import read_reference
from validator.challenge.rules import CAD1

RATE = 24000
AUDIOGRAM = (20.0, 30.0, 35.0, 45.0, 50.0, 60.0)
LOSS = ",".join(f"{level:g}" for level in AUDIOGRAM)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clean.wav` of two channels, and `other.flac`, its noisy left one."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(1)
    clean = 0.1 * rng.standard_normal((RATE // 2, 2))
    soundfile.write(folder / "clean.wav", clean, RATE, subtype="PCM_16")
    soundfile.write(folder / "other.flac", clean[:, 0] + 0.02 * rng.standard_normal(RATE // 2), RATE)
    return folder


@pytest.fixture
def errors(capfd: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """What the command prints, also through its cached console."""
    console.stderr.cache_clear()
    return capfd


@pytest.mark.slow  # it compiles
def test_the_number_is_the_librarys(sounds: Path, errors: pytest.CaptureFixture[str]) -> None:
    files = [str(sounds / "clean.wav"), str(sounds / "other.flac")]
    options = ["--audiogram", LOSS, "--channel", "left", "--level", "70", "--seed", "3"]
    assert cad1(["haaqi", *files, *options, "--json"]) == 0
    found = json.loads(errors.readouterr().out)
    clean, other = (soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0] for path in files)
    level1 = 70 - 20 * float(np.log10(np.sqrt(np.mean(np.square(clean)))))
    assert found["level1"] == pytest.approx(level1, abs=1e-9)
    expected = compute_haaqi(
        other, clean, RATE, RATE, AUDIOGRAM, CAD1.frequencies, level1, rng=np.random.RandomState(3)
    )
    assert found["haaqi"] == expected
    assert (found["level"], found["seed"], found["channel"]) == (70, 3, "left")
    assert cad1(["haaqi", *files, *options]) == 0
    assert errors.readouterr().out == f"{expected:.6f}\n"


def test_the_seed_follows_from_the_references_name(sounds: Path, errors: pytest.CaptureFixture[str]) -> None:
    files = [str(sounds / "clean.wav"), str(sounds / "other.flac")]
    assert cad1(["haaqi", *files, "--audiogram", LOSS, "--channel", "1", "--json"]) == 0
    assert json.loads(errors.readouterr().out)["seed"] == CAD1.seed("clean")


def test_the_eight_levels_of_the_metadata_give_the_same_number(
    sounds: Path, errors: pytest.CaptureFixture[str]
) -> None:
    files = [str(sounds / "clean.wav"), str(sounds / "other.flac"), "--channel", "left"]
    assert cad1(["haaqi", *files, "--audiogram", LOSS]) == 0
    six = errors.readouterr().out
    assert cad1(["haaqi", *files, "--audiogram", "20,30,35,45,99,50,60,99"]) == 0
    assert errors.readouterr().out == six


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        ("clean.wav", ["--audiogram", LOSS], "clean.wav has 2 channels."),
        ("clean.wav", ["--audiogram", LOSS, "--channel", "3"], "clean.wav has no channel 3."),
        ("clean.wav", ["--audiogram", "20,30", "--channel", "left"], "The audiogram has 2 levels."),
        (
            "clean.wav",
            ["--audiogram", "20;30", "--channel", "left"],
            "must be numbers with commas, found '20;30'",
        ),
        ("clean.wav", ["--audiogram", "0,0,0,0,0,nan"], "must be from -20 to 130 dB HL"),
        ("silent.wav", ["--audiogram", LOSS], "silent.wav is silent; HAAQI is undefined."),
        ("short.wav", ["--audiogram", LOSS], "too short"),
        ("text.wav", ["--audiogram", LOSS], "text.wav is not a sound file that can be read"),
        ("none.wav", ["--audiogram", LOSS], "There is no file"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    sounds: Path, reference: str, options: list[str], message: str, errors: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(sounds / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(sounds / "short.wav", np.ones(10) / 2, RATE)
    (sounds / "text.wav").write_text("no sound")
    assert cad1(["haaqi", str(sounds / reference), str(sounds / "other.flac"), *options]) == 2
    assert message in errors.readouterr().err


def test_a_slow_first_call_says_that_it_compiles(
    monkeypatch: pytest.MonkeyPatch, errors: pytest.CaptureFixture[str]
) -> None:
    import time

    monkeypatch.setattr(haaqi, "PATIENCE", 0.01)
    with haaqi._announcing_compilation():
        time.sleep(0.2)
    assert "Compiling HAAQI for this machine" in errors.readouterr().err
    monkeypatch.setattr(haaqi, "PATIENCE", 10.0)
    with haaqi._announcing_compilation():
        pass
    assert errors.readouterr().err == ""


def test_a_stem_gets_the_value_that_the_scorer_gives_it(
    oracle_zip: Path, synthetic_root: Path, tmp_path: Path, errors: pytest.CaptureFixture[str]
) -> None:
    """The first stem of an example: the reference is resampled, levelled and seeded as the scorer does it."""
    challenge = Challenge.load(synthetic_root, split="test")
    song, listener = challenge.songs[0], challenge.listeners[0]
    samples, rate = soundfile.read(song.reference_path("drums"), dtype="int16", always_2d=True)
    assert song.objective_slice is not None
    start, end = song.objective_slice
    soundfile.write(tmp_path / "reference.wav", samples[start:end], rate, subtype="PCM_16")
    name = CAD1.stem_name(listener.id, song.name, "left", "drums")
    with zipfile.ZipFile(oracle_zip) as archive:
        names = {
            one.partition("/")[2] if one.startswith("evaluation/") else one: one for one in archive.namelist()
        }
        stem = archive.read(names[name])
        scale = float(archive.read(names[CAD1.scale_name(listener.id, song.name, "left", "drums")]))
    pcm, _ = soundfile.read(io.BytesIO(stem), dtype="float32")
    soundfile.write(tmp_path / "stem.wav", pcm * np.float32(scale), CAD1.stem_rate, subtype="FLOAT")
    levels = listener.levels("left")
    references = make_references(song.name, {one: read_reference(song, one) for one in CAD1.stems})
    prepared = Song(
        references.channels[:1],
        sample_rate=CAD1.stem_rate,
        levels=references.levels[:1],
        seed=references.seed,
    )
    (expected,) = prepared.score([pcm * np.float32(scale)], sample_rate=CAD1.stem_rate, audiograms=[levels])
    files = [str(tmp_path / "reference.wav"), str(tmp_path / "stem.wav")]
    audiogram = ",".join(f"{one:g}" for one in levels)
    options = ["--channel", "left", "--audiogram", audiogram, "--seed", str(references.seed), "--json"]
    assert cad1(["haaqi", *files, *options]) == 0
    assert json.loads(errors.readouterr().out)["haaqi"] == pytest.approx(expected, abs=1e-12)
