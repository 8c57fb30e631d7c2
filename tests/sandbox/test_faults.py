"""Broken and hostile evaluators on a real engine: each is named, costs no more than it must and leaves nothing.

Every image runs a script in the evaluator's place. The submission has four examples; the `victim` is the second one
of the first song. `cad1 score`'s own conductor runs them, with its splitting and its limits.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.ledger.ledger import Ledger, State
from harness.protocol.errors import (
    DeadlineError,
    Fault,
    HarnessError,
    InternalError,
    MemoryLimitError,
    SetupError,
)
from harness.provenance.verification import verify
from harness.sandbox import limits
from harness.sandbox.docker.container import LABEL, DockerSandbox, process_stamp
from harness.score import shards
from harness.score.conductor import score
from harness.score.request import Outcome, Request
from validator import Challenge

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

INTERPRETER = ["/opt/cad1/venv/bin/python", "/probe.py"]

PRELUDE = r"""
import json, os, signal, sys, time
job = json.load(open("/job/job.json"))
examples = [(one["song"], one["listener"]) for one in job["examples"]]
VICTIM = %r
def say(**line):
    os.write(1, json.dumps({"nonce": job["nonce"], **line}).encode() + b"\n")
def hello(**more):
    say(**{"type": "hello", "lock": job["lock"], "locked": True, "versions": {}, "cpu": "none", **more})
def scored(example, **more):
    values = [0.5] * 8
    line = {"type": "example", "song": example[0], "listener": example[1], "values": values,
            "seconds": 0.0, "cpu_seconds": 0.0}
    say(**{**line, **more})
def failed(example, **more):
    line = {"type": "failure", "song": example[0], "listener": example[1], "fault": "bug", "code": "bug",
            "path": "", "message": "it broke"}
    say(**{**line, **more})
def done(**more):
    say(**{"type": "done", "examples": len(examples), "failures": 0, "peak_memory": 1, **more})
"""

AT_VICTIM = r"""
hello()
for example in examples:
    if example == VICTIM:
        %s
    else:
        scored(example)
