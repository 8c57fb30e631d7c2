"""Measures one decoded file: what is kept of it, see `AudioSummary`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from validator.challenge.rules import CAD1
from validator.checks.clipping import FULL_SCALE, clipped_runs
from validator.checks.summary import AudioSummary

if TYPE_CHECKING:
    import numpy.typing as npt

    from validator.checks.groups import FileKey
    from validator.checks.matching import SongReferences


def summarise(
    key: FileKey,
    pcm: npt.NDArray[np.int16],
    *,
    md5: bytes,
    scaled: bool = True,
    scale: float | None = 1.0,
    references: SongReferences | None = None,
) -> AudioSummary:
    """What is kept of a stem or a remix.

    Args:
        key: Which file it is.
        pcm: int16, shape (frames,) of a stem, or (frames, 2) of a remix.
        md5: MD5 of the audio, 16 bytes, from the header of the file.
        scaled: Whether a stem has a scale file.
        scale: Its scale factor; None if its scale file is invalid.
        references: The references of its song, to compare a stem with them; None not to.
    """
    peak = max(int(pcm.max()), -int(pcm.min()))
    if pcm.ndim == 1:
        match = None
        if references is not None:
            match = references.match(pcm, scale=scale, listener=key.listener, side=key.side, stem=key.stem)
        unscaled = peak >= FULL_SCALE and not scaled
        return AudioSummary(key, frames=len(pcm), digest=md5, peak=peak, unscaled=unscaled, match=match)
    power = float(np.mean(np.square(pcm, dtype=np.float32)))
    return AudioSummary(
        key,
        frames=len(pcm),
        digest=md5,
        peak=peak,
        clipped=clipped_runs(pcm) if peak >= FULL_SCALE else 0,
        level=10 * math.log10(power) - 20 * math.log10(CAD1.full_scale) if power > 0 else -math.inf,
        sides_equal=bool(np.array_equal(pcm[:, 0], pcm[:, 1])),
    )
