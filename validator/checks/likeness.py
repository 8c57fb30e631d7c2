"""Which stem a file really holds: stems under each other's names, and swapped channels."""

from __future__ import annotations

import itertools
from collections import defaultdict
from math import fsum
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1
from validator.checks.groups import Place, grouped, path_of, said
from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.checks.examiner import Fact
    from validator.findings.finding import Finding

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


def likeness(stems: Sequence[Fact]) -> tuple[set[Place], list[Finding]]:
    """Stems under each other's names, and swapped channels: the places affected, and the findings."""
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
                path_of(place),
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
    names = [name for name in CAD1.stems if rows[name]]
    mean = {
        name: dict(
            zip(CAD1.stems, (fsum(one) / len(one) for one in zip(*rows[name], strict=True)), strict=True)
        )
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
    return set(swapped), said("sides-swapped", groups, "{what}, is like the other channel's reference")