done()
"""
"""Behaves, but for one example."""


@dataclass(frozen=True)
class Case:
    """A script, and what must come of it.

    Attributes:
        script: What runs in the evaluator's place.
        state, fault: How the submission ends.
        stored: Examples of the four that have a score afterwards.
        message: Part of what the organiser reads.
        raised: Whether the run ends by the error, because no example can be scored.
    """

    script: str
    state: State
    fault: str
    stored: int
    message: str
    raised: type[HarnessError] | None = None


def victim(action: str, fault: Fault, message: str, state: State = State.FAILED) -> Case:
    return Case(AT_VICTIM % action.replace("\n", "\n        "), state, fault, 3, message)


def always(script: str, fault: Fault, message: str, raised: type[HarnessError]) -> Case:
    return Case(script, State.FAILED, fault, 0, message, raised)


STEM_OF_VICTIM = 'f"{VICTIM[1]}/{VICTIM[0]}/{VICTIM[1]}_{VICTIM[0]}_left_bass.flac"'
FORKS = "try:\n    while True:\n        os.fork() or time.sleep(600)\nexcept OSError:\n    sys.exit(9)"

CASES: dict[str, Case] = {
    # --- one example is at fault: it is alone in the end, and the others are scored -------------------
    "hangs": victim("time.sleep(3600)", Fault.TIMEOUT, "Scoring was stopped"),
    "hangs and ignores signals": victim(
        "for number in (2, 15): signal.signal(number, signal.SIG_IGN)\nwhile True: pass",
        Fault.TIMEOUT,
        "Scoring was stopped",
    ),
    "bursts its memory": victim(
        "held = [bytearray(2**20) for _ in range(4096)]", Fault.MEMORY, "memory limit"
    ),
    "segmentation fault": victim("os.kill(os.getpid(), 11)", Fault.BUG, "ended with code"),
    "half a line, then dies": victim(
        """os.write(1, b'{"type": "exam'); os._exit(1)""", Fault.BUG, "ended with code 1"
    ),
    "half a line, then ends well": victim(
        """os.write(1, b'{"type": "exam'); os._exit(0)""", Fault.BUG, "an end in the middle"
    ),
    "leaves it out": victim("continue", Fault.BUG, "its last line with 1 examples unanswered"),
    "ends early, without a word": victim("sys.exit(0)", Fault.BUG, "an end in the middle"),
    "not a number": victim("scored(example, values=[float('nan')] * 8)", Fault.BUG, "values"),
    "infinity": victim("scored(example, values=[float('inf')] * 8)", Fault.BUG, "values"),
    "better than perfect": victim("scored(example, values=[1.5] * 8)", Fault.BUG, "values"),
    "negative": victim("scored(example, values=[-0.1] * 8)", Fault.BUG, "values"),
    "seven values": victim("scored(example, values=[0.5] * 7)", Fault.BUG, "values"),
    "undefined without a reason": victim(
        "scored(example, values=[None] + [0.5] * 7)", Fault.BUG, "whose reference is not silent"
    ),
    "an average of its own": victim("scored(example, average=1.0)", Fault.BUG, "average"),
    "another job's nonce": victim("scored(example, nonce='f' * 32)", Fault.BUG, "another job's nonce"),
    "answers for another song": victim(
        "scored(('No Such Song', example[1]))", Fault.BUG, "an example that was not asked for"
    ),
    "fork bomb": victim(FORKS, Fault.BUG, "ended with code 9"),
    "fills its disk": victim(
        "for n in range(4096): open(f'/tmp/{n}', 'wb').write(bytes(2**20))", Fault.BUG, "ended with code 1"
    ),
    "a line without an end": victim(
        "while True: os.write(1, b'x' * 65536)", Fault.BUG, "a line of more than"
    ),
    "deep nesting": victim("os.write(1, b'[' * 16000 + b'\\n')", Fault.BUG, "not of the protocol"),
    "a number too long": victim(
        """os.write(1, b'{"type": "done", "examples": ' + b'9' * 16000 + b'}\\n')""",
        Fault.BUG,
        "not of the protocol",
    ),
    "says it has failed": victim("failed(example)", Fault.BUG, "The scorer failed on it"),
    "says memory was short": victim("failed(example, fault='memory')", Fault.MEMORY, "more memory"),
    "blames the team for what can't be": victim(
        "failed(example, fault='submission', code='archive-structure')", Fault.BUG, "can't know"
    ),
    "blames the team with a link": victim(
        f"failed(example, fault='submission', code='flac-md5', path={STEM_OF_VICTIM}, message='evil.example')",
        Fault.SUBMISSION,
        "1 files can't be decoded",
        State.INVALID,
    ),
    # --- it is not the examples: the run ends, and says so --------------------------------------------
    "crashes at once": always("sys.exit(7)", Fault.BUG, "3 examples in a row failed", InternalError),
    "hangs at once": always("time.sleep(3600)", Fault.TIMEOUT, "3 examples in a row", DeadlineError),
    "bursts at once": always(
        "held = [bytearray(2**20) for _ in range(4096)]", Fault.MEMORY, "3 examples", MemoryLimitError
    ),
    "floods": always("while True: os.write(1, b'\\n' * 65536)", Fault.BUG, "3 examples", InternalError),
    "results before its first line": always(
        "for example in examples: scored(example)", Fault.BUG, "before its first line", InternalError
    ),
    "another lock": always("hello(lock='0' * 64)", Fault.BUG, "another lock's digest", InternalError),
    "refuses": always(
        "say(type='refusal', message='I \\x1b[31m will not', hint='')", Fault.SETUP, "will not", SetupError
    ),
    # --- it behaves badly, and no score is touched ----------------------------------------------------
    "chatters on standard error": Case(
        "hello()\nos.write(2, b'x' * 2**22 + b'\\x1b[2J')\nfor example in examples:\n    scored(example)\ndone()",
        State.SCORED,
        "",
        4,
        "average score 0.5",
    ),
    "answers twice": Case(
        "hello()\nfor example in examples:\n    scored(example)\n    scored(example, values=[1.0] * 8)\ndone()",
        State.FAILED,
        Fault.BUG,
        4,
        "or twice",
    ),
    "goes on after its last line": Case(
        "hello()\nfor example in examples:\n    scored(example)\ndone()\nscored(examples[0])",
        State.FAILED,
        Fault.BUG,
        4,
        "a line after the last",
    ),
}


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A deadline of seconds, and little memory: the scripts need neither. Temporary files of their own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(limits, "START_SECONDS", 4.0)
    monkeypatch.setattr(limits, "SECONDS_PER_STEM_SECOND", {"fast": 0.1, "pyclarity": 0.1})
    monkeypatch.setattr(limits, "BASE_MEMORY", 128 * 2**20)
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.1, 0.1, 0.1))


@pytest.fixture(scope="module")
def hostile(engine: docker.DockerClient, image: str, synthetic_root: Path) -> Iterator[str]:
    """An image with every script; which one runs is told by the submission's file name."""
    at = Challenge.load(synthetic_root, split="test").examples[1]
    scripts = [PRELUDE % (at,) + case.script for case in CASES.values()]
    probe = f"import os\nexec({scripts!r}[int(os.listdir('/submission')[0].partition('.')[0])])\n".encode()
    dockerfile = f"FROM {image}\nCOPY probe.py /probe.py\nENTRYPOINT {json.dumps(INTERPRETER)}\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in (("Dockerfile", dockerfile), ("probe.py", probe)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    tag = "cad1-test:hostile"
    engine.images.build(fileobj=context, custom_context=True, tag=tag, network_mode="none", forcerm=True)
    yield tag
    engine.images.remove(tag, force=True)


