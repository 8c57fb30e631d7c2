"""The one call: a submission in, a report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from validator.archive import DamagedMemberError, Submission, digest, open_submission
from validator.audio import AudioError, decode_flac
from validator.checks import SCALE_BYTES, check_header, check_scale, from_error
from validator.codes import rule
from validator.manifest import Entry, Kind, entries, length_of, limits
from validator.report import Finding, Report, Scope, Subject, in_order
from validator.streaminfo import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from validator.challenge import Challenge


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
        workers: Processes that decode.
        progress: Called with (files done, files in all) now and then.
        examples: Where given, only these (song, listener) pairs are asked for; files of others are let be.

    Returns:
        The report, whatever the submission is like.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
    """
    place = Path(path)
    del sense, workers
    with open_submission(place, limits=limits(challenge)) as submission:
        findings = list(submission.problems)
        if submission.readable:
            findings += _contents(submission, challenge, quick, progress, examples)
        size, files = submission.size, len(submission.members)
    sha256 = None if quick and place.is_dir() else digest(place)
    return Report(
        subject=Subject(place.resolve().name, sha256, size),
        scope=Scope(challenge.split, len(challenge.songs), len(challenge.listeners), len(challenge.examples)),
        findings=in_order(findings),
        files=files,
        depth="headers" if quick else "decoded",
    )


def _contents(
    submission: Submission,
    challenge: Challenge,
    quick: bool,
    progress: Callable[[int, int], None] | None,
    examples: Container[tuple[str, str]] | None,
) -> list[Finding]:
    findings: list[Finding] = []
    expected = {entry.path: entry for entry in entries(challenge, examples)}
    everything = expected if examples is None else {entry.path: entry for entry in entries(challenge)}
    for name in submission.members:
        if name not in everything:
            findings.append(rule("unexpected").at(name, "The challenge asks for no file of this name."))
    for name, entry in expected.items():
        if entry.kind is not Kind.SCALE and name not in submission.members and name not in submission.refused:
            findings.append(rule("missing").at(name, "This file is missing."))
    present = [entry for name, entry in expected.items() if name in submission.members]
    for done, entry in enumerate(present):
        findings += _file(submission, challenge, entry, quick)
        if progress is not None and done % 64 == 0:
            progress(done, len(present))
    if progress is not None:
        progress(len(present), len(present))
    return findings


def _file(submission: Submission, challenge: Challenge, entry: Entry, quick: bool) -> list[Finding]:
    name = entry.path
    try:
        if entry.kind is Kind.SCALE:
            finding = check_scale(name, submission.head(name, SCALE_BYTES))
            return [] if finding is None else [finding]
        length = length_of(challenge.song(entry.song), entry.kind)
        info, findings = check_header(name, submission.head(name, HEADER_BYTES), entry, length)
        if quick or info is None or findings:
            return findings
        with submission.open(name) as stream:
            decode_flac(stream, rate=entry.rate, channels=entry.channels, max_frames=length.most)
    except DamagedMemberError as error:
        return [rule("member-corrupt").at(name, f"The file is damaged: {error}.", found=str(error))]
    except AudioError as error:
        return [from_error(name, error)]
    return []
