"""`python -m harness.evaluator JOB.json`: scores the examples of one job, song by song, inside a sandbox.

The job is read from a file; results go to standard output as JSON lines (`harness.protocol.records`), one per
example. A batch of examples of a song is scored together, and its lines come together. What a library prints goes
to standard error. Before anything is scored, every scoring file is checked against the lock.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from harness.evaluator.lines import LineWriter
from harness.evaluator.process import cpu_model, exit_with_parent, peak_memory, use_compiled_kernels
from harness.protocol import lock
from harness.protocol.errors import HarnessError
from harness.protocol.records import Done, Hello, Job, Refusal
from harness.protocol.variables import PARENT_ENV

MAX_JOB_BYTES = 64 * 1024 * 1024
"""A job lists at most all examples of a split, about 100 bytes each."""


def main(arguments: list[str]) -> int:
    """Runs the job in the file `arguments[0]`; returns 0 if every example got a line, 3 if it refuses to score."""
    if os.environ.get(PARENT_ENV):
        exit_with_parent()
    path = Path(arguments[0])
    if path.stat().st_size > MAX_JOB_BYTES:
        sys.stderr.write("evaluator: the job file is too large\n")
        return 3
    job = Job.model_validate_json(path.read_bytes())
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
    from validator.challenge.metadata import ChallengeError  # noqa: PLC0415

    try:
        JobRunner(job, lines).run()
    except (HarnessError, ChallengeError) as error:
        lines.send(Refusal(nonce=job.nonce, message=str(error)[:4000], hint=error.hint[:1000]))
        return 3
    lines.send(
        Done(nonce=job.nonce, examples=lines.examples, failures=lines.failures, peak_memory=peak_memory())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
