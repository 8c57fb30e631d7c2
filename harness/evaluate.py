"""Inside the sandbox: `python -m harness.evaluate JOB.json` scores the examples of one job, song by song.

The job is read from a file, results go to standard output as JSON lines (`harness.records`), one for each example.
Several examples of a song are scored together, and their lines come as soon as all of these are there. Whatever a
library prints goes to standard error. Before anything is scored, every scoring file is held to the lock.
"""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from harness import lock
from harness.errors import HarnessError, SetupError
from harness.records import (
    SCORING_ORDER,
    STEM_COLUMNS,
    AuditScore,
    AuditStem,
    Done,
    ExampleFailure,
    ExampleScore,
    Hello,
    Job,
    Line,
    Refusal,
)

CACHE_ENV = "CAD1_NUMBA_CACHE"
"""Names the folder of kernels compiled beforehand; it may be read-only."""

PARENT_ENV = "CAD1_STDIN_IS_PARENT"
"""Set where standard input is a pipe from the host: when it closes, the host is gone and so are we."""

MAX_JOB_BYTES = 64 * 1024 * 1024
"""A job names at most all examples of a split, about 100 bytes each."""


class Reporter:
    """Writes the protocol's lines to what was standard output, and gives that to standard error."""

    def __init__(self, nonce: str) -> None:
        self._stream: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self.nonce = nonce
        self.examples = 0
        self.failures = 0

    def send(self, line: Line) -> None:
        """Writes one line, whole."""
        self._stream.write(line.model_dump_json().encode() + b"\n")
        self._stream.flush()
        self.examples += isinstance(line, ExampleScore)
        self.failures += isinstance(line, ExampleFailure)


def _die_with_parent() -> None:
    """Ends this process when the host's end of standard input closes."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(130)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def _use_compiled_kernels() -> None:
    """Gives Numba a writable copy of the kernels compiled at build time: it takes no cache it can't write to."""
    compiled = os.environ.get(CACHE_ENV)
    if compiled and Path(compiled).is_dir():
        target = Path(os.environ.get("TMPDIR", "/tmp")) / "numba"  # noqa: S108  (the sandbox's own tmpfs)
        shutil.copytree(compiled, target, dirs_exist_ok=True)
        os.environ["NUMBA_CACHE_DIR"] = str(target)


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()[:200]
    except OSError:  # not on Linux
        pass
    return (platform.processor() or platform.machine())[:200]


