"""What only shows when all files of a submission are seen together."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median
from typing import TYPE_CHECKING

from validator.challenge.challenge import Challenge
from validator.challenge.rules import CAD1
from validator.checks.groups import REMIX, Place, grouped, path_of, said
from validator.checks.header import seconds
from validator.checks.levels import amplified, level_findings, remix_findings
from validator.checks.likeness import likeness
from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.checks.examiner import Fact
    from validator.findings.finding import Finding

ONE_CHANNEL = 0.9999
"""Channels of a reference more alike than this are the same: the song has that stem in the middle."""


def overall(facts: Sequence[Fact], challenge: Challenge, *, decoded: bool) -> list[Finding]:
    """Findings about many files at once.

    Args:
        facts: One for each audio file that could be read.
        challenge: What the submission is held against.
        decoded: Whether the facts come from decoded audio.
    """
    findings = _lengths(facts, challenge)
    if not decoded:
        return findings
    stems = [fact for fact in facts if fact.place.stem != REMIX]
    remixes = [fact for fact in facts if fact.place.stem == REMIX]
    findings += [*_silent(stems), *_silent(remixes), *_unscaled(stems), *remix_findings(remixes)]
    findings += _not_personal(facts)
    findings += _silent_references(stems)
    doubled, about_sides = _equal_sides(stems, challenge)
    copied, about_stems = _equal_stems(stems)
    findings += about_sides + about_stems
    told = [
        fact
        for fact in stems
        if fact.match is not None and fact.peak > 0 and fact.place not in doubled and fact.place not in copied
    ]
    strangers, about_likeness = likeness(told)
    findings += about_likeness
    findings += level_findings([fact for fact in told if fact.place not in strangers])
    return findings


def _lengths(facts: Sequence[Fact], challenge: Challenge) -> list[Finding]:
    """Without a data root nobody knows how long a song is, but its files must agree."""
    findings = []
    unknown = {song.name for song in challenge.songs if song.expected_stem_frames is None}
    by_song: dict[str, list[tuple[float, Fact]]] = defaultdict(list)
    for fact in facts:
        if fact.place.song in unknown:
            rate = CAD1.remix_rate if fact.place.stem == REMIX else CAD1.stem_rate
            by_song[fact.place.song].append((fact.frames / rate, fact))
    slack = CAD1.tail / 44100 + 2 * CAD1.length_tolerance / CAD1.stem_rate
    for song in by_song.values():
        usual = median(length for length, _ in song)
        for length, fact in song:
            if abs(length - usual) > slack:
                rate = CAD1.remix_rate if fact.place.stem == REMIX else CAD1.stem_rate
                findings.append(
                    rule("length-inconsistent").at(
                        path_of(fact.place),
                        "The file is not as long as the other files of the song.",
                        expected=f"about {usual:.2f} s",
                        found=seconds(fact.frames, rate),
                    )
                )
    return findings


def _silent(facts: Sequence[Fact]) -> list[Finding]:
    universe = [fact.place for fact in facts]
    silent = [
        fact.place
        for fact in facts
        if fact.peak == 0 and not (fact.match is not None and fact.match.reference_silent)
    ]
    return said("silent", grouped(silent, universe), "{what}, holds digital silence")


def _unscaled(stems: Sequence[Fact]) -> list[Finding]:
    """Stems that look normalised to their peak, and whose factor is lost."""
    return said(
        "scale-missing",
        grouped([fact.place for fact in stems if fact.unscaled], [fact.place for fact in stems]),
        "{what}, reaches full scale and has no scale file: it is scored with the factor 1, which costs a perfect "
        "stem up to half of its score",
        expected="the peak that the stem was divided by, in a .txt of the same name",
        found="nothing",
    )


def _equal_sides(stems: Sequence[Fact], challenge: Challenge) -> tuple[set[Place], list[Finding]]:
    """Ears that were given the same bits, although their references or their audiograms differ."""
    one_loss = {one.id for one in challenge.listeners if one.left == one.right}
    by_place = {fact.place: fact for fact in stems}
    pairs: dict[Place, bool] = {}
    for place, fact in by_place.items():
        other = by_place.get(place._replace(side="right"))
        if place.side != "left" or other is None:
            continue
        one_reference = fact.match is not None and fact.match.sides_alike > ONE_CHANNEL
        told_apart = place.listener not in one_loss and (amplified(fact) or amplified(other))
        alike = one_reference and not told_apart
        pairs[place._replace(side="")] = fact.peak > 0 and fact.digest == other.digest and not alike
    equal = [place for place, is_equal in pairs.items() if is_equal]
    findings = said(
        "sides-equal", grouped(equal, list(pairs)), "{what}, is bit for bit the same on both sides"
    )
    return {place._replace(side=side) for place in equal for side in CAD1.sides}, findings


def _equal_stems(stems: Sequence[Fact]) -> tuple[set[Place], list[Finding]]:
    """Stems of one ear that are one and the same signal; returns those of which all four are."""
    by_ear: dict[Place, list[Fact]] = defaultdict(list)
    for fact in stems:
        by_ear[fact.place._replace(stem="")].append(fact)
    same: dict[str, list[Place]] = defaultdict(list)
    for ear, facts in by_ear.items():
        often: dict[bytes, list[str]] = defaultdict(list)
        for fact in facts:
            if fact.peak > 0:
                often[fact.digest].append(fact.place.stem)
        for names in often.values():
            if len(names) > 1:
                same[", ".join(names[:-1]) + " and " + names[-1]].append(ear)
    findings: list[Finding] = []
    copied: set[Place] = set()
    for alike, ears in same.items():
        all_four = alike.count(",") == len(CAD1.stems) - 2
        if all_four:
            copied |= {ear._replace(stem=stem) for ear in ears for stem in CAD1.stems}
        for group in grouped(ears, list(by_ear)):
            side = f"{group.side} " if group.side else ""
            findings.append(
                rule("stems-identical").at(
                    group.path,
                    f"The {side}{alike} of {group.where} are one and the same signal.",
                    expected="four different stems",
                    found="the mixture in place of the stems?" if all_four else "copies of one file",
                )
            )
    return copied, findings


def _not_personal(facts: Sequence[Fact]) -> list[Finding]:
    """Every listener got the same bits."""
    by_item: dict[tuple[str, str, str], set[bytes]] = defaultdict(set)
    ears: dict[tuple[str, str, str], int] = Counter()
    for fact in facts:
        if fact.peak > 0:
            item = (fact.place.song, fact.place.side, fact.place.stem)
            by_item[item].add(fact.digest)
            ears[item] += 1
    several = [item for item, count in ears.items() if count > 1]
    if not several or any(len(by_item[item]) > 1 for item in several):
        return []
    return [
        rule("not-personal").at(
            "",
            f"All {len({fact.place.listener for fact in facts})} listeners were given the same audio, bit for bit.",
            expected="audio made for each listener's audiogram",
            found="one version for all",
        )
    ]


def _silent_references(stems: Sequence[Fact]) -> list[Finding]:
    seen: dict[Place, None] = {}
    for fact in stems:
        if fact.match is not None and fact.match.reference_silent:
            seen[fact.place._replace(listener="")] = None
    return [
        rule("reference-silent").at(
            f"*/{place.song}/*_{place.side}_{place.stem}.flac",
            f"The {place.side} {place.stem} of '{place.song}' is silent in the challenge's own data: "
            "its value is undefined and left out of the averages.",
        )
        for place in seen
    ]
