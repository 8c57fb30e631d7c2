"""Runs the checks on a submission, and makes the report."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from validator.archive.submission import open_submission
from validator.challenge.manifest import archive_limits
from validator.challenge.rules import CAD1
from validator.checks.audio import check_audio
from validator.checks.examiner import Examiner
from validator.checks.filenames import check_names
from validator.checks.lengths import check_lengths
from validator.checks.pool import Plan, examine_in_processes, group_by_example
from validator.checks.summary import Examination
from validator.formats.libflac import in_process_decoder
from validator.report.report import Report, in_order
from validator.report.subject import ChallengeInfo, SubmissionInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from validator.archive.submission import Submission
    from validator.challenge.challenge import Challenge
    from validator.formats.flac import DecoderFactory

FEW_FILES = 8 * CAD1.files_per_example
"""Files up to which one process is faster than starting a second: those of eight examples."""


def validate(
    path: Path | str,
    challenge: Challenge,
    *,
    quick: bool = False,
    compare_references: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    examples: Container[tuple[str, str]] | None = None,
    decoder: DecoderFactory | None = None,
) -> Report:
    """Find everything that is wrong with a submission.

    Args:
        path: A zip, a tar, a tar.gz or a folder.
        challenge: The challenge that it is checked against.
        quick: Read only headers; see `validate_open` for this and what follows.
        compare_references: Compare the audio with the references.
        workers: Number of processes that decode.
        progress: Called now and then with (files done, files in all).
        examples: The (song, listener) pairs that are expected; None for all.
        decoder: Opens what decodes the audio; None to decode in these processes.

    Returns:
        The report, whatever the submission contains.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
        Exception: what `validate_open` raises.
    """
    path = Path(path)
    with open_submission(path, limits=archive_limits(challenge)) as submission:
        return validate_open(
            submission,
            challenge,
            name=path.resolve().name,
            quick=quick,
            compare_references=compare_references,
            workers=workers,
            progress=progress,
            examples=examples,
            decoder=decoder,
        )


def validate_open(
    submission: Submission,
    challenge: Challenge,
    *,
    name: str,
    quick: bool = False,
    compare_references: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    examples: Container[tuple[str, str]] | None = None,
    decoder: DecoderFactory | None = None,
) -> Report:
    """Find everything that is wrong with a submission that is open, and hash it.

    Whoever then reads its members gets what was hashed, or an exception; see `Submission.digest`.

    Args:
        submission: The submission, opened with `validator.challenge.manifest.archive_limits`.
        challenge: The challenge that it is checked against.
        name: What the report calls it.
        quick: Read only headers; decode nothing, and do not hash a folder.
        compare_references: Compare the audio with the references, if the challenge has a data root and `quick` is
            not set.
        workers: Number of processes that decode; with 1, or with few files, this process decodes.
        progress: Called now and then with (files done, files in all).
        examples: Expect only the files of these (song, listener) pairs, and ignore those of others; None for all.
        decoder: Opens what decodes the audio, such as a sandbox, once in each process; None to decode in these
            processes. It is not used with `quick`.

    Returns:
        The report, whatever the submission contains.

    Raises:
        ChallengeError: a reference cannot be read (only with `compare_references`).
        SubmissionChangedError: the submission is changing.
        ValueError: `workers` is less than 1.
        Exception: what `decoder` raises for a fault of the machine.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    factory = decoder or in_process_decoder
    findings = list(submission.problems)
    with ThreadPoolExecutor(1) as background, ExitStack() as running:
        # hashing 21 GB takes most of a minute
        sha256 = None if quick and submission.is_folder else background.submit(submission.digest)
        if submission.readable:
            present, about_names = check_names(
                submission.members, challenge, refused=submission.refused, examples=examples
            )
            findings += about_names
            results: Iterator[tuple[int, Examination]]
            if quick or workers == 1 or len(present) <= FEW_FILES:
                opened = None if quick else running.enter_context(factory())
                examiner = Examiner(
                    submission, challenge, decoder=opened, compare_references=compare_references
                )
                results = ((len(example), examiner.examine(example)) for example in group_by_example(present))
            else:
                limits = archive_limits(challenge)
                plan = Plan(submission.handle(), limits, challenge, compare_references, factory)
                results = examine_in_processes(plan, present, workers=workers)
            examination = Examination()
            done = 0
            for count, result in results:
                examination += result
                done += count
                if progress is not None:
                    progress(done, len(present))
            findings += examination.findings
            findings += check_lengths(examination.summaries, challenge)
            if not quick:
                findings += check_audio(examination.summaries, challenge)
        digest = None if sha256 is None else sha256.result()
    return Report(
        submission=SubmissionInfo(name, digest, submission.size),
        challenge=ChallengeInfo(
            challenge.split, len(challenge.songs), len(challenge.listeners), len(challenge.examples)
        ),
        findings=in_order(findings),
        files=len(submission.members),
        depth="headers" if quick else "decoded",
    )
