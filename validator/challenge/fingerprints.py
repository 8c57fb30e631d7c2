"""SHA-256 of what is scored: the references of a song, and the audio of an example."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1, value_name
from validator.formats.pcm import little_endian

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt


def references_digest(references: Mapping[str, npt.NDArray[np.int16]]) -> str:
    """SHA-256 of a song's references.

    Args:
        references: For each of `CAD1.stems` the samples that are scored, (frames, 2).
    """
    found = hashlib.sha256()
    for stem in CAD1.stems:
        found.update(f"{stem} {len(references[stem])}\n".encode())
        found.update(little_endian(references[stem]))
    return found.hexdigest()


def audio_digest(stems: Mapping[str, npt.NDArray[np.int16]], scales: Mapping[str, float]) -> str:
    """SHA-256 of the audio of an example, as it is scored.

    Args:
        stems: For each of `CAD1.columns` the decoded samples, (frames,).
        scales: For each of `CAD1.columns` the scale factor.
    """
    found = hashlib.sha256()
    for name in CAD1.columns:
        found.update(f"{name} {len(stems[name])} {scales[name]!r}\n".encode())
        found.update(little_endian(stems[name]))
    return found.hexdigest()


def silent_values(references: Mapping[str, npt.NDArray[np.int16]]) -> frozenset[str]:
    """The names of the values whose reference channel is all zeros: the only ones without a HAAQI.

    Args:
        references: For each of `CAD1.stems` the samples that are scored, (frames, 2).
    """
    return frozenset(
        value_name(side, stem)
        for stem in CAD1.stems
        for channel, side in enumerate(CAD1.sides)
        if not references[stem][:, channel].any()
    )
