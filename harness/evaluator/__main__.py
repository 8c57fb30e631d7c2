"""`python -m harness.evaluator`: scores examples, song by song, inside a sandbox.

Everything it needs comes as frames on standard input (`harness.protocol.frames`): the job, then each song's
references, and the audiograms and samples of its listeners. It opens no file of the challenge or of a submission,
and decodes nothing. Results go to standard output as JSON lines (`harness.protocol.records`), one per example. A
batch of examples of a song is scored together, and its lines come together. What a library prints goes to standard
error. Before anything is scored, every scoring file is checked against the lock.
"""

from __future__ import annotations

import platform
import sys

from harness.evaluator.inbox import Inbox
from harness.evaluator.lines import LineWriter
from harness.evaluator.process import peak_memory, use_compiled_kernels
from harness.protocol import lock
from harness.protocol.parent import exit_with_parent
from harness.protocol.processor import cpu_model
from harness.protocol.records import Done, Hello, Job, Refusal


def main() -> int:
    """Runs a job; returns 0 if every question got a line, 3 if it refuses to score."""
    exit_with_parent()
    inbox = Inbox(sys.stdin.buffer)
    job = inbox.message()
    if not isinstance(job, Job):
        sys.stderr.write("evaluator: the first message is not a job\n")
        return 3
    lines = LineWriter(job.nonce)
    root = lock.HARNESS.parent
    differences = lock.Lock.load().own_differences("evaluator", host=job.scorer_digest)
    if job.require_lock and differences:
        lines.send(
            Refusal(
                nonce=job.nonce,
                message=f"The evaluator does not match scorer.lock: {'; '.join(differences)}."[:4000],
                hint="Run `cad1 image build`, or restore the files, so that host and evaluator have the same code.",
            )
        )
        return 3
    use_compiled_kernels()
    lines.send(
        Hello(
            nonce=job.nonce,
            scorer_digest=job.scorer_digest,
            locked=not differences,
            versions=lock.installed_versions(root) | {"python": platform.python_version()},
            cpu=cpu_model(),
        )
    )
    # Not before: Numba, which job.py imports, reads the folder of its cache at import.
    from harness.evaluator.job import JobRunner  # noqa: PLC0415

    JobRunner(job.engine, inbox, lines).run()
    lines.send(
        Done(nonce=job.nonce, examples=lines.examples, failures=lines.failures, peak_memory=peak_memory())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
