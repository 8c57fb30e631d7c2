"""Misnamed files, grouped by cause: one misspelt folder is one finding, however many files it contains."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from validator.checks.groups import REMIX
from validator.checks.suggestions import is_other_audio
from validator.findings.codes import new_finding
from validator.findings.wording import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from validator.challenge.manifest import ExpectedFile
    from validator.findings.finding import Finding

_LISTENER, _SONG, _ENDING = "\ue000", "\ue001", "\ue002"
"""Private characters that stand for what is right in a name."""

_NOT_FLAC = "Save it as FLAC under the expected name: a renamed .{suffix} file is not a FLAC file."


@dataclass(frozen=True, slots=True)
class Misnomer:
    """A misnamed file.

    Attributes:
        name: Its path.
        file: What it should be.
        difference: How the two paths differ, in one sentence.
    """

    name: str
    file: ExpectedFile
    difference: str

    @property
    def cause(self) -> str:
        """What is wrong with the path; equal for all files that are misnamed in the same way.

        It is the path with a placeholder for each part that is right, so that only what is wrong is left.
        """
        if unicodedata.normalize("NFC", self.name) == self.file.path:
            return self.difference
        text, target = self.name, self.file.path
        ending = f"{self.file.side}_{self.file.stem}" if self.file.stem else REMIX
        text, dot, suffix = text.rpartition(".")
        if not dot:
            text, suffix = suffix, ""
        if text.endswith(ending):
            text = text.removesuffix(ending) + _ENDING
            suffix = "" if target.endswith(f".{suffix}") else suffix
        text = text.replace(self.file.song, _SONG).replace(self.file.listener, _LISTENER)
        return f"{text}.{suffix}" if suffix else text


def misnomer_findings(misnamed: Iterable[Misnomer]) -> list[Finding]:
    """One finding for each cause."""
    causes: dict[str, list[Misnomer]] = defaultdict(list)
    for one in misnamed:
        causes[one.cause].append(one)
    return [_finding(cause, files) for cause, files in causes.items()]


def _finding(cause: str, files: list[Misnomer]) -> Finding:
    first = files[0]
    message = first.difference
    if len(files) > 1:
        message = f"{message.removesuffix('.')} ({counted(len(files), 'file')})."
    suffix = first.name.rpartition(".")[2]
    return new_finding(
        "misnamed",
        printable(first.name if len(files) == 1 else _place(cause, files)),
        message,
        expected=first.file.path,
        found=printable(first.name),
        hint=_NOT_FLAC.format(suffix=printable(suffix)) if is_other_audio(first.name) else None,
    )


def _place(cause: str, files: list[Misnomer]) -> str:
    """Where files with the same cause are: a folder, a pattern, or empty for the whole submission."""
    folders = {one.name.rpartition("/")[0] for one in files}
    if len(folders) == 1:
        return f"{folders.pop()}/"
    if "/" not in cause:
        return ""
    pattern = cause
    for mark, names in (
        (_LISTENER, {one.file.listener for one in files}),
        (_SONG, {one.file.song for one in files}),
    ):
        whole = f"{names.pop()}/" if len(names) == 1 else "*/"
        pattern = pattern.replace(f"{mark}/", whole).replace(mark, "*")
    folder, _, name = pattern.replace(_ENDING, "*").rpartition("/")
    folder_is_right = cause.rpartition("/")[0] == f"{_LISTENER}/{_SONG}"
    return f"{folder}/{name}" if folder_is_right else f"{folder}/"
