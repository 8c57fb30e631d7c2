"""Whether the baselines still score what they scored: which stem of which example moved, and by how much.

Pure functions over scores; enhancing and scoring are done elsewhere.
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
"""Tolerance where songs, scorer lock and CPU target are those that made the stored scores."""

OTHER_CPU = 1e-6
"""Tolerance elsewhere, and for a network wherever it is computed.

Over library versions the scores have moved by up to 2e-8. A network much like the trained baseline (twice the
steps, other songs) moved by up to 5e-8 between PyTorch's kernels for AVX-512, AVX2, SSE and with a second thread.
"""


@dataclass(frozen=True)
class Drift:
    """One value that is not what it was; None where a value is undefined (silent reference)."""

    song: str
    listener: str
    column: str
    expected: float | None
    found: float | None

    @property
    def by(self) -> float:
        """How far it moved; infinite where only one of the two is defined or either is not a number."""
        if self.expected is None or self.found is None:
            return math.inf
        moved = self.found - self.expected
        return math.inf if math.isnan(moved) else moved

    def __str__(self) -> str:
        """One line: where, from what to what, by how much."""
        before, now = ("undefined" if value is None else repr(value) for value in (self.expected, self.found))
        by = f" ({self.by:+.3e})" if math.isfinite(self.by) else ""
        return f"{self.song}, {self.listener}, {self.column}: {before} became {now}{by}"


@dataclass(frozen=True)
class Comparison:
    """What two sets of scores differ in.

    Args:
        compared: Values held against each other.
        tolerance: Largest movement that counts as none.
        largest: Largest movement of all, drift or not.
        drifts: Values that moved further, the furthest first.
        missing: Examples that have stored scores and no new ones.
        unexpected: Examples that have new scores and no stored ones.
    """

    compared: int
    tolerance: float
    largest: float
    drifts: tuple[Drift, ...]
    missing: tuple[tuple[str, str], ...]
    unexpected: tuple[tuple[str, str], ...]

    @property
    def steady(self) -> bool:
        """Whether everything was compared and nothing moved."""
        return self.compared > 0 and not (self.drifts or self.missing or self.unexpected)

    def lines(self, *, most: int = 20) -> list[str]:
        """The comparison for a reader: a verdict, then what moved, at most `most` values of it."""
        if self.steady:
            return [
                f"All {self.compared} values are what they were, within {self.tolerance:g}; "
                f"the largest movement is {self.largest:.1e}."
            ]
        found = [f"{len(self.drifts)} of {self.compared} values moved by more than {self.tolerance:g}."]
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
    """Holds new scores against stored ones, value by value.

    Args:
        expected: The stored scores.
        found: The new ones.
        tolerance: Largest movement that counts as none, at least 0; an undefined value must stay undefined.

    Raises:
        ValueError: An example does not have the values of `CAD1.columns`, or the tolerance is negative or NaN.
    """
    if not tolerance >= 0:
        raise ValueError(f"a tolerance of {tolerance} makes no sense")
    for scores in (expected, found):
        for example, values in scores.items():
            if set(values) != set(CAD1.columns):
                raise ValueError(
                    f"{example} has the values {', '.join(values)}, not {', '.join(CAD1.columns)}"
                )
    shared = [example for example in expected if example in found]
    pairs = [
        Drift(*example, column, expected[example][column], found[example][column])
        for example in shared
        for column in CAD1.columns
        if not (expected[example][column] is None and found[example][column] is None)
    ]
    moved = [pair for pair in pairs if not abs(pair.by) <= tolerance]
    return Comparison(
        compared=len(shared) * len(CAD1.columns),
        tolerance=tolerance,
        largest=max((abs(pair.by) for pair in pairs), default=0.0),
        drifts=tuple(sorted(moved, key=lambda drift: -abs(drift.by))),
        missing=tuple(example for example in expected if example not in found),
        unexpected=tuple(example for example in found if example not in expected),
    )


def song_means(scores: Scores) -> dict[str, float]:
    """Mean over a song's listeners of each example's mean of its defined values.

    Examples without any defined value are left out.
    """
    by_song: dict[str, list[float]] = {}
    for (song, _), values in scores.items():
        defined = [value for value in values.values() if value is not None]
        if defined:
            by_song.setdefault(song, []).append(math.fsum(defined) / len(defined))
    return {song: math.fsum(means) / len(means) for song, means in by_song.items()}


@dataclass(frozen=True)
class Published:
    """A baseline's published scores on the validation set, rounded to four decimals.

    Args:
        average: Over all examples.
        songs: Means of the songs.
        caveat: Why another figure may be found without anything being wrong.
    """

    average: float
    songs: Mapping[str, float]
    caveat: str


_SONGS = (
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "ANiMAL - Rockshow",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)
_DEMUCS = (
    0.2485,
    0.3084,
    0.1843,
    0.3094,
    0.3542,
    0.2778,
    0.2544,
    0.2513,
    0.2455,
    0.2673,
    0.2123,
    0.2558,
    0.2101,
    0.2499,
)
_OPENUNMIX = (
    0.2257,
    0.2574,
    0.1864,
    0.2615,
    0.2592,
    0.2398,
    0.2261,
    0.2105,
    0.2239,
    0.2331,
    0.1951,
    0.2339,
    0.1955,
    0.2297,
)
_OTHER_BITS = "the published one was separated in 2023 with the PyTorch, and perhaps the GPU, of that time"
_OPENUNMIX_CAVEAT = f"{_OTHER_BITS}, and the published means of the songs average 0.2270, not 0.2273"

PUBLISHED: Mapping[str, Published] = {
    "demucs": Published(0.2592, dict(zip(_SONGS, _DEMUCS, strict=True)), _OTHER_BITS),
    "openunmix": Published(0.2273, dict(zip(_SONGS, _OPENUNMIX, strict=True)), _OPENUNMIX_CAVEAT),
}
"""Published scores of the challenge's two baselines, split valid."""

