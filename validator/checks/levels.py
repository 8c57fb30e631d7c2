"""At which level are stems and remixes: compared with the scorer's reference, and in dB SPL?"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from validator.checks.groups import FileKey, group_findings, grouped
from validator.checks.labels import QUIET_REFERENCE_DB, SYSTEMATIC
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding

SPL_AT_FULL_SCALE = 100.0
"""dB SPL of 0 dB re full scale, as the challenge calibrates its headphones."""

LOUD_SPL = 95.0
"""RMS level in dB SPL above which a remix is noted as very loud. The challenge's own recipe, NAL-R and then tanh,
produces 87 dB for a quiet master and up to 99.5 dB for a loud one and a profound loss (measured)."""

QUIET_SPL = 40.0
"""RMS level in dB SPL below which a remix is hard to hear, even more so with a hearing loss. The quietest remix of
the recipe has 66 dB."""

OFFSET_DB = 6.0
"""Level difference that is reported: half or twice the amplitude."""

SPREAD_DB = 3.0
"""Least standard deviation over frequency at which a prescribed gain can be distinguished from a flat one."""


def check_remix_levels(remixes: Sequence[AudioSummary]) -> list[Finding]:
    """Findings about remixes that are barely audible or very loud."""
    findings = []
    spl = {remix.key: SPL_AT_FULL_SCALE + remix.level for remix in remixes if remix.peak > 0}
    for code, keys, bound in (
        ("remix-quiet", [key for key, level in spl.items() if level < QUIET_SPL], f"above {QUIET_SPL:.0f}"),
        ("remix-loud", [key for key, level in spl.items() if level > LOUD_SPL], f"up to {LOUD_SPL:.0f}"),
    ):
        for group in grouped(keys, list(spl)):
            levels = [spl[key] for key in keys if key in group]
            least, most = min(levels), max(levels)
            found = f"{most:.1f} dB SPL" if least == most else f"{least:.1f} to {most:.1f} dB SPL"
            findings += group_findings(
                code,
                [group],
                one=f"is played at {found}",
                many=f"are played at {found}",
                expected=f"{bound} dB SPL",
                found=found,
            )
    return findings


def check_scale_files(stems: Sequence[AudioSummary]) -> list[Finding]:
    """Findings about stems that look normalised to their peak and have no scale file."""
    rest = "scored with the factor 1, which costs a perfect stem up to half of its score"
    return group_findings(
        "scale-missing",
        grouped([stem.key for stem in stems if stem.unscaled], [stem.key for stem in stems]),
        one=f"reaches full scale and has no scale file: it is {rest}",
        many=f"reach full scale and have no scale file: they are {rest}",
        expected="the peak that the stem was divided by, in a .txt file of the same name",
        found="nothing",
    )


def is_amplified(stem: AudioSummary) -> bool:
    """Whether a stem clearly has the gain prescribed for its ear, rather than a flat gain."""
    return stem.match is not None and stem.match.misfit < 0.5 * stem.match.flatness


def check_stem_levels(stems: Sequence[AudioSummary]) -> list[Finding]:
    """Findings about stems that are not amplified, or not at the level of the scorer's reference."""
    universe = [stem.key for stem in stems]
    matches = {
        stem.key: stem.match
        for stem in stems
        if stem.match is not None
        and not math.isnan(stem.match.offset)
        and stem.match.own_power > QUIET_REFERENCE_DB
    }
    decidable = {key: match for key, match in matches.items() if match.prescribed >= SPREAD_DB}
    flat = {key for key, match in decidable.items() if match.flatness < 0.5 * match.misfit}
    if flat and len(flat) >= SYSTEMATIC * len(decidable):
        offset = median(decidable[key].offset for key in decidable if key in flat)
        return [
            new_finding(
                "not-amplified",
                "",
                f"The stems are not amplified for the listeners: {len(flat)} of {len(decidable)} stems whose "
                "prescribed gain varies with frequency have the reference's own spectrum.",
                expected="NAL-R amplification by each listener's audiogram",
                found=f"no amplification ({offset:+.1f} dB compared with the amplified reference)",
            )
        ]
    findings = group_findings(
        "not-amplified",
        grouped(sorted(flat), universe),
        one="has the spectrum of the unamplified reference",
        many="have the spectrum of the unamplified reference",
    )
    offsets: dict[FileKey, float] = {
        key: match.offset
        for key, match in matches.items()
        if key not in flat and abs(match.offset) >= OFFSET_DB
    }
    for sign, word in ((1, "too loud"), (-1, "too quiet")):
        of_sign = {key: offset for key, offset in offsets.items() if offset * sign > 0}
        for group in grouped(list(of_sign), universe):
            values = [offset for key, offset in of_sign.items() if key in group]
            rest = f"{abs(median(values)):.1f} dB {word} compared with the amplified reference"
            findings += group_findings(
                "level",
                [group],
                one=f"is {rest}",
                many=f"are {rest} (median)",
                expected=f"within {OFFSET_DB:.0f} dB",
                found=f"{min(values):+.1f} dB"
                if len(values) == 1
                else f"{min(values):+.1f} to {max(values):+.1f} dB",
            )
    return findings
