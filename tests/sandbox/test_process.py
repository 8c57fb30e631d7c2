"""The process sandbox: protocol, deadline and memory limit, in the locked environment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import soundfile

from harness.protocol.errors import DeadlineError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import Done, Engine, ExampleScore, Hello, SongReferences
from harness.sandbox.contract import Sandbox, Stopped, Task
from harness.sandbox.feed import BatchQuestion, Question, SongQuestion
from harness.sandbox.local import child, environment, process
from harness.sandbox.local.environment import Program
from harness.sandbox.local.process import ProcessSandbox
from harness.sandbox.selfcheck import check_sandbox
from validator import Challenge
from validator.archive.submission import open_submission
from validator.challenge.audio import AudioReader, read_references
from validator.formats.flac import InProcessDecoder

ENGINES: tuple[Engine, ...] = ("fast", "pyclarity")
MakeTask = Callable[..., Task]


@pytest.fixture
def fake(imposter: Callable[[str, str], Sandbox]) -> Callable[[str], Sandbox]:
    """A process sandbox that runs a script in the evaluator's place."""
    return partial(imposter, "process")


def test_it_is_the_locked_environment() -> None:
    if environment.find_python() is None:
        pytest.skip("there is no Python 3.11 on this machine")
    found = check_sandbox(ProcessSandbox())
    assert found.environment.locked
    assert found.hello.locked
    assert found.hello.versions["pyclarity"] == "0.3.2"
    assert found.hello.versions["python"].startswith("3.11.")
    assert found.decoder["soundfile"] != found.hello.versions["soundfile"]


def test_without_python_311_the_result_is_unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_python", lambda: None)
    found = check_sandbox(ProcessSandbox())
    assert not found.environment.locked
    assert not found.hello.locked


def test_a_deadline_kills_the_whole_process_tree(fake: Callable[[str], Sandbox], task: MakeTask) -> None:
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    sandbox = fake("import subprocess, sys, time\nsubprocess.Popen(['sleep', '600'])\ntime.sleep(600)")
    with pytest.raises(DeadlineError):
        list(sandbox.run(task(seconds=2.0)))
    assert {one.pid for one in psutil.Process().children(recursive=True)} <= before


def test_the_memory_limit_holds(fake: Callable[[str], Sandbox], task: MakeTask) -> None:
    sandbox = fake(
        "import time\nheld = bytearray(300 * 2**20)\nheld[::4096] = b'x' * len(held[::4096])\ntime.sleep(60)"
    )
    with pytest.raises(MemoryLimitError):
        list(sandbox.run(task(memory=200 * 2**20)))


def test_the_memory_of_the_whole_process_tree_counts(fake: Callable[[str], Sandbox], task: MakeTask) -> None:
    """Three processes of 100 MB each, none of which exceeds the limit by itself."""
    sandbox = fake(
        """
        import os, time
        held = bytearray(100 * 2**20)
        held[::4096] = b'x' * len(held[::4096])
        for _ in range(2):
            if os.fork() == 0:
                held[::4096] = b'y' * len(held[::4096])
                time.sleep(600)
        time.sleep(600)
        """
    )
    with pytest.raises(MemoryLimitError):
        list(sandbox.run(task(memory=250 * 2**20)))


def test_a_fork_bomb_is_stopped(fake: Callable[[str], Sandbox], task: MakeTask) -> None:
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    bomb = "import os, time\nfor _ in range(200):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(600)"
    with pytest.raises(InternalError, match="started more than 64 processes"):
        list(fake(bomb).run(task(memory=16 * 2**30)))
    assert {one.pid for one in psutil.Process().children(recursive=True)} <= before


def test_an_evaluator_that_closes_its_output_and_stays_is_killed(
    fake: Callable[[str], Sandbox], task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "END_GRACE", 1.0)
    with pytest.raises(InternalError, match="closed its output but did not end"):
        list(fake("import os, time\nos.close(1)\nos.close(2)\ntime.sleep(600)").run(task()))


