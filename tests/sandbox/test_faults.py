"""Broken and hostile evaluators on a real engine: each is named, costs little and leaves nothing behind.

A script runs in the evaluator's place. The submission has four examples; the `victim` is the second one of the
first song. `cad1 score`'s conductor runs them, with its splitting and its limits.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.ledger.ledger import Ledger
from harness.ledger.states import State
from harness.protocol import limits
from harness.protocol.errors import (
    DeadlineError,
    Fault,
    HarnessError,
    InternalError,
    MemoryLimitError,
    SetupError,
)
from harness.provenance import verify_store
from harness.sandbox import evaluation
from harness.sandbox.docker import container
from harness.sandbox.docker.container import LABEL, DockerSandbox
from harness.sandbox.docker.image import PROGRAMS
from harness.sandbox.stamp import process_stamp
from harness.score import shards
from harness.score.conductor import score
from harness.score.request import Outcome, Request
from tests.sandbox.imposters import EVALUATOR, PYTHON, image_tag, tar_of
from tests.values import values
from validator import Challenge

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

AT_VICTIM = r"""
hello()
for example in examples:
    if example == VICTIM:
        %s
    else:
        scored(example)
done()
"""
"""Misbehaves for one example only."""


@dataclass(frozen=True)
class Case:
    """A script, and its expected outcome.

    Attributes:
        script: Runs in the evaluator's place.
        state: The submission's final state.
        fault: The cause, in that state.
        stored: Examples of the four that have a score afterwards.
        message: Part of what the organiser reads.
        raised: The error that ends the run because no example can be scored; None if it ends well.
        start: `limits.START_SECONDS`, which a loaded machine must not exceed where an example is scored.
    """

    script: str
    state: State
    fault: str
    stored: int
    message: str
    raised: type[HarnessError] | None = None
    start: float = 4.0


def victim(action: str, fault: Fault, message: str, state: State = State.FAILED) -> Case:
    return Case(AT_VICTIM % action.replace("\n", "\n        "), state, fault, 3, message)


def always(
    script: str, fault: Fault, message: str, raised: type[HarnessError], *, start: float = 4.0
) -> Case:
    return Case(script, State.FAILED, fault, 0, message, raised, start)


FORKS = "try:\n    while True:\n        os.fork() or time.sleep(600)\nexcept OSError:\n    sys.exit(9)"

CASES: dict[str, Case] = {
    # --- one example fails: it is isolated in the end, and the others are scored -------------------
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
    "incomplete line, then a crash": victim(
        """os.write(1, b'{"type": "exam'); os._exit(1)""", Fault.BUG, "ended with code 1"
    ),
    "incomplete line, then a normal end": victim(
        """os.write(1, b'{"type": "exam'); os._exit(0)""", Fault.BUG, "its output ended before its last line"
    ),
    "leaves it out": victim("continue", Fault.BUG, "its last line came with 1 question unanswered"),
    "ends early, without an error": victim("sys.exit(0)", Fault.BUG, "its output ended before its last line"),
    "not a number": victim("scored(example, values=values(float('nan')))", Fault.BUG, "values"),
    "infinity": victim("scored(example, values=values(float('inf')))", Fault.BUG, "values"),
    "better than perfect": victim("scored(example, values=values(1.5))", Fault.BUG, "values"),
    "negative": victim("scored(example, values=values(-0.1))", Fault.BUG, "values"),
    "a list of values": victim("scored(example, values=[0.5] * 8)", Fault.BUG, "values"),
    "no values": victim("scored(example, values={})", Fault.BUG, "values"),
    "a missing name": victim(
        "scored(example, values={name: 0.5 for name in NAMES[1:]})",
        Fault.BUG,
        "the evaluator sent the values",
    ),
    "an unknown name": victim(
        "scored(example, values=values(0.5, centre_bass=0.5))", Fault.BUG, "the evaluator sent the values"
    ),
    "an unknown name for a known one": victim(
        "scored(example, values={'centre_bass': 0.5, **{name: 0.5 for name in NAMES[1:]}})",
        Fault.BUG,
        "the evaluator sent the values",
    ),
    "more than 64 names": victim(
        "scored(example, values=values(0.5, **{f'n{n}': 0.5 for n in range(57)}))", Fault.BUG, "at most 64"
    ),
    "undefined without a silent reference": victim(
        "scored(example, values=values(0.5, left_bass=None))", Fault.BUG, "whose reference is not silent"
    ),
    "an average": victim("scored(example, average=1.0)", Fault.BUG, "average"),
    "another job's nonce": victim("scored(example, nonce='f' * 32)", Fault.BUG, "another job's nonce"),
    "answer for another song": victim(
        "scored(('No Such Song', example[1]))", Fault.BUG, "an example that was not asked for"
    ),
    "fork bomb": victim(FORKS, Fault.BUG, "ended with code 9"),
    "fills its disk": victim(
        "for n in range(4096): open(f'/tmp/{n}', 'wb').write(bytes(2**20))", Fault.BUG, "ended with code 1"
    ),
    "endless line": victim("while True: os.write(1, b'x' * 65536)", Fault.BUG, "a line of more than"),
    "deep nesting": victim("os.write(1, b'[' * 16000 + b'\\n')", Fault.BUG, "does not follow the protocol"),
    "a number that is too long": victim(
        """os.write(1, b'{"type": "done", "examples": ' + b'9' * 16000 + b'}\\n')""",
        Fault.BUG,
        "does not follow the protocol",
    ),
    "reports a failure": victim("failed(example)", Fault.BUG, "failed with an internal error"),
    "reports too little memory": victim(
        "failed(example, fault='memory')", Fault.MEMORY, "exceeded the memory limit"
    ),
    "blames the team": victim(
        "failed(example, fault='submission', message='evil.example')",
        Fault.BUG,
        "does not follow the protocol",
    ),
    "reports other references": victim(
        "say(type='references', song=VICTIM[0], sha256='0' * 64)",
        Fault.BUG,
        "a song that was not sent, or twice",
    ),
    "reports a memory of 2^63 bytes": Case(
        "hello()\nfor example in examples:\n    scored(example)\ndone(peak_memory=2**63)",
        State.FAILED,
        Fault.BUG,
        4,
        "peak_memory",
    ),
    # --- every example fails: the run ends with an error --------------------------------------------
    "crashes at once": always("sys.exit(7)", Fault.BUG, "3 examples in a row failed", InternalError),
    "hangs at once": always(
        "time.sleep(3600)", Fault.TIMEOUT, "3 examples in a row", DeadlineError, start=0.5
    ),
    "bursts at once": always(
        "held = [bytearray(2**20) for _ in range(4096)]", Fault.MEMORY, "3 examples", MemoryLimitError
    ),
    "floods": always("while True: os.write(1, b'\\n' * 65536)", Fault.BUG, "3 examples", InternalError),
    "results before the first line": always(
        "for example in examples: scored(example)", Fault.BUG, "before its first line", InternalError
    ),
    "another lock": always(
        "hello(scorer_digest='0' * 64)", Fault.BUG, "another lock's digest", InternalError
    ),
    "refuses": always(
        "say(type='refusal', message='I \\x1b[31m will not', hint='')", Fault.SETUP, "will not", SetupError
    ),
    # --- it misbehaves, and no score is affected ----------------------------------------------------
    "floods standard error": Case(
        "hello()\nos.write(2, b'x' * 2**22 + b'\\x1b[2J')\nfor example in examples:\n    scored(example)\ndone()",
        State.SCORED,
        "",
        4,
        "average score 0.5",
    ),
    "answers twice": Case(
        "hello()\nfor example in examples:\n    scored(example)\n    scored(example, values=values(1.0))\ndone()",
        State.FAILED,
        Fault.BUG,
        4,
        "or twice",
    ),
    "stays after its last line": Case(
        "hello()\nfor example in examples:\n    scored(example)\ndone()\ntime.sleep(3600)",
        State.FAILED,
        Fault.TIMEOUT,
        4,
        "after its last answer",
    ),
    "continues after its last line": Case(
        "hello()\nfor example in examples:\n    scored(example)\ndone()\nscored(example)",
        State.FAILED,
        Fault.BUG,
        4,
        "a line after its last line",
    ),
}


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A deadline of a few seconds and little memory, enough for the scripts; a temporary folder of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(limits, "START_SECONDS", 4.0)
    monkeypatch.setattr(limits, "SECONDS_PER_STEM_SECOND", {"fast": 0.1, "pyclarity": 0.1})
    monkeypatch.setattr(limits, "BASE_MEMORY", 128 * 2**20)
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.1, 0.1, 0.1))
    monkeypatch.setattr(evaluation, "END_SECONDS", 1.0)


@pytest.fixture(scope="module")
def hostile(engine: docker.DockerClient, image: str, synthetic_root: Path) -> Iterator[str]:
    """An image with every script; an argument says which one runs."""
    at = Challenge.load(synthetic_root, split="test").examples[1]
    scripts = [f"{EVALUATOR}\nVICTIM = {at!r}\n{case.script}" for case in CASES.values()]
    probe = f"import sys\nexec({scripts!r}[int(sys.argv[1])])\n".encode()
    context = tar_of({"Dockerfile": f"FROM {image}\nCOPY probe.py /probe.py\n".encode(), "probe.py": probe})
    tag = image_tag("hostile")
    engine.images.build(fileobj=context, custom_context=True, tag=tag, network_mode="none", forcerm=True)
    yield str(engine.images.get(tag).id)
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
    """What a run of this process may leave behind: containers, temporary files, child processes."""
    stamp = process_stamp(os.getpid())
    ours = engine.containers.list(all=True, filters={"label": f"{LABEL}={stamp}"}, ignore_removed=True)
    return {
        "containers": {str(one.id) for one in ours},
        "files": {one.name for one in Path(tempfile.gettempdir()).iterdir()},
        "processes": {str(one.pid) for one in psutil.Process().children(recursive=True)},
    }


def run(request: Request, name: str, image: str) -> tuple[Outcome | None, HarnessError | None]:
    """Scores with the script of that name in the evaluator's place."""
    command = (PYTHON, "/probe.py", str(list(CASES).index(name)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "PROGRAMS", {**PROGRAMS, "evaluator": command})
        try:
            return score(request, DockerSandbox(image=image)), None
        except HarnessError as error:
            return None, error


SLOW = {
    *("floods", "hangs and ignores signals", "hangs at once"),
    *("not a number", "infinity", "better than perfect", "negative", "a list of values", "no values"),
    *("a missing name", "an unknown name", "more than 64 names", "an average", "another job's nonce"),
    *("deep nesting", "a number that is too long", "incomplete line, then a normal end"),
    *("results before the first line", "another lock", "leaves it out", "answer for another song"),
}
"""The engine takes long to drain a flood and to reach a deadline; the others differ in a line, which
`test_conversation.py` and `test_records.py` test, too."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES]
)
def test_it_ends_in_the_expected_state_and_leaves_nothing_behind(
    engine: docker.DockerClient,
    hostile: str,
    request_: Request,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    case = CASES[name]
    at = request_.challenge.examples[1]
    monkeypatch.setattr(limits, "START_SECONDS", case.start)
    before = traces(engine)
    started = time.monotonic()
    outcome, error = run(request_, name, hostile)
    assert time.monotonic() - started < 300.0, "no deadline ended it"  # a guard, not a measurement
    assert traces(engine) == before

    assert (type(error) if error else None) is case.raised
    with Ledger(request_.store, read_only=True) as ledger:
        (step,) = ledger.history.latest()
        (entry,) = ledger.entries()
        stored = ledger.examples(entry.key)
        failed = {(one.song, one.listener): one for one in ledger.failures(entry.key)}
        assert ledger.leases.all() == []
    assert (step.state, step.fault) == (case.state, case.fault)
    assert len(stored) == case.stored
    assert all(one.values == values(0.5) for one in stored.values())
    messages = [step.cause, *(fault.message for fault in outcome.faults)] if outcome else [step.cause]
    assert any(case.message in text for text in messages), messages
    shown = "\n".join([*messages, *(one.message for one in failed.values())])
    assert "\x1b" not in shown
    assert "evil" not in shown
    if case.stored == 3:
        assert set(failed) == {at}, "the failed example, and no other, is named"
        assert failed[at].fault == case.fault
    assert verify_store(request_.store).problems == []


def test_a_good_run_after_a_hostile_one_completes_it(hostile: str, request_: Request) -> None:
    run(request_, "segmentation fault", hostile)
    outcome, error = run(request_, "floods standard error", hostile)
    assert error is None
    assert outcome is not None
    assert (outcome.scored, outcome.stored, outcome.average) == (1, 4, 0.5)
    with Ledger(request_.store, read_only=True) as ledger:
        assert all(ledger.failures(entry.key) == [] for entry in ledger.entries())
