from __future__ import annotations

import numpy as np
import pytest

from harness.enhance import enhance, load_separator
from harness.enhance.separators import TeamSeparator
from harness.enhance.track import Track
from harness.protocol.errors import SetupError, SubmissionError, UsageError
from validator.challenge.challenge import Challenge
from validator.challenge.rules import CAD1


def separated(separator, challenge):
    track = Track(challenge.songs[0])
    target = np.zeros((4, 2, track.frames), dtype=np.float32)
    separator.separate(track, target, lambda done, total: None)
    return track, target


def test_oracle_mixture_and_leaky_stems(challenge):
    track, oracle = separated(load_separator("oracle"), challenge)
    _, mixture = separated(load_separator("mixture"), challenge)
    _, leaky = separated(load_separator("leaky"), challenge)
    np.testing.assert_array_equal(oracle[CAD1.stems.index("bass")], track.read("bass"))
    np.testing.assert_allclose(oracle.sum(axis=0), track.read("mixture"), atol=1e-6)
    for stem in mixture:
        np.testing.assert_array_equal(stem, track.read("mixture") / 4)
    expected = 0.8 * oracle + 0.2 * oracle.sum(axis=0)
    np.testing.assert_allclose(leaky, expected, atol=1e-6)


THREE_LINES = """\
def separate(mixture, sample_rate):
    assert sample_rate == 44100
    return {stem: mixture / 4 for stem in ("vocals", "bass", "drums", "other")}
"""


def write_module(folder, name, text, monkeypatch):
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])


def test_a_file_of_three_lines_is_a_separator(challenge, tmp_path, monkeypatch):
    write_module(tmp_path, "three_lines", THREE_LINES, monkeypatch)
    ours = enhance(challenge, separator="three_lines:separate", output=tmp_path / "a", team="E001")
    same = enhance(challenge, separator="mixture", output=tmp_path / "b", team="E001")
    assert ours.read_bytes() == same.read_bytes()


def test_a_class_is_instantiated_once(challenge, tmp_path, monkeypatch):
    text = (
        "class Model:\n"
        "    made = 0\n"
        "    def __init__(self):\n"
        "        type(self).made += 1\n"
        "    def __call__(self, mixture, sample_rate):\n"
        "        return {stem: mixture * 0.5 for stem in ('vocals', 'bass', 'drums', 'other')}\n"
    )
    write_module(tmp_path, "as_class", text, monkeypatch)
    separator = load_separator("as_class:Model")
    track, target = separated(separator, challenge)
    separated(separator, challenge)
    np.testing.assert_allclose(target[0], track.read("mixture") * 0.5)
    assert __import__("as_class").Model.made == 1


def test_identity_depends_on_the_source(tmp_path, monkeypatch):
    import sys

    write_module(tmp_path, "edited", THREE_LINES, monkeypatch)
    before = load_separator("edited:separate").identity
    assert before == load_separator("edited:separate").identity
    del sys.modules["edited"]
    (tmp_path / "edited.py").write_text(THREE_LINES.replace("/ 4", "/ 4.5  "), encoding="utf-8")
    assert load_separator("edited:separate").identity != before


def good(mixture):
    return dict.fromkeys(CAD1.stems, mixture / 4)


def nan_in_bass(mixture):
    stems = good(mixture)
    stems["bass"] = stems["bass"].copy()
    stems["bass"][1, 17] = np.nan
    return stems


class OnDevice:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert a cuda tensor")


def raises(mixture):
    raise ZeroDivisionError("the model divided by nothing")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: good(m)["bass"], "returned ndarray for .*; expected a dict"),
        (lambda m: None, "returned NoneType"),
        (
            lambda m: {"vocals": m},
            "returned the stems vocals for .*; expected drums, bass, other, vocals",
        ),
        (lambda m: {}, "returned the stems none"),
        (lambda m: {**good(m), "bass": m.T}, r"returned bass of .* with the shape \(\d+, 2\)"),
        (lambda m: {**good(m), "vocals": m[:, :-1]}, "returned vocals of .* with the shape"),
        (lambda m: {**good(m), "other": (m * 100).astype(int)}, "returned other of .* as int64"),
        (
            lambda m: {**good(m), "bass": OnDevice()},
            "returned bass of .* as OnDevice, which cannot be converted to an array",
        ),
        (
            lambda m: {**good(m), "other": m.astype(float) + 1e300},
            "returned other of .* not finite, first at sample 0",
        ),
        (nan_in_bass, "returned bass of .* not finite, first at sample 17"),
        (
            lambda m: {**good(m), "drums": np.full_like(m, np.inf)},
            "returned drums of .* not finite",
        ),
        (raises, "raised ZeroDivisionError on .*: the model divided by nothing"),
    ],
)
def test_a_failing_separator_is_a_submission_error(call, sentence, challenge, tmp_path):
    separator = TeamSeparator("mine:separate", lambda mixture, rate: call(mixture))
    with pytest.raises(SubmissionError, match=f"The separator mine:separate {sentence}") as caught:
        enhance(challenge, separator=separator, output=tmp_path, team="E001")
    assert caught.value.exit_code == 1
    assert caught.value.hint
    assert not (tmp_path / "submission_E001.zip").exists()


@pytest.mark.parametrize(
    ("text", "spec", "sentence"),
    [
        ("", "nowhere_to_be_found:separate", "cannot be imported: ModuleNotFoundError"),
        ("import does_not_exist", "broken:separate", "cannot be imported: ModuleNotFoundError"),
        ("def other(): pass", "broken:separate", "has no attribute 'separate'"),
        ("separate = 3", "broken:separate", "is not callable: its type is int"),
        (
            "class separate:\n    def __init__(self, x): pass",
            "broken:separate",
            "without arguments: TypeError",
        ),
        ("", "broken", "There is no separator 'broken'"),
        ("", ":separate", "There is no separator ':separate'"),
        ("", "oracle", None),
    ],
)
def test_an_unknown_separator_is_a_usage_error(text, spec, sentence, tmp_path, monkeypatch):
    import sys

    sys.modules.pop("broken", None)
    write_module(tmp_path, "broken", text, monkeypatch)
    if sentence is None:
        assert load_separator(spec).identity == "oracle"
        return
    with pytest.raises(UsageError, match=sentence) as caught:
        load_separator(spec)
    assert caught.value.hint


def test_only_models_have_weights(tmp_path):
    with pytest.raises(UsageError, match="has neither weights nor a device"):
        load_separator("oracle", weights=tmp_path / "w.pt")


def test_music_that_changes_during_the_run_is_a_setup_error(tmp_path):
    import soundfile

    from harness.baselines.synthetic import make_challenge

    challenge = Challenge.load(make_challenge(tmp_path / "root", songs=1, listeners=1), split="test")
    track = Track(challenge.songs[0])
    path = challenge.songs[0].reference_path("bass")
    soundfile.write(path, np.zeros((100, 2)), 44100)
    with pytest.raises(SetupError, match="has 100 samples"):
        track.read("bass")
    path.unlink()
    with pytest.raises(SetupError, match="cannot be read as audio"):
        track.read("bass")
