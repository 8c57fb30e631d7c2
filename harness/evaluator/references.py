"""A song's reference stems and a listener's processed stems, read as the official scorer reads them.

References: 16-bit PCM / 32768 as float32, in split `test` cut to the objective segment, then both channels
resampled together with soxr (HQ) from 44.1 to 24 kHz. Processed stems: 16-bit FLAC / 32768 as float32, times the
factor in the stem's scale file (1 without one).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from harness.protocol.errors import SetupError
from validator.archive.members import DamagedMemberError
from validator.archive.submission import Submission
from validator.challenge.listeners import Listener
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1, side_and_stem
from validator.challenge.songs import Song
from validator.formats.flac import AudioError, decode_flac
from validator.formats.scale import SCALE_BYTES, ScaleError, parse_scale

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class References:
    """The reference channels of one song in `CAD1.scoring_order`.

    Attributes:
        song: The song's name.
        channels: Eight arrays (samples,) of float32 at 24 kHz.
        levels: HAAQI's level1 of each in dB: the SPL of a signal whose RMS is 1; NaN for a silent channel.
    """

    song: str
    channels: tuple[Signal, ...]
    levels: tuple[float, ...]

    @property
    def seed(self) -> int:
        """The seed of the noise generator for each example of this song."""
        return CAD1.seed(self.song)


def level_of(channel: Signal) -> float:
    """HAAQI's level1 in dB for a reference channel of shape (samples,); NaN if it is digitally silent."""
    rms = np.sqrt(np.mean(np.square(channel)))
    if rms == 0.0:
        return float("nan")
    return CAD1.level - 20.0 * float(np.log10(rms))


def load_references(song: Song) -> References:
    """Reads, cuts and resamples the four stereo reference stems of a song.

    Raises:
        SetupError: If a reference file can't be read.
    """
    channels: dict[str, Signal] = {}
    for stem in dict.fromkeys(side_and_stem(name)[1] for name in CAD1.scoring_order):
        path = song.reference_path(stem)
        start, stop = song.objective_slice or (0, None)
        try:
            pcm, _ = soundfile.read(path, dtype="int16", start=start, stop=stop, always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise SetupError(
                f"The reference {path.name} of {song.name!r} can't be read: {error}.",
                hint="Unpack the challenge's audio again.",
            ) from error
        resampled = soxr.resample(
            (pcm / CAD1.full_scale).astype(np.float32), CAD1.reference_rate, CAD1.stem_rate, quality="HQ"
        )
        channels[f"left_{stem}"], channels[f"right_{stem}"] = resampled[:, 0], resampled[:, 1]
    ordered = tuple(channels[name] for name in CAD1.scoring_order)
    return References(song=song.name, channels=ordered, levels=tuple(level_of(c) for c in ordered))


class StemError(Exception):
    """A file of the submission that can't be scored.

    Attributes:
        code: The validator's code of the finding.
        path: The file, relative to the wrapper folder.
        message: One sentence.
    """

    def __init__(self, code: str, path: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.path = path
        self.message = message


def decode(submission: Submission, path: str, *, song: Song, kind: Kind) -> NDArray[np.int16]:
    """Decodes one FLAC of the submission, at most as many frames as its song allows.

    Raises:
        StemError: If it is missing, damaged, does not match its header, or has the wrong length.
    """
    rate, channels = (
        (CAD1.remix_rate, CAD1.remix_channels) if kind is Kind.REMIX else (CAD1.stem_rate, CAD1.stem_channels)
    )
    length = length_of(song, kind)
    try:
        with submission.open(path) as stream:
            pcm = decode_flac(stream, rate=rate, channels=channels, bits=CAD1.bits, max_frames=length.most)
    except KeyError:
        raise StemError("missing", path, "The file is missing.") from None
    except AudioError as error:
        raise StemError(error.code, path, error.message) from error
    except DamagedMemberError as error:
        raise StemError("member-corrupt", path, f"The file is damaged: {error}.") from error
    if len(pcm) not in length:
        raise StemError("length", path, f"The audio has {len(pcm)} frames; expected {length.nominal}.")
    return pcm


def scale_of(submission: Submission, path: str) -> float:
    """The scale factor in the text file at `path`; 1 if there is no such file.

    Raises:
        StemError: If it is not one positive number.
    """
    if path not in submission.members:
        return 1.0
    try:
        return parse_scale(submission.read(path, limit=SCALE_BYTES))
    except ScaleError as error:
        raise StemError(error.code, path, error.message) from error
    except (DamagedMemberError, ValueError) as error:
        raise StemError("scale-value", path, f"The scale file can't be read: {error}.") from error


def processed_stems(submission: Submission, *, song: Song, listener: Listener) -> Iterator[Signal]:
    """Decodes the eight stems of an example in `CAD1.scoring_order`, each (samples,) float32 at 24 kHz, scaled.

    Each is decoded on demand. The remix is decoded first and discarded: an example with a broken remix is broken.

    Raises:
        StemError: See `decode` and `scale_of`.
    """
    decode(submission, CAD1.remix_name(listener.id, song.name), song=song, kind=Kind.REMIX)
    for name in CAD1.scoring_order:
        side, stem = side_and_stem(name)
        pcm = decode(
            submission, CAD1.stem_name(listener.id, song.name, side, stem), song=song, kind=Kind.STEM
        )
        signal = (pcm / CAD1.full_scale).astype(np.float32)
        signal *= scale_of(submission, CAD1.scale_name(listener.id, song.name, side, stem))
        yield signal


def load_processed(submission: Submission, *, song: Song, listener: Listener) -> tuple[Signal, ...]:
    """All of `processed_stems` at once.

    Raises:
        StemError: See `decode` and `scale_of`.
    """
    return tuple(processed_stems(submission, song=song, listener=listener))


def audiograms_of(listener: Listener) -> list[tuple[float, ...]]:
    """For each stem of `CAD1.scoring_order`, the ear's six levels in dB HL at `CAD1.frequencies`."""
    return [listener.levels(side_and_stem(name)[0], CAD1.frequencies) for name in CAD1.scoring_order]
