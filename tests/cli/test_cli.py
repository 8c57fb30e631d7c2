"""The command `cad1`: exit codes, standard output and standard error, and no traceback for a user's mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from harness.cli import console
from harness.cli.installation import install_hint
from harness.protocol.errors import SetupError
from validator import Challenge

Cad1 = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def scored_store(tmp_path_factory: pytest.TempPathFactory, oracle_zip: Path, synthetic_root: Path) -> Path:
    """A store with one scored submission."""
    store = tmp_path_factory.mktemp("scored") / "store"
    arguments = ["score", oracle_zip, "--data", synthetic_root, "--split", "test", "--team", "E001"]
    arguments += ["--sandbox", "process", "--store", store]
    command = [sys.executable, "-c", "from harness.cli.app import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ranking" in done.stdout
    assert "stems spot-checked with pyclarity: greatest difference" in done.stderr
    return store


def spoil(folder: Path, challenge: Challenge) -> set[str]:
    """Makes eleven different mistakes in an unpacked submission; returns what the report must mention."""
    first, second = (song.name for song in challenge.songs)
    one, two = (listener.id for listener in challenge.listeners)
    top = folder / "evaluation"

    def path(listener: str, song: str, rest: str) -> Path:
        return top / listener / song / f"{listener}_{song}_{rest}"

    def rewrite(
        file: Path, *, rate: int, channels: int = 1, subtype: str = "PCM_16", cut: int | None = None
    ) -> None:
        pcm, _ = soundfile.read(file, dtype="int16", always_2d=True)
        soundfile.write(file, pcm[:cut, [0] * channels], rate, subtype=subtype, format="FLAC")

    path(one, first, "left_bass.flac").unlink()  # 1 missing
    path(one, first, "left_drums.flac").rename(path(one, first, "Left_Drums.flac"))  # 2 misnamed
    (top / one / first / "notes.docx").write_text("x")  # 3 unexpected
    rewrite(path(one, first, "left_other.flac"), rate=44100)  # 4 rate
    rewrite(path(one, first, "left_vocals.flac"), rate=24000, subtype="PCM_24")  # 5 depth
    rewrite(path(one, first, "right_bass.flac"), rate=24000, channels=2)  # 6 channels
    rewrite(path(one, first, "right_drums.flac"), rate=24000, cut=100)  # 7 length
    path(one, first, "right_other.flac").write_bytes(b"RIFF" + bytes(100))  # 8 not a FLAC
    path(two, first, "left_bass.txt").write_text("nan")  # 9 scale value
    path(two, first, "remix.txt").write_text("1.0")  # 10 a scale file for a remix
    shutil.rmtree(top / two / second)  # 11 a whole example
    return {
        "left_bass.flac",
        "Left_Drums.flac",
        "notes.docx",
        "44100 Hz",
        "24 bit",
        "2 channel",
        "100 frames",
        "left_bass.txt",
        "remix.txt",
        second,
        "right_other.flac",
    }


def test_one_report_lists_eleven_mistakes(
    cad1: Cad1, oracle_zip: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    shutil.unpack_archive(oracle_zip, tmp_path / "s")
    words = spoil(tmp_path / "s", Challenge.load(synthetic_root, split="test"))
    done = cad1("validate", tmp_path / "s", "--data", synthetic_root, "--split", "test", "--all")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert [word for word in words if word not in done.stdout] == []
    as_json = cad1(
        "validate", tmp_path / "s", "--data", synthetic_root, "--split", "test", "--json", "--quick"
    )
    report = json.loads(as_json.stdout)
    assert as_json.returncode == 1
    assert (report["schema_version"], report["valid"]) == (1, False)
    assert report["counts"]["error"] >= 11
    assert len({finding["code"] for finding in report["findings"] if finding["severity"] == "error"}) >= 9
    assert all(finding["hint"] for finding in report["findings"] if finding["severity"] == "error")


def test_an_invalid_submission_is_not_scored(cad1: Cad1, synthetic_root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = cad1(
        *("score", tmp_path / "empty", "--data", synthetic_root, "--split", "test", "--team", "E001"),
        *("--sandbox", "process", "--store", tmp_path / "store"),
    )
    assert done.returncode == 1
    assert "INVALID" in done.stdout
    assert "Traceback" not in done.stderr
    status = cad1("status", "--store", tmp_path / "store")
    assert "invalid (submission)" in status.stdout
    assert "1 error: missing (1)" in status.stdout


def test_a_valid_submission(cad1: Cad1, oracle_zip: Path, synthetic_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    done = cad1(
        *("validate", oracle_zip, "--data", synthetic_root, "--split", "test", "--json", "--output", output)
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert json.loads(output.read_text())["valid"] is True


def test_a_data_root_without_a_wav_is_a_setup_error(
    cad1: Cad1, oracle_zip: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(synthetic_root, tmp_path / "root")
    next(root.rglob("vocals.wav")).unlink()
    for verb in (["validate", oracle_zip], ["score", oracle_zip, "--team", "E001"]):
        done = cad1(*verb, "--data", root, "--split", "test")
        assert done.returncode == 3
        assert "vocals.wav is missing" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["score"],
        ["validate", "there-is-no-such.zip"],
        ["validate", "x.zip", "--split", "train"],
        ["nonsense"],
        ["scores", "E001", "--nonsense"],
        ["ranking", "--format", "pdf"],
        ["disqualify", "E001"],
    ],
)
def test_wrong_use_exits_2_with_a_message(cad1: Cad1, arguments: list[str]) -> None:
    done = cad1(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("cad1: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["score"], "cad1 score"),
        (["nonsense"], "cad1"),
        (["image", "verify", "--nonsense"], "cad1 image verify"),
    ],
)
def test_a_usage_error_names_the_help_of_its_command(cad1: Cad1, arguments: list[str], command: str) -> None:
    assert f"`{command} --help`" in cad1(*arguments).stderr


def test_an_unknown_song_and_a_bad_team_exit_2(
    cad1: Cad1, oracle_zip: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    base = ["score", oracle_zip, "--data", synthetic_root, "--split", "test", "--store", tmp_path]
    assert cad1(*base, "--team", "E001", "--song", "No Song").returncode == 2
    assert cad1(*base, "--team", "../E001").returncode == 2


def test_answers_go_to_standard_output(cad1: Cad1, scored_store: Path) -> None:
    ranking = cad1("ranking", "--store", scored_store, "--format", "markdown")
    assert ranking.returncode == 0
    assert "|       1 |" in ranking.stdout or "| 1 " in ranking.stdout
    assert ranking.stderr == ""
    table = cad1("ranking", "--store", scored_store)
    assert "E001" in table.stdout
    assert "\x1b[" not in table.stdout
    scores = cad1("scores", "E001", "--store", scored_store)
    assert len(scores.stdout.splitlines()) == 5
    assert scores.stderr == ""


def test_a_ranking_can_be_written_to_a_file(cad1: Cad1, scored_store: Path, tmp_path: Path) -> None:
    page = tmp_path / "ranking.html"
    done = cad1("ranking", "--store", scored_store, "--format", "html", "--output", page)
    assert done.returncode == 0
    assert page.read_text().startswith("<!doctype html>")


def test_scores_written_by_scores_can_be_added_as_self_reported(
    cad1: Cad1, scored_store: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    assert cad1("scores", "E001", "--store", scored_store, "--output", path).returncode == 0
    add = [
        "add-scores",
        "E007",
        path,
        "--data",
        synthetic_root,
        "--split",
        "test",
        "--store",
        tmp_path / "store",
    ]
    assert cad1(*add).returncode == 0
    assert "self-reported" in cad1("ranking", "--store", tmp_path / "store").stdout
    path.write_text(path.read_text().replace("L9001", "L9003"))
    done = cad1(*add)
    assert done.returncode == 1
    assert "there is no example" in done.stderr


def test_a_missing_store_is_a_setup_error(cad1: Cad1, tmp_path: Path) -> None:
    done = cad1("ranking", "--store", tmp_path / "none")
    assert done.returncode == 3
    assert "There is no ledger" in done.stderr
    assert cad1("scores", "E001", "--store", tmp_path / "none").returncode == 3


def test_an_unknown_team_is_wrong_use(cad1: Cad1, scored_store: Path) -> None:
    assert cad1("scores", "E999", "--store", scored_store).returncode == 2


def test_docker_is_never_replaced_by_a_weaker_sandbox(
    cad1: Cad1, oracle_zip: Path, synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    done = cad1(
        *(
            "score",
            oracle_zip,
            "--data",
            synthetic_root,
            "--split",
            "test",
            "--team",
            "E001",
            "--store",
            tmp_path,
        )
    )
    assert done.returncode == 3
    assert "No Docker engine answers" in done.stderr
    assert "--sandbox bubblewrap" in done.stderr
    assert "--sandbox process" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_lock_or_source_on_the_host_is_named(
    oracle_zip: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    from harness.protocol.lock import HARNESS

    tree = tmp_path / "tree"
    for name in ("harness", "validator"):
        shutil.copytree(HARNESS.parent / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(HARNESS.parent / "Dockerfile", tree / "Dockerfile")
    command = [
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, '.'); from harness.cli.app import main; main()",
    ]
    command += ["score", str(oracle_zip), "--data", str(synthetic_root), "--split", "test", "--team", "E001"]
    command += ["--sandbox", "process", "--store", str(tmp_path / "store")]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)

    source = tree / "harness" / "evaluator" / "references.py"
    original = source.read_bytes()
    source.write_bytes(original + b"# changed\n")
    done = run()
    assert done.returncode == 3
    assert "harness/evaluator/references.py has SHA-256" in done.stderr
    source.write_bytes(original)
    lock = tree / "harness" / "scorer.lock"
    text = lock.read_text()
    lock.write_text(text.replace("  harness/evaluator/engines.py", "  harness/evaluator/enginez.py"))
    done = run()
    assert done.returncode == 3
    assert "harness/evaluator/enginez.py is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_a_setup_error(
    scored_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.ranking.files.os.fsync", fail)
    code = console.run(lambda: console.emit("x", scored_store / "ranking.csv"))
    assert code == 3
    assert "No space left on device" in capsys.readouterr().err


def test_an_internal_error_keeps_its_traceback_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("oh")

    assert console.run(fail) == 5
    printed = capsys.readouterr().err
    assert "Internal error: ZeroDivisionError: oh" in printed
    assert "Traceback" not in printed
    path = Path(printed.partition("Details: ")[2].strip())
    assert "ZeroDivisionError" in path.read_text()
    path.unlink()


def test_a_runtime_is_for_docker_only(cad1: Cad1, oracle_zip: Path, synthetic_root: Path) -> None:
    base = ["score", oracle_zip, "--data", synthetic_root, "--split", "test", "--team", "E001"]
    done = cad1(*base, "--sandbox", "process", "--runtime", "runsc")
    assert done.returncode == 2
    assert "--runtime runsc can only be used with --sandbox docker" in done.stderr


def test_a_missing_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def needs(library: str) -> Callable[[], object]:
        def command() -> object:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)

        return command

    assert console.run(needs("soxr")) == 3
    assert install_hint("score") in capsys.readouterr().err

    def lacks_an_extra() -> object:
        raise SetupError("Signatures need cryptography.", extra="sign")

    assert console.run(lacks_an_extra) == 3
    assert install_hint("sign") in capsys.readouterr().err
    assert console.run(needs("harness.nonsense")) == 5
    path = Path(capsys.readouterr().err.partition("Details: ")[2].strip())
    path.unlink()
