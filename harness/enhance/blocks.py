"""Separates a song block by block, with overlaps and linear fades, in bounded memory.

The blocks are those of the challenge's recipe, which follows torchaudio's Hybrid Demucs tutorial: 11 s each,
overlapping by 0.1 s. Unlike in the recipe, the end of a song shorter than one block is not faded out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.enhance.separators import BlockProgress
from harness.enhance.track import Track
from harness.protocol.errors import SetupError, UsageError
from validator.challenge.rules import CAD1

Model = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (2, n) mixture to (4, 2, n) in its own order

BLOCK = 11 * CAD1.reference_rate  # samples
OVERLAP = CAD1.reference_rate // 10  # samples


@dataclass(frozen=True)
class Block:
    """Samples `start` to `stop` of a song; neighbours share the first `fade_in` and the last `fade_out`."""

    start: int
    stop: int
    fade_in: int
    fade_out: int

    def fade(self) -> NDArray[np.float32]:
        """Weight of each sample; the weights of overlapping blocks sum to 1."""
        weights = np.ones(self.stop - self.start, dtype=np.float32)
        ramp = np.linspace(0, 1, max(self.fade_in, self.fade_out), dtype=np.float32)
        if self.fade_in:
            weights[: self.fade_in] *= ramp[: self.fade_in]
        if self.fade_out:
            weights[-self.fade_out :] *= 1 - ramp[: self.fade_out]
        return weights


def blocks(length: int, *, block: int = BLOCK, overlap: int = OVERLAP) -> Iterator[Block]:
    """The blocks of a song.

    Args:
        length: Length of the song in samples, at least 1.
        block: Samples from the end of one block to the end of the next, more than twice the overlap.
        overlap: Samples that neighbouring blocks share.

    Raises:
        UsageError: The blocks are too short for their overlap.
    """
    if not 0 <= overlap < block / 2:
        raise UsageError(f"Blocks of {block} samples cannot overlap by {overlap}.")
    end = 0
    while end < length:
        start = max(end - overlap, 0)
        shared = end - start
        end = min(end + block, length)
        yield Block(start, end, fade_in=shared, fade_out=overlap if end < length else 0)


@dataclass(frozen=True)
class BlockSeparator:
    """A separator that runs a model over the blocks of a song.

    Args:
        identity: Name of the model and of everything that its result depends on.
        model: Takes a block, float32, shape (2, samples), and returns its stems, (4, 2, samples).
        order: Names of the stems in the order of the model.
        normalise: Whether the model gets the song with zero mean and unit standard deviation, both measured
            on the mid channel of the whole song; its stems are then scaled and shifted back.
        block: See `blocks`.
        overlap: See `blocks`.
    """

    identity: str
    model: Model
    order: tuple[str, ...]
    normalise: bool
    block: int = BLOCK
    overlap: int = OVERLAP

    def separate(self, track: Track, target: NDArray[np.float32], report: BlockProgress) -> None:
        """Separate one song; besides the mixture, only one block is in memory.

        Raises:
            SetupError: The model failed, or returned too few stems or values that are not finite.
        """
        mixture = track.read("mixture")
        mean, deviation = _moments(mixture) if self.normalise else (np.float32(0), np.float32(1))
        positions = [self.order.index(stem) for stem in CAD1.stems]
        plan = list(blocks(mixture.shape[1], block=self.block, overlap=self.overlap))
        for number, here in enumerate(plan):
            report(number, len(plan))
            stems = self._run((mixture[:, here.start : here.stop] - mean) / deviation, track)
            stems = (stems[positions] * deviation + mean) * here.fade()
            after_fade = here.start + here.fade_in
            target[:, :, here.start : after_fade] += stems[:, :, : here.fade_in]
            target[:, :, after_fade : here.stop] = stems[:, :, here.fade_in :]
        report(len(plan), len(plan))

    def _run(self, block: NDArray[np.float32], track: Track) -> NDArray[np.float32]:
        try:
            stems = self.model(block)
        except (RuntimeError, MemoryError) as error:
            raise SetupError(
                f"{self.identity} failed on {track.name!r}: {error}",
                hint="If it ran out of memory, free some or use --device cpu.",
            ) from error
        if stems.shape != (len(self.order), *block.shape) or not np.all(np.isfinite(stems)):
            raise SetupError(
                f"{self.identity} returned too few stems, or values that are not finite, for {track.name!r}.",
                hint="The weights belong to another model or are damaged.",
            )
        return stems


def _moments(mixture: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    middle = np.mean(mixture, axis=0)
    deviation = np.std(middle)
    return np.float32(np.mean(middle)), np.float32(deviation if deviation > 0 else 1.0)
