"""Reads the references of a data root: the one place that decides which samples a submission is held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import soundfile

    from validator.challenge.songs import Song

FORMATS = ("WAV", "WAVEX")
"""The two headers that a WAV file may have, as libsndfile names them."""

UNPACK_MUSIC = "Unpack MUSDB18-HQ again."


def open_reference(path: Path) -> soundfile.SoundFile:
    """A wav file of a data root, opened; links are followed.

    Raises:
        ChallengeError: it is missing, a link to nothing, or not stereo 16-bit WAV at 44.1 kHz.
    """
    import soundfile  # noqa: PLC0415 - the roster and --quick need no audio library

    if not path.is_file():
        raise _missing(path)
    try:
        stream = soundfile.SoundFile(str(path))
    except (OSError, soundfile.SoundFileError) as error:
        raise ChallengeError(f"{path} cannot be read as a wav file: {error}", hint=UNPACK_MUSIC) from error
    form = (stream.format, stream.subtype, stream.channels, stream.samplerate)
    if form not in [(name, "PCM_16", len(CAD1.sides), CAD1.reference_rate) for name in FORMATS]:
        stream.close()
        raise ChallengeError(
            f"{path} is {form[0]} {form[1]} at {form[3]} Hz with {form[2]} "
            f"channel{'' if form[2] == 1 else 's'}; expected stereo 16-bit WAV at {CAD1.reference_rate} Hz.",
            hint="Use MUSDB18-HQ, the uncompressed edition.",
        )
    return stream


def _missing(path: Path) -> ChallengeError:
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            return ChallengeError(
                f"The data root is incomplete: {path} is missing, because {part} is a link to {part.readlink()}, "
                "which does not exist.",
                hint="Point the link to where the music is now, or unpack MUSDB18-HQ there.",
            )
    if path.exists():
        return ChallengeError(f"{path} is not a regular file; expected a wav file.", hint=UNPACK_MUSIC)
    return ChallengeError(
        f"The data root is incomplete: {path} is missing.",
        hint="Unpack MUSDB18-HQ there; the songs of split valid belong in train/.",
    )


def read_reference(song: Song, stem: str) -> npt.NDArray[np.int16]:
    """The scored part of a reference: the objective segment in split test, else the whole song.

    Args:
        song: A song of a data root.
        stem: One of `CAD1.stems`, or "mixture".

    Returns:
        int16, full scale ±32768, 44.1 kHz, shape (frames, 2): left and right.

    Raises:
        ChallengeError: there is no data root, or the file is missing, in another format, or shorter than the song.
    """
    import soundfile  # noqa: PLC0415 - as above

    path = song.reference_path(stem)
    with open_reference(path) as stream:
        start, stop = song.objective_slice or (0, stream.frames)
        frames = song.frames or stop
        if stream.frames < max(frames, stop) or start >= stop:
            raise _too_short(path, song, found=stream.frames, expected=max(frames, stop, start + 1))
        try:
            stream.seek(start)
            pcm: npt.NDArray[np.int16] = stream.read(stop - start, dtype="int16", always_2d=True)
        except (OSError, soundfile.SoundFileError) as error:
            raise ChallengeError(
                f"{path}, a reference of '{song.name}', cannot be read: {error}", hint=UNPACK_MUSIC
            ) from error
    if len(pcm) != stop - start:
        raise _too_short(path, song, found=start + len(pcm), expected=stop)
    return pcm


def _too_short(path: Path, song: Song, *, found: int, expected: int) -> ChallengeError:
    return ChallengeError(
        f"{path}, a reference of '{song.name}', has {found} frames; expected at least {expected}.",
        hint=UNPACK_MUSIC,
    )
