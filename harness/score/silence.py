"""Which reference channels are digitally silent: the only ones whose HAAQI may be undefined.

The host looks for itself. A sandbox that could leave a bad value out of an average by calling it undefined would
make the ranking.
"""

from __future__ import annotations

import soundfile

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import ExampleScore
from validator.challenge.challenge import Song
from validator.challenge.rules import CAD1, value_name

BLOCK = 1 << 18


def silent_columns(song: Song) -> frozenset[str]:
    """The columns of scores.csv whose reference has no sample but zero in the part that is scored.

    Raises:
        SetupError: If a reference can't be read.
    """
    start, stop = song.objective_slice or (0, None)
    silent: set[str] = set()
    for stem in CAD1.stems:
        path = song.reference_path(stem)
        open_ = dict.fromkeys(range(len(CAD1.sides)))
        try:
            for block in soundfile.blocks(path, BLOCK, start=start, stop=stop, dtype="int16", always_2d=True):
                for channel in [one for one in open_ if block[:, one].any()]:
                    del open_[channel]
                if not open_:
                    break
        except (OSError, soundfile.LibsndfileError) as error:
            raise SetupError(
                f"The reference {path.name} of {song.name!r} can't be read: {error}.",
                hint="Unpack the challenge's audio anew.",
            ) from error
        silent |= {value_name(CAD1.sides[channel], stem) for channel in open_}
    return frozenset(silent)


def check(line: ExampleScore, silent: frozenset[str]) -> None:
    """Holds the values of an example to the columns of scores.csv, its undefined ones to the silent references.

    Raises:
        InternalError: If they differ.
    """
    if set(line.values) != set(CAD1.columns):
        raise InternalError(
            f"{line.song} for {line.listener}: the evaluator sent the values {', '.join(sorted(line.values))}; "
            f"expected {', '.join(CAD1.columns)}.",
            hint="Nothing of this example was stored. Please report it.",
        )
    undefined = {name for name, value in line.values.items() if value is None}
    if undefined != silent:
        wrong = sorted(undefined ^ silent)
        missing = wrong[0] in undefined
        raise InternalError(
            f"{line.song} for {line.listener}: the evaluator has {'no' if missing else 'a'} value for "
            f"{', '.join(wrong)}, whose reference is {'not ' if missing else ''}silent.",
            hint="Nothing of this example was stored. Please report it.",
        )