@pytest.fixture
def request_(oracle_zip: Path, synthetic_root: Path, tmp_path: Path) -> Request:
    challenge = Challenge.load(synthetic_root, split="test")
    return Request(
        submission=oracle_zip,
        challenge=challenge,
        selected=challenge,
        team="E001",
        store=tmp_path / "store",
        audits=0,
    )


def traces(engine: docker.DockerClient) -> dict[str, set[str]]:
    """What a run of this process might leave behind: containers, temporary files, child processes."""
    stamp = process_stamp(os.getpid())
    ours = engine.containers.list(all=True, filters={"label": f"{LABEL}={stamp}"}, ignore_removed=True)
    return {
        "containers": {str(one.id) for one in ours},
        "files": {one.name for one in Path(tempfile.gettempdir()).iterdir()},
        "processes": {str(one.pid) for one in psutil.Process().children(recursive=True)},
    }


def run(request: Request, name: str, image: str) -> tuple[Outcome | None, HarnessError | None]:
    """Scores with the evaluator of that name in the true one's place."""
    told = request.store.parent / f"{list(CASES).index(name)}.zip"
    shutil.copyfile(request.submission, told)
    try:
        return score(replace(request, submission=told), DockerSandbox(image=image)), None
    except HarnessError as error:
        return None, error


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_the_right_state_and_leaves_nothing(
    engine: docker.DockerClient, hostile: str, request_: Request, name: str
) -> None:
    case = CASES[name]
    at = request_.challenge.examples[1]
    before = traces(engine)
    started = time.monotonic()
    outcome, error = run(request_, name, hostile)
    assert time.monotonic() - started < 300.0, "no deadline has struck"  # a guard, not a measurement
    assert traces(engine) == before

    assert (type(error) if error else None) is case.raised
    with Ledger(request_.store, read_only=True) as ledger:
        (step,) = ledger.latest()
        (entry,) = ledger.entries()
        stored = ledger.examples(entry.key)
        failed = {(one.song, one.listener): one for one in ledger.failures(entry.key)}
        assert ledger.leases() == []
    assert (step.state, step.fault) == (case.state, case.fault)
    assert len(stored) == case.stored
    assert all(one.values == (0.5,) * 8 for one in stored.values())
    told = [step.cause, *(fault.message for fault in outcome.faults)] if outcome else [step.cause]
    assert any(case.message in text for text in told), told
    shown = "\n".join([*told, *(one.message for one in failed.values())])
    assert "\x1b" not in shown
    assert "evil" not in shown
    if case.stored == 3:
        assert set(failed) == {at}, "the example that failed, and no other, is named"
        assert failed[at].fault == case.fault
    assert verify(request_.store).problems == []


def test_an_honest_run_after_a_hostile_one_completes_it(hostile: str, request_: Request) -> None:
    run(request_, "segmentation fault", hostile)
    outcome, error = run(request_, "chatters on standard error", hostile)
    assert error is None
    assert outcome is not None
    assert (outcome.scored, outcome.stored, outcome.average) == (1, 4, 0.5)
    with Ledger(request_.store, read_only=True) as ledger:
        assert all(ledger.failures(entry.key) == [] for entry in ledger.entries())
