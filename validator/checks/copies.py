"""Which files are copies of each other: left and right, several stems, or all listeners?"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1
from validator.checks.groups import FileKey, group_findings, grouped, path_of
from validator.checks.levels import is_amplified
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.challenge.challenge import Challenge
    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding

SAME_CHANNEL = 0.9999
"""Correlation of a reference's channels above which they count as the same: the stem is in the middle."""


def check_remix_sides(remixes: Sequence[AudioSummary]) -> list[Finding]:
    """Findings about remixes whose channels are identical."""
    return [
        new_finding(
            "sides-equal", path_of(remix.key), "The left and right channels of the remix are identical."
        )
        for remix in remixes
        if remix.sides_equal and remix.peak > 0
    ]


def check_stem_sides(
    stems: Sequence[AudioSummary], challenge: Challenge
) -> tuple[set[FileKey], list[Finding]]:
    """Ears with identical stems, although their references or their audiograms differ.

    Returns:
        The stems concerned, and the findings.
    """
    same_loss = {listener.id for listener in challenge.listeners if listener.left == listener.right}
    by_key = {stem.key: stem for stem in stems}
    pairs: dict[FileKey, bool] = {}
    for key, left in by_key.items():
        right = by_key.get(key._replace(side="right"))
        if key.side != "left" or right is None:
            continue
        same_reference = left.match is not None and left.match.sides_alike > SAME_CHANNEL
        differ_by_gain = key.listener not in same_loss and (is_amplified(left) or is_amplified(right))
        may_be_equal = same_reference and not differ_by_gain
        pairs[key._replace(side="")] = left.peak > 0 and left.digest == right.digest and not may_be_equal
    equal = [key for key, is_equal in pairs.items() if is_equal]
    findings = group_findings(
        "sides-equal",
        grouped(equal, list(pairs)),
        one="is identical on the left and right",
        many="are identical on the left and right",
    )
    return {key._replace(side=side) for key in equal for side in CAD1.sides}, findings


def check_stems(stems: Sequence[AudioSummary]) -> tuple[set[FileKey], list[Finding]]:
    """Identical stems of one ear.

    Returns:
        The stems of ears of which all four are identical, and the findings.
    """
    by_ear: dict[FileKey, list[AudioSummary]] = defaultdict(list)
    for stem in stems:
        by_ear[stem.key._replace(stem="")].append(stem)
    same: dict[tuple[str, ...], list[FileKey]] = defaultdict(list)
    for ear, of_ear in by_ear.items():
        by_digest: dict[bytes, list[str]] = defaultdict(list)
        for stem in of_ear:
            if stem.peak > 0:
                by_digest[stem.digest].append(stem.key.stem)
        for alike in by_digest.values():
            if len(alike) > 1:
                same[tuple(alike)].append(ear)
    findings: list[Finding] = []
    copied: set[FileKey] = set()
    for names, ears in same.items():
        all_four = len(names) == len(CAD1.stems)
        if all_four:
            copied |= {ear._replace(stem=stem) for ear in ears for stem in CAD1.stems}
        for group in grouped(ears, list(by_ear)):
            side = f"{group.side} " if group.side else ""
            findings.append(
                new_finding(
                    "stems-identical",
                    group.path,
                    f"The {side}stems {', '.join(names[:-1])} and {names[-1]} of {group.examples} are identical.",
                    expected="four different stems",
                    found="probably the mixture in place of each stem" if all_four else "copies of one file",
                )
            )
    return copied, findings


def check_listeners(summaries: Sequence[AudioSummary]) -> list[Finding]:
    """A finding if all listeners have the same audio."""
    digests: dict[tuple[str, str, str], set[bytes]] = defaultdict(set)
    listeners: dict[tuple[str, str, str], int] = Counter()
    for summary in summaries:
        if summary.peak > 0:
            item = (summary.key.song, summary.key.side, summary.key.stem)
            digests[item].add(summary.digest)
            listeners[item] += 1
    several = [item for item, count in listeners.items() if count > 1]
    if not several or any(len(digests[item]) > 1 for item in several):
        return []
    count = len({summary.key.listener for summary in summaries})
    return [
        new_finding(
            "not-personal",
            "",
            f"All {count} listeners have the same audio.",
            expected="audio made for each listener's audiogram",
            found="one version for all",
        )
    ]