def peak_memory() -> int:
    """The most memory this process has held, in bytes; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):  # not on Linux
        pass
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of a child of a large process, that one's
    return peak if sys.platform == "darwin" else peak * 1024


def _check_lock(job: Job, root: Path) -> tuple[bool, str]:
    """Whether this environment is the locked one, and what differs."""
    own = lock.Lock.load()
    differences = own.differences(root, pyclarity=lock.pyclarity_root())
    differences += lock.version_differences(root)
    if own.digest != job.lock:
        differences.insert(
            0, f"harness/scorer.lock here is {own.digest[:12]}… where the host's is {job.lock[:12]}…"
        )
    return not differences, "; ".join(differences)


def failure_of(error: Exception, *, nonce: str, song: str, listener: str) -> ExampleFailure:
    """The record of an example that could not be scored; a bug leaves its traceback on standard error."""
    from harness.references import StemError  # noqa: PLC0415

    path = ""
    if isinstance(error, StemError):
        fault, code, path, message = "submission", error.code, error.path, error.message
    elif isinstance(error, HarnessError):
        fault, code, message = error.fault.value, error.fault.value, error.message
    elif isinstance(error, MemoryError):
        fault, code, message = "memory", "memory", "There was not enough memory to score this example."
    else:
        fault, code, message = "bug", "bug", f"{type(error).__name__}: {error}"
        traceback.print_exception(error, file=sys.stderr)
    return ExampleFailure.model_validate(
        {
            "nonce": nonce,
            "song": song,
            "listener": listener,
            "fault": fault,
            "code": code[:80],
            "path": path[:800],
            "message": message[:2000],
        }
    )


def in_columns(values: list[float | None]) -> tuple[float | None, ...]:
    """An engine's values, which are in `SCORING_ORDER`, in the order of `STEM_COLUMNS`.

    Raises:
        SetupError: If a value is not a number: that reference is not silent, but nowhere loud enough for HAAQI.
    """
    for name, value in zip(SCORING_ORDER, values, strict=True):
        if value is not None and math.isnan(value):
            raise SetupError(
                f"HAAQI of {name} is not a number: its reference is nowhere above the hearing threshold.",
                hint="A value may only be left out where the reference is silent; see the data root's audio.",
            )
    return tuple(values[SCORING_ORDER.index(name)] for name in STEM_COLUMNS)


def run(job: Job, reporter: Reporter) -> None:
    """Scores the job's examples and audits; sends a line for each."""
    from harness.engines import ENGINES, Listening, SongEngine, Values, audit  # noqa: PLC0415  (after the kernels'

    # cache is in place)
    from harness.references import (  # noqa: PLC0415
        References,
        audiograms_of,
        load_processed,
        load_references,
        processed_stems,
    )
    from validator.archive import Submission, open_submission  # noqa: PLC0415
    from validator.challenge import Challenge  # noqa: PLC0415
    from validator.manifest import limits  # noqa: PLC0415

    challenge = Challenge.load(Path(job.data), split=job.split)

    def score(submission: Submission, engine: SongEngine, song: str, listeners: Sequence[str]) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        found: Sequence[Values | Exception]
        try:
            found = engine.score_all([listening(submission, song, listener) for listener in listeners])
        except Exception as error:  # of the song as a whole, so that it is each one's
            found = [error] * len(listeners)
        seconds, cpu_seconds = (
            (time.monotonic() - wall) / len(found),
            (time.process_time() - cpu) / len(found),
        )
        for listener, values in zip(listeners, found, strict=True):
            answer(song, listener, partial(example, song, listener, values, seconds, cpu_seconds))

    def listening(submission: Submission, song: str, listener_id: str) -> Listening:
        listener = challenge.listener(listener_id)
        stems = processed_stems(submission, song=challenge.song(song), listener=listener)
        return Listening(processed=stems, audiograms=audiograms_of(listener))

    def example(
        song: str, listener: str, values: Values | Exception, seconds: float, cpu_seconds: float
    ) -> Line:
        if isinstance(values, Exception):
            raise values
        return ExampleScore(
            nonce=reporter.nonce,
            song=song,
            listener=listener,
            values=in_columns(values),
            seconds=seconds,
            cpu_seconds=cpu_seconds,
        )

    def check(submission: Submission, references: References, item: AuditStem) -> Line:
        wall = time.monotonic()
        listener = challenge.listener(item.listener)
        processed = load_processed(submission, song=challenge.song(item.song), listener=listener)
        value = audit(references, processed, audiograms_of(listener), position=item.position)
        return AuditScore(
            nonce=reporter.nonce,
            song=item.song,
            listener=item.listener,
            position=item.position,
            value=value,
            seconds=time.monotonic() - wall,
        )

    def answer(song: str, listener: str, work: Callable[[], Line]) -> None:
        try:
            line = work()
        except Exception as error:
            line = failure_of(error, nonce=reporter.nonce, song=song, listener=listener)
        reporter.send(line)

    with open_submission(Path(job.submission), limits=limits(challenge)) as submission:
        for song, examples in groupby(job.examples, key=lambda example: example.song):
            engine = ENGINES[job.engine](load_references(challenge.song(song)))
            listeners = [one.listener for one in examples]
            for first in range(0, len(listeners), job.batch):
                score(submission, engine, song, listeners[first : first + job.batch])
        for song, audits in groupby(job.audits, key=lambda item: item.song):
            references = load_references(challenge.song(song))
            for item in audits:
                answer(song, item.listener, partial(check, submission, references, item))


def main(arguments: list[str]) -> int:
    """Runs the job in the file that is named; 0 if every example got a line, 3 if the sandbox refuses."""
    if os.environ.get(PARENT_ENV):
        _die_with_parent()
    path = Path(arguments[0])
    if path.stat().st_size > MAX_JOB_BYTES:
        sys.stderr.write("evaluate: the job file is too large\n")
        return 3
    job = Job.model_validate_json(path.read_bytes())
    reporter = Reporter(job.nonce)
    root = lock.HARNESS.parent
    locked, differences = _check_lock(job, root)
    if job.require_lock and not locked:
        reporter.send(
            Refusal(
                nonce=job.nonce,
                message=f"The evaluator does not match scorer.lock: {differences}."[:4000],
                hint="Run `cad1 image build` (or restore the files) so that both sides hold the same bits.",
            )
        )
        return 3
    _use_compiled_kernels()
    reporter.send(
        Hello(
            nonce=job.nonce,
            lock=job.lock,
            locked=locked,
            versions=lock.installed_versions(root) | {"python": platform.python_version()},
            cpu=cpu_model(),
        )
    )
    from validator.metadata import ChallengeError  # noqa: PLC0415

    try:
        run(job, reporter)
    except (HarnessError, ChallengeError) as error:
        reporter.send(Refusal(nonce=job.nonce, message=str(error)[:4000], hint=error.hint[:1000]))
        return 3
    reporter.send(
        Done(
            nonce=job.nonce,
            examples=reporter.examples,
            failures=reporter.failures,
            peak_memory=peak_memory(),
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
