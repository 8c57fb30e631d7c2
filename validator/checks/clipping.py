"""Is a remix clipped?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from validator.challenge.rules import CAD1
from validator.checks.groups import path_of
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from validator.checks.summary import AudioSummary
    from validator.findings.finding import Finding

FULL_SCALE = CAD1.full_scale - 1
"""Magnitude at which a sample is at full scale."""

CLIP_RUN = 8
"""Consecutive samples at full scale that count as clipped; a single peak may stay there for a few."""

SHOULDER, SHOULDER_SHARE = 32440, 0.2
"""A soft limiter such as the challenge's tanh produces samples close to full scale (above 0.99 of it) far more
often than samples at full scale. Hard clipping leaves almost none in between, because the waveform is steep there.
Measured on two songs at four levels, amplified for mild to profound losses: at least 0.39 such samples per sample
at full scale with tanh, however loud, and at most 0.09 with hard clipping."""


def clipped_runs(pcm: npt.NDArray[np.int16]) -> int:
    """Number of runs of at least `CLIP_RUN` samples at full scale, over all channels; 0 for a soft limiter.

    Args:
        pcm: int16, shape (frames,) or (frames, channels).
    """
    return _runs(pcm) if is_hard_clipped(pcm) else 0


def is_hard_clipped(pcm: npt.NDArray[np.int16]) -> bool:
    """Whether samples at full scale were cut off there, rather than compressed by a soft limiter.

    Args:
        pcm: int16, shape (frames,) or (frames, channels).
    """
    full = np.count_nonzero((pcm >= FULL_SCALE) | (pcm <= -FULL_SCALE))
    near = np.count_nonzero((pcm >= SHOULDER) | (pcm <= -SHOULDER)) - full
    return bool(near < SHOULDER_SHARE * full)


def _runs(pcm: npt.NDArray[np.int16]) -> int:
    runs = 0
    for channel in pcm.reshape(len(pcm), -1).T:
        full = np.flatnonzero((channel >= FULL_SCALE) | (channel <= -FULL_SCALE))
        ends = np.flatnonzero(np.diff(full, append=len(channel) + 1) > 1)
        lengths = np.diff(ends, prepend=-1)
        runs += int(np.count_nonzero(lengths >= CLIP_RUN))
    return runs


def check_clipping(remixes: Iterable[AudioSummary]) -> list[Finding]:
    """Findings about clipped remixes."""
    findings = []
    for remix in remixes:
        if remix.clipped:
            places = "1 place" if remix.clipped == 1 else f"{remix.clipped} places"
            findings.append(
                new_finding(
                    "remix-clipped",
                    path_of(remix.key),
                    f"The remix is clipped in {places}.",
                    expected="no samples cut off at full scale",
                    found=f"{places} with {CLIP_RUN} or more consecutive samples at full scale",
                )
            )
    return findings
