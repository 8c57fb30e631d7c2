"""What only shows when all files of a submission are seen together."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from math import fsum
from statistics import median
from typing import TYPE_CHECKING

from validator.challenge import REMIX_RATE, SIDES, STEM_RATE, STEMS, Challenge
from validator.checks import seconds
from validator.codes import rule
from validator.manifest import LENGTH_TOLERANCE, TAIL_AT_REFERENCE_RATE
from validator.places import REMIX, Group, Place, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from validator.examine import Fact
    from validator.finding import Finding

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

ONE_CHANNEL = 0.9999
"""Channels of a reference more alike than this are the same: the song has that stem in the middle."""

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
    findings += [*_silent(stems), *_silent(remixes), *_remixes(remixes)]
    findings += _not_personal(facts)
    findings += _silent_references(stems)
    doubled, about_sides = _equal_sides(stems)
    copied, about_stems = _equal_stems(stems)
    findings += about_sides + about_stems
    told = [
        fact
        for fact in stems
        if fact.match is not None and fact.peak > 0 and fact.place not in doubled and fact.place not in copied
    ]
    strangers, about_likeness = _likeness(told)
    findings += about_likeness
    findings += _levels([fact for fact in told if fact.place not in strangers])
    return findings


def _said(code: str, groups: Iterable[Group], sentence: str, **details: str) -> list[Finding]:
    """One finding a group; `{what}` in the sentence is the group in words."""
    found = []
    for group in groups:
        count = f" ({group.count} files)" if group.count > 1 else ""
        message = sentence.format(what=group.words("every stem"))
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


def _equal_sides(stems: Sequence[Fact]) -> tuple[set[Place], list[Finding]]:
    """Ears that were given the same bits, although their references differ."""
    by_place = {fact.place: fact for fact in stems}
    pairs: dict[Place, bool] = {}
    for place, fact in by_place.items():
        other = by_place.get(place._replace(side="right"))
        if place.side != "left" or other is None:
            continue
        alike = fact.match is not None and fact.match.sides_alike > ONE_CHANNEL
        pairs[place._replace(side="")] = fact.peak > 0 and fact.digest == other.digest and not alike
    equal = [place for place, is_equal in pairs.items() if is_equal]
    findings = _said(
        "sides-equal", grouped(equal, list(pairs)), "{what} is bit for bit the same on both sides"
    )
    return {place._replace(side=side) for place in equal for side in SIDES}, findings


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
        all_four = alike.count(",") == len(STEMS) - 2
        if all_four:
            copied |= {ear._replace(stem=stem) for ear in ears for stem in STEMS}
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


def _remixes(remixes: Sequence[Fact]) -> list[Finding]:
    findings = []
    for fact in remixes:
        path = _path(fact.place)
        if fact.sides_equal and fact.peak > 0:
            findings.append(
                rule("sides-equal").at(path, "Left and right of the remix are bit for bit the same.")
            )
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
        count = sum(fact.place.stem in permutation for fact in heard)
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
    swapped, about_sides = _swapped_sides(
        [fact for fact in heard if fact.place not in unlike and fact.place.stem not in permutation]
    )
    permuted = {fact.place for fact in stems if fact.place.stem in permutation}
    return set(unlike) | swapped | permuted, findings + about_sides


def _permutation(heard: Sequence[Fact], unlike: dict[Place, Fact]) -> dict[str, str]:
    """For each stem's name the stem that it holds throughout, where that is another; else empty.

    Of all orders of the four, the one under which the names correlate best over the whole submission.
    """
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for fact in heard:
        if fact.match is not None:
            rows[fact.place.stem].append(fact.match.likeness)
    names = [name for name in STEMS if rows[name]]
    mean = {
        name: dict(zip(STEMS, (fsum(one) / len(one) for one in zip(*rows[name], strict=True)), strict=True))
        for name in names
    }
    order = max(
        itertools.permutations(names), key=lambda order: fsum(map(lambda n, o: mean[n][o], names, order))
    )
    moved = {name: held for name, held in zip(names, order, strict=True) if name != held}
    count = sum(fact.place.stem in moved for fact in heard)
    clear = sum(moved.get(place.stem) == fact.match.best_stem for place, fact in unlike.items() if fact.match)
    if any(mean[name][held] < mean[name][name] + MARGIN / 2 for name, held in moved.items()):
        return {}
    return moved if moved and clear >= count / 2 else {}


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
