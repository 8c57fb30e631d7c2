"""How loud stems and remixes are: against the scorer's reference, and in dB SPL."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from validator.checks.groups import Place, grouped, path_of, said
from validator.checks.likeness import SYSTEMATIC
from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.checks.examiner import Fact
    from validator.findings.finding import Finding

SPL_AT_FULL_SCALE = 100.0
"""dB SPL of 0 dB re full scale, as the challenge calibrates its headphones."""

LOUD_SPL = 95.0
"""RMS level in dB SPL from which a remix is worth a word. No mistake: the challenge's own recipe, NAL-R and then
tanh, makes 87 dB of a quiet master and up to 99.5 dB of a loud one for a profound loss (measured)."""

QUIET_SPL = 40.0
"""RMS level in dB SPL below which a remix is hardly heard, the more so with a hearing loss; the recipe's quietest
was 66 dB."""

OFFSET_DB = 6.0
"""Level difference worth a warning: half or twice the amplitude."""

SPREAD_DB = 3.0
"""Least spread of the prescribed gain at which flat and amplified can be told apart."""


def remix_findings(remixes: Sequence[Fact]) -> list[Finding]:
    """Remixes that are clipped, hardly audible or very loud, or the same on both sides."""
    findings = []
    heard = {fact.place: SPL_AT_FULL_SCALE + fact.level for fact in remixes if fact.peak > 0}
    for fact in remixes:
        path = path_of(fact.place)
        if fact.sides_equal and fact.peak > 0:
            findings.append(
                rule("sides-equal").at(path, "Left and right of the remix are bit for bit the same.")
            )
        if fact.clipped:
            findings.append(
                rule("remix-clipped").at(
                    path,
                    f"The remix is clipped in {fact.clipped} place(s).",
                    expected="no samples cut off at full scale",
                    found=f"{fact.clipped} run(s)",
                )
            )
    for code, places, bound in (
        ("remix-quiet", [place for place, spl in heard.items() if spl < QUIET_SPL], f"over {QUIET_SPL:.0f}"),
        ("remix-loud", [place for place, spl in heard.items() if spl > LOUD_SPL], f"up to {LOUD_SPL:.0f}"),
    ):
        for group in grouped(places, list(heard)):
            levels = [heard[place] for place in places if group.holds(place)]
            findings += said(
                code,
                [group],
                f"{{what}}, is played at {_range(min(levels), max(levels))} dB SPL",
                expected=f"{bound} dB SPL",
                found=f"{_range(min(levels), max(levels))} dB SPL",
            )
    return findings


def _range(least: float, most: float) -> str:
    return f"{most:.1f}" if least == most else f"{least:.1f} to {most:.1f}"


def amplified(fact: Fact) -> bool:
    """Whether a stem clearly has the gain prescribed for its ear, rather than a flat one."""
    return fact.match is not None and fact.match.misfit < 0.5 * fact.match.flatness


def level_findings(stems: Sequence[Fact]) -> list[Finding]:
    """Stems that were not amplified, or lie at another level than the scorer's reference."""
    universe = [fact.place for fact in stems]
    measured = [
        fact
        for fact in stems
        if fact.match is not None and not math.isnan(fact.match.offset) and fact.match.own_power > -30
    ]
    flat = {
        fact.place
        for fact in measured
        if fact.match is not None
        and fact.match.prescribed >= SPREAD_DB
        and fact.match.flatness < 0.5 * fact.match.misfit
    }
    telling = [fact for fact in measured if fact.match is not None and fact.match.prescribed >= SPREAD_DB]
    findings: list[Finding] = []
    if flat and len(flat) >= SYSTEMATIC * len(telling):
        offset = median(f.match.offset for f in telling if f.match is not None and f.place in flat)
        findings.append(
            rule("not-amplified").at(
                "",
                f"The stems were not amplified for the listeners: {len(flat)} of {len(telling)} stems that "
                "can tell have the reference's own spectrum.",
                expected="NAL-R amplification by each listener's audiogram",
                found=f"no amplification ({offset:+.1f} dB against the amplified reference)",
            )
        )
        return findings
    findings += said(
        "not-amplified", grouped(sorted(flat), universe), "{what}, has the spectrum of the plain reference"
    )
    off: dict[Place, float] = {
        fact.place: fact.match.offset
        for fact in measured
        if fact.match is not None and fact.place not in flat and abs(fact.match.offset) >= OFFSET_DB
    }
    for sign, word in ((1, "too loud"), (-1, "too quiet")):
        places = {place: value for place, value in off.items() if value * sign > 0}
        for group in grouped(list(places), universe):
            values = [value for place, value in places.items() if group.holds(place)]
            findings += said(
                "level",
                [group],
                f"{{what}}, is {abs(median(values)):.1f} dB {word} against the reference as the scorer "
                "amplifies it",
                expected=f"within {OFFSET_DB:.0f} dB",
                found=f"{min(values):+.1f} dB"
                if len(values) == 1
                else f"{min(values):+.1f} to {max(values):+.1f} dB",
            )
    return findings
