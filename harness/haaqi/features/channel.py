"""One channel, from its compressed outputs to the features that HAAQI compares.

Source: Kates (2013) and Kates and Arehart (2016): inner hair cells, threshold noise, compensation of the
filters' group delay, smoothed envelope and tiles of fine structure; each has a module of its own.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea import transduction
from harness.haaqi.cochlea.basilar_membrane import BasilarMembrane, ChannelOutputs
from harness.haaqi.features import covariance, smoothing
from harness.haaqi.features.covariance import Segmentation, Weighting
from harness.haaqi.kernels.compilation import fused, inlined, plain

BLOCK_SAMPLES = 1536  # per block, if both divisions of time allow it: small enough for the first-level cache
NOISE_SAMPLES = 2**15  # for which noise is read at once: small enough for the second-level cache

NoiseReader: TypeAlias = Callable[[int, int], NDArray[np.float64]]
"""Returns the threshold noise of a channel's samples number first to last - 1; called in ascending order."""


class ChannelAlignment(NamedTuple):
    """The position of one channel's outputs in time, in samples.

    Attributes:
        length: samples of both signals.
        compensation: delay of the channel to match the slowest one.
        envelope_delay: delay of the processed envelope.
        motion_delay: delay of the processed motion.
    """

    length: int
    compensation: int
    envelope_delay: int
    motion_delay: int


class HairCells(NamedTuple):
    """The inner hair cells of both signals in one channel.

    Attributes:
        reference_level: dB above threshold of an envelope of 1, for the reference.
        processed_level: the same for the processed signal.
        synapse: (37,) `transduction.synapse_coefficients()`.
        voltages: (4,) state of both synapses.
    """

    reference_level: float
    processed_level: float
    synapse: NDArray[np.float64]
    voltages: NDArray[np.float64]


class _Noise(NamedTuple):
    """Threshold noise of both signals from channel sample number `first` on."""

    reference: NDArray[np.float64]
    processed: NDArray[np.float64]
    first: int


class _Motion(NamedTuple):
    """Buffers of both signals' motion, (half a segment + a block,)."""

    reference: NDArray[np.float64]
    processed: NDArray[np.float64]


class _Envelopes(NamedTuple):
    """The weighted half segments of both envelopes, see `smoothing.weigh_halves`.

    Attributes:
        window: (192,).
        rising: (2, segments).
        falling: (2, segments).
    """

    window: NDArray[np.float64]
    rising: NDArray[np.float64]
    falling: NDArray[np.float64]


class _Tiles(NamedTuple):
    """The channel's tiles of fine structure, see `ChannelFeatures`."""

    covariances: NDArray[np.float64]
    levels: NDArray[np.float64]


