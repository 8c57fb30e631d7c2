"""Which files are present, which are missing, and which have the wrong name?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from validator.challenge.challenge import Challenge
from validator.challenge.manifest import ExpectedFile, Kind, expected_files
from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1
from validator.checks.groups import Group, grouped, key_of
from validator.checks.misnomers import Misnomer, misnomer_findings
from validator.checks.suggestions import NameMatcher, Suggestion
from validator.findings.codes import new_finding
from validator.findings.wording import counted, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from validator.findings.finding import Finding

LISTENERS_OF_ANOTHER_SPLIT = 5
"""Listeners of another split that must be present for the hint that the split is wrong."""


def check_names(
    names: Collection[str],
    challenge: Challenge,
    *,
    refused: Collection[str] = (),
    examples: Container[tuple[str, str]] | None = None,
) -> tuple[list[ExpectedFile], list[Finding]]:
    """Compare the names of a submission's files with the expected files.

    Args:
        names: Relative POSIX paths, below the wrapper folder.
        challenge: The challenge that expects the files.
        refused: Paths of files that exist but may not be opened; they are not missing.
        examples: Expect only the files of these (song, listener) pairs; None for all.

    Returns:
        The expected files that are present, each with the path that it has, and the findings. A misnamed file is
        present, too.
    """
    known = {file.path: file for file in expected_files(challenge)}
    expected = (
        known
        if examples is None
        else {path: file for path, file in known.items() if (file.song, file.listener) in examples}
    )
    existing = set(names)
    present = sum(path in existing for path in expected)
    unknown = sorted(existing - known.keys())
    missing = {
        path: file
        for path, file in expected.items()
        if file.kind is not Kind.SCALE and path not in existing and path not in refused
    }
    if missing and not present and not refused:
        return _nothing_present(existing, challenge, expected)
    findings, renamed = _check_unknown(unknown, existing, known, NameMatcher(challenge) if unknown else None)
    absent = [key_of(file) for path, file in missing.items() if path not in renamed]
    universe = [key_of(file) for file in expected.values() if file.kind is not Kind.SCALE]
    findings += [_missing(group) for group in grouped(absent, universe)]
    return _found(expected, existing, renamed), findings


def _found(
    expected: Mapping[str, ExpectedFile], existing: Container[str], renamed: Mapping[str, str]
) -> list[ExpectedFile]:
    """The files that are there, under their own name or under another."""
    return [
        file if path in existing else replace(file, path=renamed[path])
        for path, file in expected.items()
        if path in existing or path in renamed
    ]


def _nothing_present(
    names: Iterable[str], challenge: Challenge, expected: Mapping[str, ExpectedFile]
) -> tuple[list[ExpectedFile], list[Finding]]:
    """No file has an expected name: what is misnamed, or one finding with the most likely reason."""
    names = sorted(names)
    findings, renamed = _check_unknown(names, set(), expected, NameMatcher(challenge))
    audio = {path: key_of(file) for path, file in expected.items() if file.kind is not Kind.SCALE}
    if renamed:
        absent = [key for path, key in audio.items() if path not in renamed]
        missing = [_missing(group) for group in grouped(absent, list(audio.values()))]
        return _found(expected, (), renamed), findings + missing
    hint = None
    split = _other_split(names, challenge)
    if split:
        hint = f"The listeners belong to split {split}: validate with --split {split}."
    nothing = new_finding(
        "missing",
        "",
        f"None of the {len(audio):,} expected files is present.",
        expected=f"{len(audio):,} files, such as {next(iter(audio), '')}",
        found=f"{counted(len(names), 'file')}, such as {printable(names[0])}" if names else "no files",
        hint=hint,
    )
    return [], [nothing, *findings]


def _other_split(names: Iterable[str], challenge: Challenge) -> str:
    folders = {name.split("/", 1)[0] for name in names}
    for split in CAD1.splits:
        if split == challenge.split:
            continue
        try:
            others = {listener.id for listener in Challenge.load(challenge.root, split=split).listeners}
        except ChallengeError:
            others = {listener.id for listener in Challenge.load(None, split=split).listeners}
        if len(folders & others) >= min(LISTENERS_OF_ANOTHER_SPLIT, len(others)):
            return split
    return ""


def _check_unknown(
    names: Iterable[str],
    existing: Container[str],
    known: Mapping[str, ExpectedFile],
    matcher: NameMatcher | None,
) -> tuple[list[Finding], dict[str, str]]:
    """Findings about files without an expected name, and the actual name of each expected file among them."""
    findings: list[Finding] = []
    renamed: dict[str, str] = {}
    misnamed: list[Misnomer] = []
    foreign: dict[str, list[str]] = defaultdict(list)
    known_folders = {path.split("/", 1)[0] for path in known}
    for name in names:
        remix = known.get(name.removesuffix(".txt") + ".flac") if name.endswith(".txt") else None
        if remix is not None and remix.kind is Kind.REMIX:
            findings.append(new_finding("scale-remix", printable(name), "This is a scale file for a remix."))
            continue
        suggestions = [] if matcher is None else matcher.suggest(name)
        suggestion = _choose(suggestions, existing, renamed, known)
        if suggestion is not None:
            renamed[suggestion.path] = name
            misnamed.append(Misnomer(name, known[suggestion.path], suggestion.difference))
            continue
        folder, slash, _ = name.partition("/")
        if not suggestions and slash and folder not in known_folders:
            foreign[folder].append(name)
            continue
        message = "No file with this name is expected."
        similar = [suggestion.path for suggestion in suggestions if suggestion.path in known]
        if similar:
            message += f" It looks like a copy of {similar[0].rsplit('/', 1)[-1]}, which is present already."
        findings.append(new_finding("unexpected", printable(name), message))
    findings += misnomer_findings(misnamed)
    return findings + [_foreign(folder, found) for folder, found in foreign.items()], renamed


def _foreign(folder: str, names: list[str]) -> Finding:
    """An unknown top-level folder with everything in it."""
    if len(names) == 1:
        return new_finding("unexpected", printable(names[0]), "No file with this name is expected.")
    return new_finding(
        "unexpected",
        printable(folder) + "/",
        f"No files are expected in this folder, which contains {counted(len(names), 'file')}.",
        found=f"{counted(len(names), 'file')}, such as {printable(names[0])}",
    )


def _choose(
    suggestions: Iterable[Suggestion],
    existing: Container[str],
    taken: Container[str],
    known: Mapping[str, ExpectedFile],
) -> Suggestion | None:
    """The first suggestion that is an expected name and not the name of another file."""
    for suggestion in suggestions:
        path = suggestion.path
        if path in known and path not in existing and path not in taken:
            return suggestion
    return None


def _missing(group: Group) -> Finding:
    if group.count == 1:
        return new_finding("missing", group.path, "This file is missing.", expected=group.path)
    return new_finding("missing", group.path, f"{group.subject('file')} are missing.")
