"""Which files are silent, and which references?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.checks.groups import group_findings, grouped
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.checks.groups import FileKey
    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding


def check_silence(summaries: Sequence[AudioSummary]) -> list[Finding]:
    """Findings about silent files, except stems whose reference is silent too.

    Args:
        summaries: All decoded stems, or all decoded remixes.
    """
    silent = [
        summary.key
        for summary in summaries
        if summary.peak == 0 and not (summary.match is not None and summary.match.reference_silent)
    ]
    groups = grouped(silent, [summary.key for summary in summaries])
    return group_findings("silent", groups, one="is silent", many="are silent")


def check_references(stems: Sequence[AudioSummary]) -> list[Finding]:
    """Findings about silent references, one for each song, side and stem."""
    silent: dict[FileKey, None] = {}
    for stem in stems:
        if stem.match is not None and stem.match.reference_silent:
            silent[stem.key._replace(listener="")] = None
    return [
        new_finding(
            "reference-silent",
            f"*/{key.song}/*_{key.side}_{key.stem}.flac",
            f"The reference of the '{key.stem}' stem ({key.side}) of song '{key.song}' is silent, so its value is "
            "undefined and left out of the averages.",
        )
        for key in silent
    ]
