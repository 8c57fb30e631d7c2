"""Which files are there, which are not, and which have the wrong name."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from validator.archive.members import shown
from validator.challenge.challenge import Challenge
from validator.challenge.manifest import Entry, Kind, entries
from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1
from validator.checks.groups import REMIX, Group, Place, grouped
from validator.checks.suggestions import Namer, Suggestion
from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable

    from validator.findings.finding import Finding

TELLING_LISTENERS = 5
"""Listeners of another split that must be seen before the report speaks of a mistaken split."""


def place_of(entry: Entry) -> Place:
    """Where an audio file belongs."""
    return Place(entry.listener, entry.song, entry.side, entry.stem or REMIX)


def check_names(
    names: Collection[str],
    challenge: Challenge,
    *,
    refused: Collection[str] = (),
    examples: Container[tuple[str, str]] | None = None,
) -> tuple[list[Entry], list[Finding]]:
    """Hold the names of a submission's files against the manifest.

    Args:
        names: Relative POSIX paths, below the wrapper folder.
        challenge: What is asked for.
        refused: Names of files that are there but may not be opened: not missing, not checked.
        examples: Where given, only these (song, listener) pairs are asked for.

    Returns:
        The files asked for that are there, and the findings.
    """
    everything = {entry.path: entry for entry in entries(challenge)}
    wanted = (
        everything
        if examples is None
        else {path: one for path, one in everything.items() if (one.song, one.listener) in examples}
    )
    there = set(names)
    present = [entry for path, entry in wanted.items() if path in there]
    strangers = sorted(there - everything.keys())
    missing = {
        path: entry
        for path, entry in wanted.items()
        if entry.kind is not Kind.SCALE and path not in there and path not in refused
    }
    if missing and not present and not refused:
        return [], _nothing(there, challenge, wanted)
    findings, renamed = _strangers(strangers, there, everything, Namer(challenge) if strangers else None)
    absent = [place_of(entry) for path, entry in missing.items() if path not in renamed]
    universe = [place_of(entry) for entry in wanted.values() if entry.kind is not Kind.SCALE]
    findings += [_missing(group) for group in grouped(absent, universe)]
    return present, findings


def _nothing(names: Iterable[str], challenge: Challenge, wanted: dict[str, Entry]) -> list[Finding]:
    """Not one file has a name that is asked for: one finding, and the likeliest reason."""
    names = sorted(names)
    findings, renamed = _strangers(names, set(), wanted, Namer(challenge))
    audio = {path: place_of(entry) for path, entry in wanted.items() if entry.kind is not Kind.SCALE}
    if renamed:
        absent = [place for path, place in audio.items() if path not in renamed]
        return findings + [_missing(group) for group in grouped(absent, list(audio.values()))]
    example = next(iter(audio), "")
    hint = None
    other = _other_split(names, challenge)
    if other:
        hint = f"The listeners are those of split {other}: check with --split {other}."
    found = f"{len(names)} other files, such as {shown(names[0])}" if names else "no file at all"
    nothing = rule("missing").at(
        "",
        f"Nothing that the challenge asks for is there: {len(audio)} files are missing.",
        expected=f"{len(audio)} files, such as {example}",
        found=found,
        hint=hint,
    )
    return [nothing, *findings]


def _other_split(names: Iterable[str], challenge: Challenge) -> str:
    tops = {name.split("/", 1)[0] for name in names}
    for split in CAD1.splits:
        if split == challenge.split:
            continue
        try:
            others = {listener.id for listener in Challenge.load(challenge.root, split=split).listeners}
        except ChallengeError:
            others = {listener.id for listener in Challenge.load(None, split=split).listeners}
        if len(tops & others) >= min(TELLING_LISTENERS, len(others)):
            return split
    return ""


def _strangers(
    strangers: list[str], there: set[str], everything: dict[str, Entry], namer: Namer | None
) -> tuple[list[Finding], set[str]]:
    """Findings for files that are not asked for, and the names that some of them should have."""
    findings: list[Finding] = []
    taken: set[str] = set()
    foreign: dict[str, list[str]] = defaultdict(list)
    known_tops = {path.split("/", 1)[0] for path in everything}
    for name in strangers:
        remix = everything.get(name.removesuffix(".txt") + ".flac") if name.endswith(".txt") else None
        if remix is not None and remix.kind is Kind.REMIX:
            findings.append(rule("scale-remix").at(shown(name), "There is a scale file beside this remix."))
            continue
        options = [] if namer is None else namer.candidates(name)
        meant = _choose(options, there, taken, everything)
        if meant is not None:
            taken.add(meant.path)
            findings.append(
                rule("misnamed").at(
                    shown(name),
                    f"The name differs in {meant.why}."
                    if not meant.why.startswith("it ")
                    else f"The name is right, but {meant.why}.",
                    expected=meant.path,
                    found=shown(name),
                )
            )
            continue
        top, slash, _ = name.partition("/")
        if not options and slash and top not in known_tops:
            foreign[top].append(name)
            continue
        message = "The challenge asks for no file of this name."
        known = [option.path for option in options if option.path in everything]
        if known:
            message += f" It looks like another {known[0].rsplit('/', 1)[-1]}, which is there already."
        findings.append(rule("unexpected").at(shown(name), message))
    return findings + [_foreign(top, names) for top, names in foreign.items()], taken


def _foreign(top: str, names: list[str]) -> Finding:
    """A folder of which the challenge knows nothing, with all that is in it."""
    if len(names) == 1:
        return rule("unexpected").at(shown(names[0]), "The challenge asks for no file of this name.")
    return rule("unexpected").at(
        shown(top) + "/",
        f"The challenge asks for nothing in this folder, which holds {len(names)} files.",
        found=f"{len(names)} files, such as {shown(names[0])}",
    )


def _choose(
    options: list[Suggestion], there: set[str], taken: set[str], everything: dict[str, Entry]
) -> Suggestion | None:
    """The first name that is asked for and that no other file has or should have."""
    for option in options:
        if option.path in everything and option.path not in there and option.path not in taken:
            return option
    return None


def _missing(group: Group) -> Finding:
    if group.count == 1:
        return rule("missing").at(group.path, "This file is missing.", expected=group.path, found="nothing")
    words = group.words()
    sentence = words[0].upper() + words[1:]
    return rule("missing").at(
        group.path,
        f"{sentence}, is missing: {group.count} files.",
        expected=f"{group.count} files",
        found="none",
    )