ROUNDING = 0.5e-4
"""What the publication's four decimals can hide."""

EXPECTED = 1e-3
"""What another PyTorch, processor or GPU may move a mean by, and the publication's own figures differ by.

The same single-precision weights on other kernels of one CPU move no single value by more than 5e-7 (measured on
the demo's songs); a GPU's TensorFloat-32 is some four decimal digits coarser, and a mean is over 400 values and
more. The two baselines lie 0.03 apart.
"""


@dataclass(frozen=True)
class PublishedDifference:
    """A figure held against the published one; `song` is empty for the average."""

    song: str
    published: float
    found: float
    caveat: str

    @property
    def by(self) -> float:
        """Found less published."""
        return self.found - self.published

    @property
    def reached(self) -> bool:
        """Whether the difference is no more than rounding."""
        return abs(self.by) <= ROUNDING + 1e-12

    @property
    def expected(self) -> bool:
        """Whether the difference is one that the caveat explains."""
        return abs(self.by) <= EXPECTED + 1e-12

    def __str__(self) -> str:
        """One line for a reader."""
        if self.reached:
            verdict = "as published"
        elif self.expected:
            verdict = f"{self.by:+.4f}, as may be expected: {self.caveat}"
        else:
            verdict = f"{self.by:+.4f}, more than the {EXPECTED:g} that may be expected"
        return f"{self.song or 'average'}: {self.found:.4f}, published {self.published:.4f} ({verdict})"


def compare_published(baseline: str, scores: Scores) -> list[PublishedDifference]:
    """Holds a baseline's scores on the validation set against the published figures.

    Args:
        baseline: "demucs" or "openunmix".
        scores: Of some or all songs of the split, each with all its listeners.

    Returns:
        The average first, where all songs are there; then each song that is.

    Raises:
        KeyError: There are no published figures of that baseline.
    """
    published = PUBLISHED[baseline]
    means = song_means(scores)
    found = [
        PublishedDifference(song, figure, means[song], published.caveat)
        for song, figure in published.songs.items()
        if song in means
    ]
    if len(found) == len(published.songs):
        average = math.fsum(means[song] for song in published.songs) / len(published.songs)
        found.insert(0, PublishedDifference("", published.average, average, published.caveat))
    return found
