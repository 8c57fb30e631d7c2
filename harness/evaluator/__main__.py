"""`python -m harness.evaluator JOB.json`: scores the examples of one job, song by song, inside a sandbox.

The job is read from a file, results go to standard output as JSON lines (`harness.protocol.records`), one for each
example. Several examples of a song are scored together, and their lines come as soon as all of these are there.
Whatever a library prints goes to standard error. Before anything is scored, every scoring file is checked against
the lock.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from harness.evaluator.lines import LineWriter
from harness.evaluator.process import cpu_model, die_with_parent, peak_memory, use_compiled_kernels
from harness.protocol import lock
from harness.protocol.errors import HarnessError
from harness.protocol.records import Done, Hello, Job, Refusal
from harness.protocol.variables import PARENT_ENV

MAX_JOB_BYTES = 64 * 1024 * 1024
"""A job names at most all examples of a split, about 100 bytes each."""


def main(arguments: list[str]) -> int:
    """Runs the job in the file that is named; 0 if every example got a line, 3 if the sandbox refuses."""
    if os.environ.get(PARENT_ENV):
        die_with_parent()
    path = Path(arguments[0])
    if path.stat().st_size > MAX_JOB_BYTES:
        sys.stderr.write("evaluator: the job file is too large\n")
        return 3
    job = Job.model_validate_json(path.read_bytes())
    lines = LineWriter(job.nonce)
    root = lock.HARNESS.parent
    differences = _lock_differences(job, root)
    if job.require_lock and differences:
        lines.send(
            Refusal(
                nonce=job.nonce,
                message=f"The evaluator does not match scorer.lock: {'; '.join(differences)}."[:4000],
                hint="Run `cad1 image build` (or restore the files) so that both sides hold the same bits.",
            )
        )
        return 3
    use_compiled_kernels()
    lines.send(
        Hello(
            nonce=job.nonce,
            lock=job.lock,
            locked=not differences,
            versions=lock.installed_versions(root) | {"python": platform.python_version()},
            cpu=cpu_model(),
        )
    )
    # From here on, for Numba looks for its cache when it is imported.
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


def _lock_differences(job: Job, root: Path) -> list[str]:
    """How this environment differs from the locked one, one sentence each."""
    own = lock.Lock.load()
    differences = own.differences(root, pyclarity=lock.pyclarity_root())
    differences += lock.version_differences(root)
    if own.digest != job.lock:
        differences.insert(
            0, f"harness/scorer.lock here is {own.digest[:12]}… where the host's is {job.lock[:12]}…"
        )
    return differences


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
