"""The challenge's rules in one place: stems, sides, rates, file names, columns, splits and the seed rule.

Everything else asks `CAD1` for them. Standard library only: the host, the evaluator and the tests use it alike.
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
    """What a challenge asks for.

    Attributes:
        title: The challenge, for a reader.
        splits: Names of its splits.
        segmented: Splits whose songs are scored in a segment; of the others whole songs are.
        stems: In the order in which the scorer takes them.
        column_stems: The same, in the order of scores.csv.
        sides: In the order in which the scorer takes them.
        reference_rate, stem_rate, remix_rate: Sample rates in Hz.
        bits: Bit depth of every audio file.
        stem_channels, remix_channels: Channels of a stem and of a remix.
        stem_path, scale_path, remix_path: Templates of the files of an example, relative POSIX paths.
        level: dB SPL at which a listener hears a reference whose channel is played as it is.
        frequencies: Hz at which the metric reads an audiogram.
        length_tolerance: Frames a file may be off: segments are cut by int(t * rate), and resamplers round
            differently.
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
        """`left_drums`, `right_drums`, …: the order places each value of an example in the noise stream."""
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
        """What a sample of ±1 is as an integer."""
        return int(2 ** (self.bits - 1))

    @property
    def files_per_example(self) -> int:
        """Stems, their scale files and the remix."""
        return 2 * len(self.columns) + 1

    def folder(self, listener: str, song: str) -> str:
        """The folder of one example, a relative POSIX path without a slash at its end."""
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
        """What NumPy's legacy generator is seeded with before each example of a song: see `SEED_RULE`."""
        return int(md5(song.encode(), usedforsecurity=False).hexdigest(), 16) % 10**8


SEED_RULE = "int(md5(song).hexdigest(), 16) % 10**8"
"""`Rules.seed` in words, as run records and bundles name it."""


def value_name(side: str, stem: str) -> str:
    """The name of an example's value, such as `left_drums`."""
    return f"{side}_{stem}"


def side_and_stem(name: str) -> tuple[str, str]:
    """`left_drums` as its side and its stem."""
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
