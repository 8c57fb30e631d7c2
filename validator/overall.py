"""What only shows when all files of a submission are seen together."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from statistics import median
from typing import TYPE_CHECKING

from validator.challenge import REMIX_RATE, STEM_RATE, STEMS, Challenge
from validator.checks import seconds
from validator.codes import rule
from validator.manifest import LENGTH_TOLERANCE, TAIL_AT_REFERENCE_RATE
from validator.places import REMIX, Group, Place, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from validator.examine import Fact
    from validator.report import Finding

SPL_AT_FULL_SCALE = 100.0
"""dB SPL of 0 dB re full scale, as the challenge calibrates its headphones."""

LOUD_SPL, QUIET_SPL = 95.0, 40.0
"""RMS levels in dB SPL between which a remix is left alone: music is listened to at 60 to 90."""

ALIKE = 0.6
"""Least correlation at which a stem is said to look like a reference."""

MARGIN = 0.25
"""By how much that must exceed the correlation with its own reference."""

OUTWEIGHS = 2.0
"""Its share of the other reference over that of its own: a leak into a quiet stem is no other stem."""

QUIET_REFERENCE_DB = -30.0
"""A reference so far below the song's loudest stem is drowned by ordinary leakage: nothing is said of it."""

SYSTEMATIC = 0.8
"""Share of the stems that must agree before one sentence is said of all."""

SIDES_APART = 0.95
"""Channels of a reference more alike than this cannot be told from each other."""

OFFSET_DB = 6.0
"""Level difference worth a warning: half or twice the amplitude."""

SPREAD_DB = 3.0
"""Least spread of the prescribed gain at which flat and amplified can be told apart."""


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
    findings += _silent(facts)
    findings += _equal_sides(facts, challenge)
    same, findings_same = _equal_stems(stems)
    findings += findings_same
    findings += _remixes(remixes)
    findings += _not_personal(facts, challenge)
    told = [fact for fact in stems if fact.match is not None and fact.place not in same]
    findings += _silent_references(stems)
    strangers, findings_likeness = _likeness(told)
    findings += findings_likeness
    findings += _levels([fact for fact in told if fact.place not in strangers])
    return findings


def _said(code: str, groups: Iterable[Group], sentence: str, **details: str) -> list[Finding]:
    """One finding a group; `{what}` in the sentence is the group in words."""
    found = []
    for group in groups:
        count = f" ({group.count} files)" if group.count > 1 else ""
        message = sentence.format(what=group.words)
        found.append(rule(code).at(group.path, message[0].upper() + message[1:] + count + ".", **details))
    return found


def _lengths(facts: Sequence[Fact], challenge: Challenge) -> list[Finding]:
    """Without a data root nobody knows how long a song is, but its files must agree."""
    findings = []
    unknown = {song.name for song in challenge.songs if song.expected_stem_frames is None}
    by_song: dict[str, list[tuple[float, Fact]]] = defaultdict(list)
    for fact in facts:
        if fact.place.song in unknown:
            rate = REMIX_RATE if fact.place.stem == REMIX else STEM_RATE
            by_song[fact.place.song].append((fact.frames / rate, fact))
    slack = TAIL_AT_REFERENCE_RATE / 44100 + 2 * LENGTH_TOLERANCE / STEM_RATE
    for song in by_song.values():
        usual = median(length for length, _ in song)
        for length, fact in song:
            if abs(length - usual) > slack:
                rate = REMIX_RATE if fact.place.stem == REMIX else STEM_RATE
                findings.append(
                    rule("length-inconsistent").at(
                        _path(fact.place),
                        "The file is not as long as the other files of the song.",
                        expected=f"about {usual:.2f} s",
                        found=seconds(fact.frames, rate),
                    )
                )
    return findings


def _path(place: Place) -> str:
    return Group(*place, count=1).path


def _silent(facts: Sequence[Fact]) -> list[Finding]:
    universe = [fact.place for fact in facts]
    silent = [
        fact.place
        for fact in facts
        if fact.peak == 0 and not (fact.match is not None and fact.match.reference_silent)
    ]
    return _said("silent", grouped(silent, universe), "{what}, holds digital silence")


def _equal_sides(facts: Sequence[Fact], challenge: Challenge) -> list[Finding]:
    by_place = {fact.place: fact for fact in facts}
    universe = [fact.place for fact in facts if fact.place.side != "right"]
    equal = []
    for place in universe:
        fact = by_place[place]
        if fact.peak <= 0:
            continue
        if place.stem == REMIX:
            doubled = fact.sides_equal
        else:
            other = by_place.get(place._replace(side="right"))
            doubled = other is not None and other.digest == fact.digest
            if fact.match is not None and fact.match.sides_alike > 0.9999:
                ear = challenge.listener(place.listener)
                doubled = doubled and ear.left != ear.right
        if doubled:
            equal.append(place)
    groups = grouped(
        [place._replace(side="") for place in equal], [place._replace(side="") for place in universe]
    )
    return _said("sides-equal", groups, "{what}: left and right are equal bit for bit")


def _equal_stems(stems: Sequence[Fact]) -> tuple[set[Place], list[Finding]]:
    """Stems of one ear that are one and the same signal."""
    by_ear: dict[tuple[str, str, str], list[Fact]] = defaultdict(list)
    for fact in stems:
        if fact.peak > 0:
            by_ear[fact.place.listener, fact.place.song, fact.place.side].append(fact)
    same: dict[Place, str] = {}
    for ear in by_ear.values():
        often = Counter(fact.digest for fact in ear)
        for fact in ear:
            if often[fact.digest] > 1:
                alike = [one.place.stem for one in ear if one.digest == fact.digest]
                same[fact.place] = ", ".join(alike[:-1]) + " and " + alike[-1]
    findings = []
    universe = [fact.place for fact in stems]
    for names in sorted(set(same.values())):
        places = [place._replace(stem="") for place, found in same.items() if found == names]
        whole = list(dict.fromkeys(place._replace(stem="") for place in universe))
        for group in grouped(list(dict.fromkeys(places)), whole):
            findings.append(
                rule("stems-identical").at(
                    group.path,
                    f"{names} of {_whose(group)} are one and the same signal.",
                    expected="four different stems",
                    found="the mixture in place of the stems?" if names.count(",") == 2 else "a copy",
                )
            )
    return set(same), findings


