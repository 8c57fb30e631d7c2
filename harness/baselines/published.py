"""The published scores of the challenge's two baselines on the validation set, and the comparison with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.baselines.drift import Scores, song_means

ROUNDING = 0.5e-4
"""The largest difference that rounding to the published four decimals can hide."""

EXPECTED = 1e-3
"""The largest difference of a mean that another PyTorch, processor or GPU may cause; the published figures
themselves disagree by as much.

The same single-precision weights with other kernels of one CPU move no single value by more than 5e-7 (measured on
the demo's songs); a GPU's TensorFloat-32 is about four decimal digits coarser, and a mean is over 400 values or
more. The two baselines are 0.03 apart.
"""


@dataclass(frozen=True)
class Published:
    """A baseline's published scores on the validation set, rounded to four decimals.

    Attributes:
        average: The average over all examples.
        songs: The mean of each song.
        caveat: Why a small difference is expected.
    """

    average: float
    songs: Mapping[str, float]
    caveat: str


_SONG_MEANS = {  # Demucs, Open-Unmix
    "Actions - One Minute Smile": (0.2485, 0.2257),
    "Alexander Ross - Goodbye Bolero": (0.3084, 0.2574),
    "ANiMAL - Rockshow": (0.1843, 0.1864),
    "Clara Berry And Wooldog - Waltz For My Victims": (0.3094, 0.2615),
    "Fergessen - Nos Palpitants": (0.3542, 0.2592),
    "James May - On The Line": (0.2778, 0.2398),
    "Johnny Lokke - Promises & Lies": (0.2544, 0.2261),
    "Leaf - Summerghost": (0.2513, 0.2105),
    "Meaxic - Take A Step": (0.2455, 0.2239),
    "Patrick Talbot - A Reason To Leave": (0.2673, 0.2331),
    "Skelpolu - Human Mistakes": (0.2123, 0.1951),
    "Traffic Experiment - Sirens": (0.2558, 0.2339),
    "Triviul - Angelsaint": (0.2101, 0.1955),
    "Young Griffo - Pennies": (0.2499, 0.2297),
}
_OTHER_SOFTWARE = (
    "the published score was computed in 2023 with the PyTorch, and perhaps the GPU, of that time"
)

PUBLISHED: Mapping[str, Published] = {
    "demucs": Published(0.2592, {song: means[0] for song, means in _SONG_MEANS.items()}, _OTHER_SOFTWARE),
    "openunmix": Published(
        0.2273,
        {song: means[1] for song, means in _SONG_MEANS.items()},
        f"{_OTHER_SOFTWARE}, and the published means of the songs average 0.2270, not 0.2273",
    ),
}
"""The published scores of the challenge's baselines, split valid."""


@dataclass(frozen=True)
class PublishedDifference:
    """A score compared with the published one.

    Attributes:
        song: The song; empty for the average over all songs.
        published: The published score, rounded to four decimals.
        found: The score found here.
        caveat: Why a small difference is expected.
    """

    song: str
    published: float
    found: float
    caveat: str

    @property
    def by(self) -> float:
        """The found score minus the published one."""
        return self.found - self.published

    @property
    def reached(self) -> bool:
        """Whether the difference is no more than rounding."""
        return abs(self.by) <= ROUNDING + 1e-12

    @property
    def expected(self) -> bool:
        """Whether the caveat explains the difference."""
        return abs(self.by) <= EXPECTED + 1e-12

    def __str__(self) -> str:
        """One line: the song, both scores, and the verdict."""
        if self.reached:
            verdict = "as published"
        elif self.expected:
            verdict = f"{self.by:+.4f}, as expected: {self.caveat}"
        else:
            verdict = f"{self.by:+.4f}, more than the expected {EXPECTED:g}"
        return f"{self.song or 'average'}: {self.found:.4f}, published {self.published:.4f} ({verdict})"


def compare_published(baseline: str, scores: Scores) -> list[PublishedDifference]:
    """Compares a baseline's scores on the validation set with the published ones.

    Args:
        baseline: "demucs" or "openunmix".
        scores: Of some or all songs of the split, each with all its listeners.

    Returns:
        The average first, if all songs are included; then each included song.

    Raises:
        KeyError: The baseline has no published scores.
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
