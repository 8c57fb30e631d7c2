"""Drift: which values of which examples differ from the stored scores, and by how much.

Pure functions of scores; `harness.baselines.regression` enhances and scores.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from validator.challenge.rules import CAD1

Values = Mapping[str, float | None]  # the HAAQI values of an example by name, such as left_bass
Scores = Mapping[tuple[str, str], Values]  # by (song, listener)

SAME_BITS = 1e-9
"""Tolerance if songs, scorer lock and CPU target are those of the stored scores."""

OTHER_CPU = 1e-6
"""Tolerance otherwise, and for a network on any machine.

Library versions move the scores by up to 2e-8. A network similar to the trained baseline (twice the steps, other
songs) moved by up to 5e-8 between PyTorch's kernels for AVX-512, AVX2 and SSE, and with a second thread.
"""


@dataclass(frozen=True)
class Drift:
    """One value, before and now; None if it is undefined (silent reference)."""

    song: str
    listener: str
    column: str
    expected: float | None
    found: float | None

    @property
    def by(self) -> float:
        """The change; infinite if only one of the two is defined or either is not a number."""
        if self.expected is None or self.found is None:
            return math.inf
        change = self.found - self.expected
        return math.inf if math.isnan(change) else change

    def __str__(self) -> str:
        """One line: the example, the column, both values, and the change."""
        before, now = ("undefined" if value is None else repr(value) for value in (self.expected, self.found))
        by = f" ({self.by:+.3e})" if math.isfinite(self.by) else ""
        return f"{self.song}, {self.listener}, {self.column}: {before} became {now}{by}"


@dataclass(frozen=True)
class Comparison:
    """The differences between two sets of scores.

    Attributes:
        compared: Number of compared values.
        tolerance: Largest change that is ignored.
        largest: Largest change of all, ignored or not.
        drifts: Values that changed by more than the tolerance, the largest change first.
        missing: Examples with stored scores and without new ones.
        unexpected: Examples with new scores and without stored ones.
    """

    compared: int
    tolerance: float
    largest: float
    drifts: tuple[Drift, ...]
    missing: tuple[tuple[str, str], ...]
    unexpected: tuple[tuple[str, str], ...]

    @property
    def steady(self) -> bool:
        """Whether everything was compared and nothing changed."""
        return self.compared > 0 and not (self.drifts or self.missing or self.unexpected)

    def lines(self, *, most: int = 20) -> list[str]:
        """The comparison as text: a verdict, then the changed values, at most `most` of them."""
        if self.steady:
            return [
                f"All {self.compared} values are unchanged within {self.tolerance:g}; "
                f"the largest change is {self.largest:.1e}."
            ]
        found = [f"{len(self.drifts)} of {self.compared} values changed by more than {self.tolerance:g}."]
        if self.drifts:
            counts = Counter(drift.column for drift in self.drifts)
            found.append("Stems: " + ", ".join(f"{column} {count}" for column, count in counts.most_common()))
        found += [str(drift) for drift in self.drifts[:most]]
        if len(self.drifts) > most:
            found.append(f"… and {len(self.drifts) - most} more.")
        found += [f"{song}, {listener}: not scored" for song, listener in self.missing[:most]]
        found += [f"{song}, {listener}: has no stored score" for song, listener in self.unexpected[:most]]
        return found


def compare(expected: Scores, found: Scores, *, tolerance: float = SAME_BITS) -> Comparison:
    """Compares new scores with stored ones, value by value.

    Args:
        expected: The stored scores.
        found: The new ones.
        tolerance: Largest change that is ignored, at least 0; an undefined value must stay undefined.

    Raises:
        ValueError: An example does not have the values of `CAD1.columns`, or the tolerance is negative or NaN.
    """
    if not tolerance >= 0:
        raise ValueError(f"the tolerance must be at least 0, found {tolerance}")
    for scores in (expected, found):
        for example, values in scores.items():
            if set(values) != set(CAD1.columns):
                raise ValueError(
                    f"{example} has the values {', '.join(values)}; expected {', '.join(CAD1.columns)}"
                )
    shared = [example for example in expected if example in found]
    pairs = [
        Drift(*example, column, expected[example][column], found[example][column])
        for example in shared
        for column in CAD1.columns
        if not (expected[example][column] is None and found[example][column] is None)
    ]
    changed = [pair for pair in pairs if not abs(pair.by) <= tolerance]
    return Comparison(
        compared=len(shared) * len(CAD1.columns),
        tolerance=tolerance,
        largest=max((abs(pair.by) for pair in pairs), default=0.0),
        drifts=tuple(sorted(changed, key=lambda drift: -abs(drift.by))),
        missing=tuple(example for example in expected if example not in found),
        unexpected=tuple(example for example in found if example not in expected),
    )


def song_means(scores: Scores) -> dict[str, float]:
    """The mean of each song: over its listeners, of each example's mean of its defined values.

    Examples without any defined value are left out.
    """
    by_song: dict[str, list[float]] = {}
    for (song, _), values in scores.items():
        defined = [value for value in values.values() if value is not None]
        if defined:
            by_song.setdefault(song, []).append(math.fsum(defined) / len(defined))
    return {song: math.fsum(means) / len(means) for song, means in by_song.items()}
