"""FLAC decoded by the system's own libFLAC, where there is one: half as fast again as soundfile's.

Only ever used to say yes. A file is taken from here when libFLAC decodes it without any complaint, it holds
exactly the frames declared, and its MD5 is right; everything else is judged by `validator.audio`, so that
verdicts are the same on every machine.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

NAMES = ("libFLAC.so.14", "libFLAC.so.12", "libFLAC.so.8", "libFLAC.14.dylib", "libFLAC.12.dylib")
"""Versions whose decoder interface is the one used here (FLAC 1.3 to 1.5)."""

MOST_SAMPLES = 8 << 20
"""Samples of all channels beyond which memory matters more than speed: 8 Mi take 48 MB on the way."""

_CONTINUE, _ABORT = 0, 1


class _FrameHeader(Structure):
    """The beginning of libFLAC's `FLAC__FrameHeader`."""

    _fields_ = (
        ("blocksize", c_uint32),
        ("sample_rate", c_uint32),
        ("channels", c_uint32),
        ("assignment", c_int),
        ("bits", c_uint32),
    )


_Write = CFUNCTYPE(c_int, c_void_p, POINTER(_FrameHeader), POINTER(c_void_p), c_void_p)
_Complain = CFUNCTYPE(None, c_void_p, c_int, c_void_p)


@lru_cache(maxsize=1)
def _library() -> tuple[Any, Any] | None:
    """libFLAC and the C library, or None where either is not there."""
    for name in NAMES:
        try:
            flac, c = ctypes.CDLL(name), ctypes.CDLL(None)
            for verb in ("delete", "finish", "process_until_end_of_stream"):
                getattr(flac, f"FLAC__stream_decoder_{verb}").argtypes = [c_void_p]
            flac.FLAC__stream_decoder_new.restype = c_void_p
            flac.FLAC__stream_decoder_set_md5_checking.argtypes = [c_void_p, c_int]
            flac.FLAC__stream_decoder_init_FILE.argtypes = [
                c_void_p, c_void_p, _Write, c_void_p, _Complain, c_void_p,
            ]  # fmt: skip
            flac.FLAC__stream_decoder_get_decode_position.argtypes = [c_void_p, POINTER(c_uint64)]
            c.fmemopen.restype = c_void_p
            c.fmemopen.argtypes = [c_char_p, c_size_t, c_char_p]
            c.fclose.argtypes = [c_void_p]
        except (OSError, AttributeError, TypeError):  # no such library, or not of this kind
            continue
        return flac, c
    return None


_local = threading.local()


def _buffer(samples: int) -> npt.NDArray[np.int32]:
    """Room for so many samples, kept from call to call: fresh memory costs a tenth of the decoding."""
    kept: npt.NDArray[np.int32] | None = getattr(_local, "buffer", None)
    if kept is None or len(kept) < samples:
        kept = _local.buffer = np.empty(samples, dtype=np.int32)
    return kept[:samples]


class _Sink:
    """Takes decoded frames; remembers whether anything was not as it must be."""

    def __init__(self, frames: int, channels: int) -> None:
        self.pcm = _buffer(frames * channels).reshape(channels, frames)
        self.starts = [row.ctypes.data for row in self.pcm]
        self.done = 0
        self.right = True
        self.error: BaseException | None = None

    def write(self, _decoder: Any, frame: Any, buffer: Any, _client: Any) -> int:
        try:
            header = frame.contents
            count = header.blocksize
            if (header.channels, header.bits) != (len(self.starts), 16) or (
                self.done + count > self.pcm.shape[1]
            ):
                self.right = False
                return _ABORT
            for channel, start in enumerate(self.starts):
                ctypes.memmove(start + 4 * self.done, buffer[channel], 4 * count)
            self.done += count
        except BaseException as error:  # an exception cannot pass through C: raised after it
            self.error = error
            return _ABORT
        return _CONTINUE

    def complain(self, _decoder: Any, _status: int, _client: Any) -> None:
        self.right = False


def decode(data: bytes, *, frames: int, channels: int) -> npt.NDArray[np.int16] | None:
    """A FLAC file whose every check succeeds, or None where one does not or there is no libFLAC.

    Args:
        data: The file, with an MD5 in its header.
        frames: Frames that its header declares and that it must hold.
        channels: Channels that it must have.

    Returns:
        int16, shape (frames,) for one channel, else (frames, channels).
    """
    library = _library() if frames * channels <= MOST_SAMPLES else None
    if library is None:
        return None
    flac, c = library
    sink = _Sink(frames, channels)
    write, complain = _Write(sink.write), _Complain(sink.complain)
    decoder = flac.FLAC__stream_decoder_new()
    if not decoder:
        return None
    try:
        stream = c.fmemopen(data, len(data), b"rb")
        if not stream:
            return None
        flac.FLAC__stream_decoder_set_md5_checking(decoder, 1)
        if flac.FLAC__stream_decoder_init_FILE(decoder, stream, write, None, complain, None) != 0:
            c.fclose(stream)
            return None
        ended = flac.FLAC__stream_decoder_process_until_end_of_stream(decoder)
        position = c_uint64()
        told = flac.FLAC__stream_decoder_get_decode_position(decoder, ctypes.byref(position))
        md5_right = flac.FLAC__stream_decoder_finish(decoder)  # closes the stream too
    finally:
        flac.FLAC__stream_decoder_delete(decoder)
    if sink.error is not None:
        raise sink.error
    # libFLAC stops after the frames declared: nothing may follow them
    to_its_end = told and position.value == len(data)
    if not (ended and md5_right and sink.right and sink.done == frames and to_its_end):
        return None
    return sink.pcm[0].astype(np.int16) if channels == 1 else np.ascontiguousarray(sink.pcm.T, dtype=np.int16)