def test_it_can_be_stopped(fake: Callable[[str], Sandbox], task: MakeTask) -> None:
    asked = task()
    asked.stop.set()
    with pytest.raises(Stopped):
        list(fake("import time\ntime.sleep(600)").run(asked))


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("import sys\nsys.exit(9)", "ended with code 9"),
        ("print('hello')", "does not follow the protocol"),
        ("", "its output ended before its last line"),
        ("import os\nos.kill(os.getpid(), 11)", "ended with code -11"),
    ],
)
def test_a_broken_evaluator_is_an_internal_error(
    fake: Callable[[str], Sandbox], task: MakeTask, script: str, what: str
) -> None:
    with pytest.raises(InternalError, match=what):
        list(fake(script).run(task()))


def test_what_it_prints_to_standard_error_is_for_the_organiser(
    fake: Callable[[str], Sandbox], task: MakeTask
) -> None:
    with pytest.raises(InternalError) as caught:
        list(fake("import sys\nsys.stderr.write('words\\x1b[31m')\nsys.exit(1)").run(task()))
    assert caught.value.detail == "words?[31m"
    assert "words" not in caught.value.message


def test_the_hosts_environment_does_not_leak(
    fake: Callable[[str], Sandbox], task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    script = "import os, sys\nsys.stderr.write(repr(sorted(os.environ)))\nsys.exit(1)"
    with pytest.raises(InternalError) as caught:
        list(fake(script).run(task()))
    assert "SECRET_TOKEN" not in caught.value.detail
    assert "PYTHONPATH" not in caught.value.detail
    assert "NUMBA_NUM_THREADS" in caught.value.detail


def test_a_silent_reference_has_no_value(synthetic_root: Path, oracle_zip: Path, tmp_path: Path) -> None:
    """On real files: the left bass of one song is silenced in the reference."""
    root = shutil.copytree(synthetic_root, tmp_path / "root")
    challenge = Challenge.load(root, split="test")
    song = challenge.songs[0]
    pcm, rate = soundfile.read(song.reference_path("bass"), dtype="int16")
    pcm[:, 0] = 0
    soundfile.write(song.reference_path("bass"), pcm, rate, subtype="PCM_16")
    results = {}
    for engine in ENGINES:
        hello, references, scored, done = ProcessSandbox().run(
            first_example(challenge, oracle_zip, engine=engine)
        )
        assert isinstance(done, Done)
        assert isinstance(hello, Hello)
        assert isinstance(references, SongReferences)
        assert isinstance(scored, ExampleScore)
        assert [name for name, value in scored.values.items() if value is None] == ["left_bass"]
        results[engine] = scored.values
    assert results["fast"].pop("left_bass") is results["pyclarity"].pop("left_bass") is None
    assert results["fast"] == pytest.approx(results["pyclarity"], abs=1e-9)


def first_example(challenge: Challenge, submission: Path, *, engine: Engine) -> Task:
    """The first listener of the first song."""
    song, listener = challenge.songs[0], challenge.listeners[0]

    def questions() -> Generator[Question, None, None]:
        with open_submission(submission) as opened:
            yield SongQuestion(song.name, read_references(song).stems)
            found = AudioReader(opened, challenge).read(song.name, listener.id, InProcessDecoder())
            yield BatchQuestion(song.name, (found,))

    return Task(engine=engine, questions=questions, seconds=300.0, memory=4 * 2**30)


def test_a_missing_python_is_a_setup_error(
    fake: Callable[[str], Sandbox], task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = fake("")
    nothing = Program(Path("/nonexistent/python"), Path("/tmp"), kernels=None, locked=True)
    monkeypatch.setattr(process, "find_program", lambda lock, name: nothing)
    with pytest.raises(SetupError, match="can't be started"):
        list(sandbox.run(task()))


def test_an_evaluator_that_drips_is_as_silent_as_one_that_says_nothing(
    fake: Callable[[str], Sandbox], task: MakeTask
) -> None:
    """Only a whole line is an answer: a byte now and then does not renew the patience."""
    drip = "import os, time\nwhile True:\n    os.write(1, b'{')\n    time.sleep(0.2)"
    with pytest.raises(DeadlineError, match="after 2 s without an answer"):
        list(fake(drip).run(replace(task(seconds=20.0), patience=2.0)))
