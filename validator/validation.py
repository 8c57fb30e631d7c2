"""The one call: a submission in, a report out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from validator.archive.submission import digest, open_submission
from validator.challenge.manifest import limits
from validator.challenge.rules import CAD1
from validator.checks.examiner import Examined, Examiner
from validator.checks.filenames import check_names
from validator.checks.overview import overall
from validator.checks.pool import Plan, by_example, in_processes
from validator.report.report import Report, in_order
from validator.report.subject import Scope, Subject

FEW = 8 * CAD1.files_per_example
"""Files that are decoded sooner than a second process has started: those of eight examples."""

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from validator.challenge.challenge import Challenge
    from validator.findings.finding import Finding


def validate(
    path: Path | str,
    challenge: Challenge,
    *,
    quick: bool = False,
    sense: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    examples: Container[tuple[str, str]] | None = None,
) -> Report:
    """Find everything that is wrong with a submission.

    Args:
        path: A zip, a tar, a tar.gz or a folder.
        challenge: What it is held against.
        quick: Read headers only; nothing is decoded.
        sense: Compare the audio with the references too, where the challenge has a data root and `quick`
            is not set.
        workers: Processes that decode; 1 decodes in this one, and so do few files.
        progress: Called with (files done, files in all) now and then.
        examples: Where given, only these (song, listener) pairs are asked for; files of others are let be.

    Returns:
        The report, whatever the submission is like.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
        ChallengeError: a reference cannot be read (only with `sense`).
        ValueError: `workers` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; at least 1 is needed")
    place = Path(path)
    bounds = limits(challenge)
    findings: list[Finding] = []
    with ThreadPoolExecutor(1) as aside, open_submission(place, limits=bounds) as submission:
        # beside the rest: a submission of 21 GB takes the better part of a minute
        sha256 = aside.submit(digest, place) if place.is_file() else None
        findings += submission.problems
        size, files = submission.size, len(submission.members)
        if submission.readable:
            present, about_names = check_names(
                submission.members, challenge, refused=submission.refused, examples=examples
            )
            findings += about_names
            whole = Examined()
            done = 0
            parts: Iterator[tuple[int, Examined]]
            if quick or workers == 1 or len(present) <= FEW:
                examiner = Examiner(submission, challenge, decode=not quick, sense=sense)
                parts = ((len(example), examiner(example)) for example in by_example(present))
            else:
                parts = in_processes(Plan(place, bounds, challenge, sense), present, workers=workers)
            for count, part in parts:
                whole.findings += part.findings
                whole.facts += part.facts
                done += count
                if progress is not None:
                    progress(done, len(present))
            findings += whole.findings
            findings += overall(whole.facts, challenge, decoded=not quick)
    return Report(
        subject=Subject(place.resolve().name, None if sha256 is None else sha256.result(), size),
        scope=Scope(challenge.split, len(challenge.songs), len(challenge.listeners), len(challenge.examples)),
        findings=in_order(findings),
        files=files,
        depth="headers" if quick else "decoded",
    )
