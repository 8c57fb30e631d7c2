"""The challenge's rules in one place: stems, sides, rates, file names, columns, splits and the seed rule.

Everything else uses `CAD1`. Standard library only: the host, the evaluator and the tests import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import md5
from typing import Literal, get_args

Split = Literal["valid", "test"]
"""The splits of CAD1 Task 1."""


@dataclass(frozen=True)
class Rules:
    """The rules of a challenge.

    Attributes:
        title: Full name of the challenge.
        splits: Names of its splits.
        segmented: Splits that score a segment of each song; the others score whole songs.
        stems: In the order in which the scorer processes them.
        column_stems: The same stems in the order of scores.csv.
        sides: In the order in which the scorer processes them.
        reference_rate, stem_rate, remix_rate: Sample rates in Hz.
        bits: Bit depth of every audio file.
        stem_channels, remix_channels: Channels of a stem and of a remix.
        stem_path, scale_path, remix_path: Templates of the files of an example, relative POSIX paths.
        level: dB SPL at which the metric plays each reference channel.
        frequencies: Frequencies in Hz of the audiogram that the metric uses.
        length_tolerance: Frames by which a length may differ, since segments are cut by int(t * rate) and
            resamplers round differently.
        tail: Frames at `reference_rate` that the baseline's NAL-R filter adds to a whole song.
    """

    title: str
    splits: tuple[Split, ...]
    segmented: tuple[Split, ...]
    stems: tuple[str, ...]
    column_stems: tuple[str, ...]
    sides: tuple[str, ...]
    reference_rate: int
    stem_rate: int
    remix_rate: int
    bits: int
    stem_channels: int
    remix_channels: int
    stem_path: str
    scale_path: str
    remix_path: str
    level: float
    frequencies: tuple[int, ...]
    length_tolerance: int
    tail: int

    @cached_property
    def scoring_order(self) -> tuple[str, ...]:
        """`left_drums`, `right_drums`, …: the values of an example in the order of the noise stream."""
        return tuple(value_name(side, stem) for stem in self.stems for side in self.sides)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """`left_bass`, `right_bass`, …: the values of an example in the order of scores.csv."""
        return tuple(value_name(side, stem) for stem in self.column_stems for side in self.sides)

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The header of scores.csv."""
        return ("song", "listener", "score", *self.columns)

    @property
    def full_scale(self) -> int:
        """Integer value of a sample of ±1."""
        return int(2 ** (self.bits - 1))

    @property
    def files_per_example(self) -> int:
        """Number of files: stems, their scale files and the remix."""
        return 2 * len(self.columns) + 1

    def folder(self, listener: str, song: str) -> str:
        """The folder of one example, a relative POSIX path without a trailing slash."""
        return self.remix_name(listener, song).rpartition("/")[0]

    def stem_name(self, listener: str, song: str, side: str, stem: str) -> str:
        """Relative POSIX path of a stem."""
        return self.stem_path.format(listener=listener, song=song, side=side, stem=stem)

    def scale_name(self, listener: str, song: str, side: str, stem: str) -> str:
        """Relative POSIX path of a stem's scale file."""
        return self.scale_path.format(listener=listener, song=song, side=side, stem=stem)

    def remix_name(self, listener: str, song: str) -> str:
        """Relative POSIX path of a remix."""
        return self.remix_path.format(listener=listener, song=song)

    def seed(self, song: str) -> int:
        """Seed of NumPy's legacy generator before each example of a song; see `SEED_RULE`."""
        return int(md5(song.encode(), usedforsecurity=False).hexdigest(), 16) % 10**8


SEED_RULE = "int(md5(song).hexdigest(), 16) % 10**8"
"""`Rules.seed` as an expression, for run records and bundles."""


def value_name(side: str, stem: str) -> str:
    """The name of an example's value, such as `left_drums`."""
    return f"{side}_{stem}"


def side_and_stem(name: str) -> tuple[str, str]:
    """Split `left_drums` into its side and its stem."""
    side, _, stem = name.partition("_")
    return side, stem


CAD1 = Rules(
    title="First Cadenza Challenge (CAD1), Task 1",
    splits=get_args(Split),
    segmented=("test",),
    stems=("drums", "bass", "other", "vocals"),
    column_stems=("bass", "drums", "other", "vocals"),
    sides=("left", "right"),
    reference_rate=44100,
    stem_rate=24000,
    remix_rate=32000,
    bits=16,
    stem_channels=1,
    remix_channels=2,
    stem_path="{listener}/{song}/{listener}_{song}_{side}_{stem}.flac",
    scale_path="{listener}/{song}/{listener}_{song}_{side}_{stem}.txt",
    remix_path="{listener}/{song}/{listener}_{song}_remix.flac",
    level=65.0,
    frequencies=(250, 500, 1000, 2000, 4000, 6000),
    length_tolerance=2,
    tail=220,
)
"""CAD1 Task 1, as the challenge's own code and pages have it."""