def block_length(segmentation: Segmentation) -> int:
    """Return the number of samples per block, a multiple of both divisions of time."""
    common = math.lcm(segmentation.half, smoothing.HALF)
    return common * max(BLOCK_SAMPLES // common, 1)


class ChannelFeatures:
    """One channel's features, extracted block by block.

    Attributes:
        end: number of samples to extract; at most the length of the signals plus a block.
        covariances: (segments,) of the fine structure; 0 where `levels` is not above threshold.
        levels: (segments,) of the reference's fine structure, dB.
    """

    def __init__(
        self,
        *,
        alignment: ChannelAlignment,
        reference_level: float,
        processed_level: float,
        noises: tuple[NoiseReader, NoiseReader],
        segmentation: Segmentation,
        threshold: float,
    ) -> None:
        """Start at the first sample.

        Args:
            alignment: the position of the channel's outputs in time.
            reference_level: dB above threshold of an envelope of 1, for the reference.
            processed_level: the same for the processed signal.
            noises: threshold noise of this channel, for the reference and for the processed signal.
            segmentation: division of the fine structure in time.
            threshold: dB above which a tile's covariance is computed.
        """
        self._alignment, self._noises = alignment, noises
        self._segmentation, self._threshold = segmentation, threshold
        halves, segments = smoothing.segments(alignment.length), segmentation.segments(alignment.length)
        self.end = max(halves * smoothing.HALF, segments * segmentation.half)
        self.covariances, self.levels = np.zeros(segments), np.zeros(segments)
        self._hair_cells = HairCells(
            reference_level=reference_level,
            processed_level=processed_level,
            synapse=transduction.synapse_coefficients(),
            voltages=np.zeros(4),
        )
        buffer = segmentation.half + block_length(segmentation)
        self._motion = _Motion(reference=np.zeros(buffer), processed=np.zeros(buffer))
        self._envelopes = _Envelopes(
            window=smoothing.window(), rising=np.empty((2, halves)), falling=np.empty((2, halves))
        )

    def extract(self, outputs: ChannelOutputs, *, offset: int, start: int, stop: int) -> None:
        """Process the samples from number `start`, a multiple of the block, to `stop` or the end.

        Args:
            outputs: of the `Compressor`.
            offset: sample number of the first element of the outputs.
            start: where the last call stopped.
            stop: where this call stops.
        """
        block = block_length(self._segmentation)
        stop = start + -(-(min(stop, self.end) - start) // block) * block
        step = block * max(NOISE_SAMPLES // block, 1)
        for begin in range(start, stop, step):
            self._extract(outputs, offset=offset, start=begin, stop=min(begin + step, stop))

    def _extract(self, outputs: ChannelOutputs, *, offset: int, start: int, stop: int) -> None:
        compensation = self._alignment.compensation
        most = self._alignment.length - compensation
        first, last = (min(max(sample - compensation, 0), most) for sample in (start, stop))
        reference_noise, processed_noise = (noise(first, last) for noise in self._noises)
        _extract(
            plain(outputs),
            offset,
            start,
            stop,
            plain(self._alignment),
            plain(self._hair_cells),
            (reference_noise, processed_noise, first),
            plain(self._motion),
            plain(self._envelopes),
            plain(self._segmentation),
            self._threshold,
            (self.covariances, self.levels),
        )

    def smoothed_envelopes(self) -> NDArray[np.float64]:
        """Return both smoothed envelopes, in dB above threshold, (2, segments)."""
        return smoothing.smoothed_envelope(self._envelopes.rising, self._envelopes.falling)


@inlined
def _add(motion: NDArray[np.float64], noise: NDArray[np.float64], start: int, count: int) -> None:
    """Add noise[start : start + count] to the first `count` elements of `motion`."""
    here = noise[start:]
    for k in range(count):
        motion[k] += here[k]


@fused
def _extract(
    outputs: tuple[Any, ...],
    offset: int,
    begin: int,
    finish: int,
    alignment: tuple[Any, ...],
    hair_cells: tuple[Any, ...],
    noise: tuple[Any, ...],
    motion: tuple[Any, ...],
    envelopes: tuple[Any, ...],
    segmentation: tuple[Any, ...],
    threshold: float,
    tiles: tuple[Any, ...],
) -> None:
    """Call `_extract_blocks` with NamedTuples made from tuples, see `plain`."""
    _extract_blocks(
        ChannelOutputs(BasilarMembrane(*outputs[0]), BasilarMembrane(*outputs[1])),
        offset,
        begin,
        finish,
        ChannelAlignment(*alignment),
        HairCells(*hair_cells),
        _Noise(*noise),
        _Motion(*motion),
        _Envelopes(*envelopes),
        Segmentation(
            segmentation[0],
            Weighting(*segmentation[1]),
            Weighting(*segmentation[2]),
            Weighting(*segmentation[3]),
        ),
        threshold,
        _Tiles(*tiles),
    )


@fused
def _extract_blocks(
    outputs: ChannelOutputs,
    offset: int,
    begin: int,
    finish: int,
    alignment: ChannelAlignment,
    hair_cells: HairCells,
    noise: _Noise,
    motion: _Motion,
    envelopes: _Envelopes,
    segmentation: Segmentation,
    threshold: float,
    tiles: _Tiles,
) -> None:
    """Transduce one channel, add the noise, smooth the envelope, compare the fine structure.

    All of it is done in blocks, which are whole pieces of both divisions of time. The motion of the last half
    segment of fine structure is kept for the next block.

    Args:
        outputs: compressed outputs of the channel.
        offset: sample number of the first element of the outputs.
        begin: sample number of the first block's start.
        finish: sample number of the last block's end.
        alignment: the position of the outputs in time.
        hair_cells: the synapses' voltages are updated.
        noise: added to the motion.
        motion: overwritten; the first half segment is the end of the block before.
        envelopes: filled.
        segmentation: division of the fine structure in time.
        threshold: dB above which a tile's covariance is computed.
        tiles: filled.
    """
    length, compensation = alignment.length, alignment.compensation
    reference_motion, processed_motion = motion.reference, motion.processed
    covariances, levels = tiles.covariances, tiles.levels
    half = segmentation.half
    block = len(reference_motion) - half
    halves = envelopes.rising.shape[1]
    reference_work, processed_work, spare = np.empty(block), np.empty(block), np.empty(block)
    reference_level, processed_level = np.zeros(block), np.zeros(block)
    scratch_size = 2 * (2 * half + covariance.PADDED_LAGS)
    scratch, scratch32 = np.empty(scratch_size), np.empty(scratch_size, dtype=np.float32)
    for start in range(begin, finish, block):
        # The channel is delayed to match the slowest one: it starts with silence.
        silent = min(max(compensation - start, 0), block)
        reference_level[:silent] = 0.0
        processed_level[:silent] = 0.0
        reference_motion[half : half + silent] = 0.0
        processed_motion[half : half + silent] = 0.0
        first = start + silent - compensation
        count = max(min(block - silent, length - compensation - first), 0)

        # Envelopes: sensation level with adaptation. The work arrays keep the envelopes' reciprocals.
        reference_part, processed_part = reference_level[silent:], processed_level[silent:]
        at = first - offset
        available = length - offset
        source = transduction.padded_view(outputs.reference.envelope, available, at, count, reference_work)
        transduction.sensation_level(
            source, hair_cells.reference_level, count, reference_part, reference_work, spare
        )
        source = transduction.padded_view(
            outputs.processed.envelope, available, at + alignment.envelope_delay, count, processed_work
        )
        transduction.sensation_level(
            source, hair_cells.processed_level, count, processed_part, processed_work, spare
        )
        transduction.adapt(reference_part, processed_part, count, hair_cells.synapse, hair_cells.voltages)

        # Motion of the basilar membrane: the envelope's gain, then the threshold noise.
        reference_moved = reference_motion[half + silent :]
        processed_moved = processed_motion[half + silent :]
        source = transduction.padded_view(outputs.reference.motion, available, at, count, spare)
        transduction.scale_motion(source, reference_part, reference_work, count, reference_moved)
        source = transduction.padded_view(
            outputs.processed.motion, available, at + alignment.motion_delay, count, spare
        )
        transduction.scale_motion(source, processed_part, processed_work, count, processed_moved)
        _add(reference_moved, noise.reference, first - noise.first, count)
        _add(processed_moved, noise.processed, first - noise.first, count)

        number = start // smoothing.HALF
        complete = max(min(block // smoothing.HALF, halves - number), 0)
        smoothing.weigh_halves(
            reference_level, complete, envelopes.window, number, envelopes.rising[0], envelopes.falling[0]
        )
        smoothing.weigh_halves(
            processed_level, complete, envelopes.window, number, envelopes.rising[1], envelopes.falling[1]
        )

        for tile in range(start // half, min((start + block) // half, len(levels))):
            position = tile * half - start + half
            if tile == 0:
                covariances[0], levels[0] = covariance.tile_covariance(
                    reference_motion,
                    processed_motion,
                    position,
                    segmentation.first,
                    threshold,
                    scratch,
                    scratch32,
                )
            if tile > 1:
                covariances[tile - 1], levels[tile - 1] = covariance.tile_covariance(
                    reference_motion,
                    processed_motion,
                    position - half,
                    segmentation.whole,
                    threshold,
                    scratch,
                    scratch32,
                )
            if tile == len(levels) - 1:
                covariances[tile], levels[tile] = covariance.tile_covariance(
                    reference_motion,
                    processed_motion,
                    position,
                    segmentation.last,
                    threshold,
                    scratch,
                    scratch32,
                )
        reference_motion[:half] = reference_motion[block:]
        processed_motion[:half] = processed_motion[block:]
