"""What the decoded audio of all files shows together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.checks.clipping import check_clipping
from validator.checks.copies import check_listeners, check_remix_sides, check_stem_sides, check_stems
from validator.checks.labels import check_labels
from validator.checks.levels import check_remix_levels, check_scale_files, check_stem_levels
from validator.checks.silence import check_references, check_silence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.challenge.challenge import Challenge
    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding


def check_audio(summaries: Sequence[AudioSummary], challenge: Challenge) -> list[Finding]:
    """Findings that need the decoded audio of all files.

    Args:
        summaries: One for each decoded file.
        challenge: The challenge.
    """
    stems = [summary for summary in summaries if not summary.is_remix]
    remixes = [summary for summary in summaries if summary.is_remix]
    findings = [
        *check_silence(stems),
        *check_silence(remixes),
        *check_references(stems),
        *check_scale_files(stems),
        *check_remix_sides(remixes),
        *check_clipping(remixes),
        *check_remix_levels(remixes),
        *check_listeners(summaries),
    ]
    equal, about_sides = check_stem_sides(stems, challenge)
    copied, about_stems = check_stems(stems)
    # what is reported as a copy is not reported as mislabelled or too loud as well
    distinct = [stem for stem in stems if stem.peak > 0 and stem.key not in equal | copied]
    mislabelled, about_labels = check_labels(distinct)
    about_levels = check_stem_levels([stem for stem in distinct if stem.key not in mislabelled])
    return [*findings, *about_sides, *about_stems, *about_labels, *about_levels]
