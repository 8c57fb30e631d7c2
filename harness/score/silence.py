"""Digitally silent reference channels: the only ones whose HAAQI may be undefined.

The host reads the references itself. If it believed a sandbox about which values are undefined, a broken sandbox
could leave low values out of an average.
"""

from __future__ import annotations

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import ExampleScore
from validator.challenge.rules import CAD1, value_name
from validator.challenge.songs import Song

BLOCK = 1 << 18
"""Frames read at a time."""


def silent_columns(song: Song) -> frozenset[str]:
    """The columns of scores.csv whose reference channel is all zeros in the scored part of the song.

    Raises:
        SetupError: A reference cannot be read.
    """
    import soundfile  # noqa: PLC0415  (slow to import)

    start, stop = song.objective_slice or (0, None)
    silent: set[str] = set()
    for stem in CAD1.stems:
        path = song.reference_path(stem)
        all_zero = set(range(len(CAD1.sides)))
        try:
            for block in soundfile.blocks(path, BLOCK, start=start, stop=stop, dtype="int16", always_2d=True):
                all_zero -= {channel for channel in all_zero if block[:, channel].any()}
                if not all_zero:
                    break
        except (OSError, soundfile.LibsndfileError) as error:
            raise SetupError(
                f"The reference {path.name} of {song.name!r} can't be read: {error}.",
                hint="Unpack the challenge's audio again.",
            ) from error
        silent |= {value_name(CAD1.sides[channel], stem) for channel in all_zero}
    return frozenset(silent)


def check_values(line: ExampleScore, silent: frozenset[str]) -> None:
    """Checks that an example has the values of scores.csv, and that exactly those in `silent` are undefined.

    Raises:
        InternalError: It does not.
    """
    if set(line.values) != set(CAD1.columns):
        raise InternalError(
            f"{line.song} for {line.listener}: the evaluator sent the values {', '.join(sorted(line.values))}; "
            f"expected {', '.join(CAD1.columns)}.",
            hint="Nothing of this example was stored. Please report this.",
        )
    undefined = {name for name, value in line.values.items() if value is None}
    if undefined != silent:
        wrong = sorted(undefined ^ silent)
        missing = wrong[0] in undefined
        raise InternalError(
            f"{line.song} for {line.listener}: the evaluator sent {'no' if missing else 'a'} value for "
            f"{', '.join(wrong)}, whose reference is {'not ' if missing else ''}silent.",
            hint="Nothing of this example was stored. Please report this.",
        )
