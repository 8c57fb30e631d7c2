"""Do all files of a song have the same length? Needed where the length of the song is unknown."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1
from validator.checks.groups import path_of
from validator.checks.header import duration
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.challenge.challenge import Challenge
    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding

SLACK_SECONDS = CAD1.tail / CAD1.reference_rate + 2 * CAD1.length_tolerance / CAD1.stem_rate
"""By how much a file may differ from the median length of its song."""


def check_lengths(summaries: Sequence[AudioSummary], challenge: Challenge) -> list[Finding]:
    """Findings about files of different length, for songs whose length is unknown.

    Args:
        summaries: Every readable audio file.
        challenge: Without a data root, the length of a whole song is unknown.
    """
    findings = []
    unknown = {song.name for song in challenge.songs if song.expected_stem_frames is None}
    by_song: dict[str, list[tuple[float, AudioSummary]]] = defaultdict(list)
    for summary in summaries:
        if summary.key.song in unknown:
            by_song[summary.key.song].append((summary.frames / _rate(summary), summary))
    for files in by_song.values():
        usual = median(length for length, _ in files)
        for length, summary in files:
            if abs(length - usual) > SLACK_SECONDS:
                findings.append(
                    new_finding(
                        "length-inconsistent",
                        path_of(summary.key),
                        "The length differs from that of the song's other files.",
                        expected=f"about {usual:.2f} s",
                        found=duration(summary.frames, _rate(summary)),
                    )
                )
    return findings


def _rate(summary: AudioSummary) -> int:
    return CAD1.remix_rate if summary.is_remix else CAD1.stem_rate
