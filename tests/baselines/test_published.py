"""The published scores of the challenge's baselines, and the comparison with them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.baselines import regression
from harness.baselines.published import PUBLISHED, compare_published
from harness.baselines.synthetic import make_challenge
from harness.cli.app import cad1
from harness.enhance import Separator, loading
from harness.enhance.separators import Mixture, Oracle
from harness.ledger.entities import StoredExample
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS
from harness.sandbox.local.process import ProcessSandbox
from tests.values import values
from validator import Challenge


def test_published_songs_are_those_of_the_split_and_average_to_the_published_average() -> None:
    roster = json.loads(files("validator").joinpath("rosters", "valid.json").read_text("utf-8"))
    for published in PUBLISHED.values():
        assert set(published.songs) == set(roster["songs"])
        assert sum(published.songs.values()) / 14 == pytest.approx(published.average, abs=1e-3)
    assert PUBLISHED["demucs"].average == 0.2592


def test_published_scores_are_reached_within_rounding() -> None:
    scores = {
        (song, listener): values(figure + shift)
        for song, figure in PUBLISHED["demucs"].songs.items()
        for listener, shift in (("L1", 0.01), ("L2", -0.01))
    }
    differences = compare_published("demucs", scores)
    assert len(differences) == 15
    assert all(difference.reached for difference in differences)
    assert str(differences[0]) == "average: 0.2592, published 0.2592 (as published)"
    scores["ANiMAL - Rockshow", "L1"] = values(0.1943 + 0.0004)
    off = [difference for difference in compare_published("demucs", scores) if not difference.reached]
    assert [difference.song for difference in off] == ["ANiMAL - Rockshow"]
    assert "+0.0002, as expected: the published score was computed in 2023" in str(off[0])
    assert all(difference.expected for difference in off)
    scores["ANiMAL - Rockshow", "L1"] = values(0.1943 + 0.004)
    (far,) = [difference for difference in compare_published("demucs", scores) if not difference.expected]
    assert str(far) == ("ANiMAL - Rockshow: 0.1863, published 0.1843 (+0.0020, more than the expected 0.001)")


def test_the_published_average_of_open_unmix_differs_from_its_songs_as_expected() -> None:
    scores = {(song, "L1"): values(figure) for song, figure in PUBLISHED["openunmix"].songs.items()}
    average, *songs = compare_published("openunmix", scores)
    assert all(song.reached for song in songs)
    assert average.expected
    assert not average.reached
    assert "average 0.2270, not 0.2273" in str(average)


def test_some_songs_give_no_average() -> None:
    differences = compare_published("openunmix", {("Leaf - Summerghost", "L1"): values(0.2)})
    assert [difference.song for difference in differences] == ["Leaf - Summerghost"]
    with pytest.raises(KeyError):
        compare_published("oracle", {})


def with_published_names(root: Path) -> Path:
    """A synthetic data root of split `valid`, with two published song names and one listener."""
    make_challenge(root, split="valid", seconds=2.0, listeners=1)
    tracks = root / "metadata" / "musdb18.valid.json"
    entries = json.loads(tracks.read_text())
    for entry, name in zip(entries, list(PUBLISHED["demucs"].songs)[:2], strict=True):
        (root / "audio/musdb18hq/train" / entry["Track Name"]).rename(root / "audio/musdb18hq/train" / name)
        entry["Track Name"] = name
    tracks.write_text(json.dumps(entries))
    return root


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces both models, whose weights may be unavailable; the names of the models that were loaded."""
    loaded: list[str] = []

    def load(name: str, separator: Callable[[], Separator]) -> Callable[..., Separator]:
        def made(**_: object) -> Separator:
            loaded.append(name)
            return separator()

        return made

    monkeypatch.setitem(loading.MODELS, "demucs", load("demucs", Oracle))
    monkeypatch.setitem(loading.MODELS, "openunmix", load("openunmix", Mixture))
    return loaded


def test_regress_with_data_compares_with_published_scores_and_resumes(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whole songs, the real enhancement and the real scorer; only the models are replaced."""
    root = with_published_names(tmp_path / "root")
    monkeypatch.setattr(regression, "regress", lambda *_, **__: [])
    command = ["regress", "--data", root, "--keep", tmp_path / "kept", "--sandbox", "process"]

    def regress() -> tuple[int, str]:
        code = cad1(list(map(str, command)))
        return code, capsys.readouterr().out

    code, text = regress()
    assert code == 1
    assert models == ["demucs", "openunmix"]
    first, second = list(PUBLISHED["demucs"].songs)[:2]
    for line in ("demucs, published scores:", "openunmix, published scores:"):
        assert line in text
    assert text.count(f"{first}: ") == text.count(f"{second}: ") == 2
    assert text.count("more than the expected 0.001") == 4
    assert regress() == (code, text)
    assert models == ["demucs", "openunmix"], "separated songs are not separated again"
    oracle, mixture = (
        [float(mean) for mean in re.findall(r": (0\.\d{4}), published 0", part)]
        for part in text.split("openunmix, published scores:")
    )
    assert len(oracle) == len(mixture) == 2
    assert min(oracle) > 0.8
    assert max(mixture) < 0.5


def test_unpublished_songs_are_refused_before_separation(models: list[str], tmp_path: Path) -> None:
    root = make_challenge(tmp_path / "valid", split="valid")
    with pytest.raises(SetupError, match="None of the 2 songs of split valid"):
        regression.regress_published(
            root, tmp_path, ProcessSandbox(), workers=1, log=lambda _: None, progress=lambda *_: None
        )
    assert models == []


def test_a_kept_submission_of_another_version_is_not_reused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = regression._enhancement_version()
    shutil.copytree(HARNESS / "enhance", tmp_path / "enhance")
    monkeypatch.setattr(regression, "HARNESS", tmp_path)
    assert regression._enhancement_version() == before
    with (tmp_path / "enhance" / "nalr.py").open("a") as source:
        source.write("# changed\n")
    assert regression._enhancement_version() != before


def test_all_published_scores_are_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All fourteen songs of both baselines, with scoring replaced."""
    requested: list[tuple[str, str]] = []

    def scored(challenge: Challenge, name: str, **_: object) -> SimpleNamespace:
        requested.append((challenge.split, name))
        songs = PUBLISHED[name].songs
        change = 0.01 if name == "demucs" else 0.0
        examples = {
            (song, "L"): StoredExample(song, "L", values(mean + change)) for song, mean in songs.items()
        }
        return SimpleNamespace(examples=examples)

    monkeypatch.setattr(regression, "_score", scored)
    root = with_published_names(tmp_path / "root")
    lines: list[str] = []
    found = regression.regress_published(
        root, tmp_path, ProcessSandbox(), workers=1, log=lines.append, progress=lambda *_: None
    )
    assert requested == [("valid", "demucs"), ("valid", "openunmix")]
    assert len(found["demucs"]) == 15
    assert not any(one.reached or one.expected for one in found["demucs"])
    assert "+0.0100, more than the expected 0.001" in str(found["demucs"][1])
    assert all(one.reached for one in found["openunmix"] if one.song)
    assert found["openunmix"][0].expected
    assert "average 0.2270, not 0.2273" in str(found["openunmix"][0])
    assert lines == ["Making and scoring demucs.", "Making and scoring openunmix."], "no result is said twice"
