"""Does each file contain the stem and the side in its name?"""

from __future__ import annotations

import itertools
from collections import defaultdict
from math import fsum
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1
from validator.checks.groups import FileKey, group_findings, grouped, path_of
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from validator.checks.matching import Match
    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding

ALIKE = 0.6
"""Least correlation at which a stem counts as similar to a reference."""

MARGIN = 0.25
"""By how much that correlation must exceed the correlation with its own reference."""

GAIN_RATIO = 2.0
"""By what factor it must contain more of the other reference than of its own; less is leakage into a quiet stem."""

QUIET_REFERENCE_DB = -30.0
"""Level of a reference relative to the song's loudest stem, below which ordinary leakage hides it, so that neither
the label nor the level of its stem is checked."""

SYSTEMATIC = 0.8
"""Share of the stems that must agree for one finding about all of them."""

SIDES_APART = 0.95
"""Correlation of a reference's channels above which they cannot be distinguished."""


def check_labels(stems: Sequence[AudioSummary]) -> tuple[set[FileKey], list[Finding]]:
    """Stems saved under each other's names, and swapped sides.

    Returns:
        The stems concerned, and the findings.
    """
    matches = {
        stem.key: stem.match
        for stem in stems
        if stem.match is not None
        and not stem.match.reference_silent
        and stem.match.own_power > QUIET_REFERENCE_DB
    }
    mislabelled = {
        key: match
        for key, match in matches.items()
        if match.best_stem != key.stem
        and match.best >= ALIKE
        and match.best - match.own >= MARGIN
        and match.best_gain >= GAIN_RATIO * match.own_gain
    }
    findings: list[Finding] = []
    permutation = _permutation(matches, mislabelled)
    if permutation:
        pairs = ", ".join(f"{name} contains {actual}" for name, actual in permutation.items())
        count = sum(key.stem in permutation for key in matches)
        findings.append(
            new_finding(
                "stems-permuted",
                "",
                f"The stems are saved under each other's names throughout: {pairs} ({count} files).",
                expected="each stem under its own name",
                found="; ".join(f"*_{name}.flac is {actual}" for name, actual in permutation.items()),
            )
        )
    for key, match in mislabelled.items():
        if permutation.get(key.stem) == match.best_stem:
            continue
        findings.append(
            new_finding(
                "stem-mislabelled",
                path_of(key),
                f"{key.side}_{key.stem} looks like {match.best_stem}: its correlation is {match.best:.2f} with the "
                f"reference {match.best_stem}, and {match.own:.2f} with its own.",
                expected=key.stem,
                found=match.best_stem,
            )
        )
    swapped, about_sides = _swapped_sides(
        {
            key: match
            for key, match in matches.items()
            if key not in mislabelled and key.stem not in permutation
        }
    )
    permuted = {stem.key for stem in stems if stem.key.stem in permutation}
    return set(mislabelled) | swapped | permuted, findings + about_sides


def _permutation(matches: Mapping[FileKey, Match], mislabelled: Mapping[FileKey, Match]) -> dict[str, str]:
    """The stem that each name contains throughout, for names with another stem; empty if there are none.

    Of all orders of the stems it is the one with the highest mean correlation over the whole submission.
    """
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for key, match in matches.items():
        rows[key.stem].append(match.likeness)
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
    moved = {name: actual for name, actual in zip(names, order, strict=True) if name != actual}
    count = sum(key.stem in moved for key in matches)
    clear = sum(moved.get(key.stem) == match.best_stem for key, match in mislabelled.items())
    if any(mean[name][actual] < mean[name][name] + MARGIN / 2 for name, actual in moved.items()):
        return {}
    return moved if moved and clear >= count / 2 else {}


def _swapped_sides(matches: Mapping[FileKey, Match]) -> tuple[set[FileKey], list[Finding]]:
    universe = list(matches)
    decidable = {key: match for key, match in matches.items() if match.sides_alike < SIDES_APART}
    swapped = [
        key
        for key, match in decidable.items()
        if match.other_side >= ALIKE and match.other_side - match.own >= MARGIN * (1 - match.sides_alike)
    ]
    if swapped and len(swapped) >= SYSTEMATIC * len(decidable):
        finding = new_finding(
            "sides-swapped",
            "",
            f"Left and right are swapped throughout: {len(swapped)} of {len(decidable)} stems whose channels "
            "differ match the other channel's reference.",
            expected="the left channel in *_left_*.flac",
            found="the right channel",
        )
        return set(universe), [finding]
    findings = group_findings(
        "sides-swapped",
        grouped(swapped, universe),
        one="matches the other channel's reference",
        many="match the other channel's reference",
    )
    return set(swapped), findings