def _whose(group: Group) -> str:
    words = Group(group.listener, group.song, group.side, "", group.count).words
    return words.removeprefix("everything of ")


def _remixes(remixes: Sequence[Fact]) -> list[Finding]:
    findings = []
    for fact in remixes:
        path = _path(fact.place)
        if fact.clipped:
            findings.append(
                rule("remix-clipped").at(
                    path,
                    f"The remix is clipped in {fact.clipped} place(s).",
                    expected="no runs at full scale",
                    found=f"{fact.clipped} run(s)",
                )
            )
        spl = SPL_AT_FULL_SCALE + fact.level
        if fact.peak > 0 and not QUIET_SPL <= spl <= LOUD_SPL:
            findings.append(
                rule("remix-level").at(
                    path,
                    f"The remix would be played at {spl:.0f} dB SPL.",
                    expected=f"{QUIET_SPL:.0f} to {LOUD_SPL:.0f} dB SPL",
                    found=f"{spl:.1f} dB SPL ({fact.level:.1f} dB re full scale)",
                )
            )
    return findings


def _not_personal(facts: Sequence[Fact], challenge: Challenge) -> list[Finding]:
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
            f"All {len(challenge.listeners)} listeners were given the same audio, bit for bit.",
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


def _likeness(stems: Sequence[Fact]) -> tuple[set[Place], list[Finding]]:
    """Stems under each other's names, and swapped channels."""
    heard = [
        fact
        for fact in stems
        if fact.match is not None
        and not fact.match.reference_silent
        and fact.match.own_power > QUIET_REFERENCE_DB
    ]
    unlike = {
        fact.place: fact
        for fact in heard
        if fact.match is not None
        and fact.match.best_stem != fact.place.stem
        and fact.match.best >= ALIKE
        and fact.match.best - fact.match.own >= MARGIN
        and fact.match.best_gain >= OUTWEIGHS * fact.match.own_gain
    }
    findings: list[Finding] = []
    permutation = _permutation(heard, unlike)
    if permutation:
        words = ", ".join(f"{named} holds {held}" for named, held in permutation.items())
        count = sum(fact.place.stem in permutation for fact in unlike.values())
        findings.append(
            rule("stems-permuted").at(
                "",
                f"The stems lie under each other's names throughout: {words} ({count} files).",
                expected="each stem under its own name",
                found="; ".join(f"*_{named}.flac is {held}" for named, held in permutation.items()),
            )
        )
    for fact in unlike.values():
        match, place = fact.match, fact.place
        if match is None or permutation.get(place.stem) == match.best_stem:
            continue
        findings.append(
            rule("stem-mislabelled").at(
                _path(place),
                f"{place.side}_{place.stem} looks like {match.best_stem}: it correlates "
                f"{match.best:.2f} with the reference {match.best_stem} and {match.own:.2f} with its own.",
                expected=place.stem,
                found=match.best_stem,
            )
        )
    swapped, about_sides = _swapped_sides([fact for fact in heard if fact.place not in unlike])
    return set(unlike) | swapped, findings + about_sides


def _permutation(heard: Sequence[Fact], unlike: dict[Place, Fact]) -> dict[str, str]:
    """For each stem's name the stem that it holds throughout, where that is another; else empty."""
    of_name = Counter(fact.place.stem for fact in heard)
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for fact in unlike.values():
        if fact.match is not None:
            held[fact.place.stem][fact.match.best_stem] += 1
    moved = {}
    for name in STEMS:
        if held[name]:
            best, count = held[name].most_common(1)[0]
            if count >= SYSTEMATIC * of_name[name]:
                moved[name] = best
    # what lies under another's name must have its own name taken: only then is it a permutation
    return moved if len(moved) > 1 and set(moved) == set(moved.values()) else {}


def _swapped_sides(stems: Sequence[Fact]) -> tuple[set[Place], list[Finding]]:
    universe = [fact.place for fact in stems]
    swapped = [
        fact.place
        for fact in stems
        if fact.match is not None
        and fact.match.sides_alike < SIDES_APART
        and fact.match.other_side >= ALIKE
        and fact.match.other_side - fact.match.own >= MARGIN * (1 - fact.match.sides_alike)
    ]
    decidable = [fact for fact in stems if fact.match is not None and fact.match.sides_alike < SIDES_APART]
    if swapped and len(swapped) >= SYSTEMATIC * len(decidable):
        finding = rule("sides-swapped").at(
            "",
            f"Left and right are swapped throughout: {len(swapped)} of {len(decidable)} stems that can be "
            "told apart are like the other channel's reference.",
            expected="the left channel in *_left_*.flac",
            found="the right channel",
        )
        return set(universe), [finding]
    groups = grouped(swapped, universe)
    return set(swapped), _said("sides-swapped", groups, "{what}, is like the other channel's reference")


def _levels(stems: Sequence[Fact]) -> list[Finding]:
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
    findings += _said(
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
            values = [value for place, value in places.items() if _within(place, group)]
            findings += _said(
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


def _within(place: Place, group: Group) -> bool:
    return all(
        not wanted or wanted == has
        for wanted, has in zip((group.listener, group.song, group.side, group.stem), place, strict=True)
    )
