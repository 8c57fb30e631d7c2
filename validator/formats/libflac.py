"""Decodes FLAC with the system's libFLAC, if there is one: nearly as fast as `flac -t`.

The libsndfile in soundfile's wheels is built without optimisation and spends a third of its time copying.
This decoder never rejects a file. It accepts a file with only simple metadata that libFLAC decodes without an error
and that contains exactly the declared frames and nothing after them. Everything else is left to
`validator.formats.flac`, so that the findings are the same on every machine. Neither scoring nor a sandbox uses it:
it is for teams, who check their own files.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cffi
import numpy as np

from validator.formats.flac import InProcessDecoder, checked_header, decode_flac, with_total
from validator.formats.pcm import little_endian
from validator.formats.streaminfo import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from validator.formats.flac import FlacDecoder
    from validator.formats.streaminfo import StreamInfo

NAMES = ("libFLAC.so.14", "libFLAC.so.12", "libFLAC.so.8", "libFLAC.14.dylib", "libFLAC.12.dylib")
"""Versions with the decoder interface that is used here (FLAC 1.3 to 1.5)."""

_INTERFACE = """
    typedef struct { uint32_t blocksize, sample_rate, channels; int assignment; uint32_t bits; } Frame;
    void *FLAC__stream_decoder_new(void);
    void FLAC__stream_decoder_delete(void *);
    int FLAC__stream_decoder_init_stream(void *,
        int (*read)(void *, uint8_t *, size_t *, void *), void *seek, void *tell, void *length, void *eof,
        int (*write)(void *, Frame *, int32_t **, void *), void *metadata,
        void (*error)(void *, int, void *), void *client);
    int FLAC__stream_decoder_process_until_end_of_stream(void *);
    int FLAC__stream_decoder_finish(void *);
"""  # `Frame` is the beginning of libFLAC's `FLAC__Frame`

_CONTINUE, _END, _ABORT = 0, 1, 2  # status of reading; for writing, 1 is to abort
_SEEK_POINT_BYTES = 18
_PADDING, _SEEK_TABLE, _COMMENT = 1, 3, 4


def find_first_frame(data: bytes) -> int | None:
    """Offset of the first frame if all metadata before it are simple; else None.

    Simple metadata are padding, seek tables of whole points, and comments with consistent lengths and UTF-8 text.
    Versions of libFLAC and libsndfile disagree about other metadata, such as pictures and cue sheets.
    """
    at, last = HEADER_BYTES, bool(data[4] & 0x80)
    while not last:
        head = data[at : at + 4]
        if len(head) < 4:
            return None
        last, kind, size = bool(head[0] & 0x80), head[0] & 0x7F, int.from_bytes(head[1:], "big")
        at += 4
        if kind == _COMMENT:
            if not _is_simple_comment(data[at : at + size]):
                return None
        elif kind not in (_PADDING, _SEEK_TABLE) or (kind == _SEEK_TABLE and size % _SEEK_POINT_BYTES):
            return None
        at += size
    return at if data[at : at + 2] in (b"\xff\xf8", b"\xff\xf9") else None


def _is_simple_comment(block: bytes) -> bool:
    """Whether a comment block has a vendor string, as many comments as it declares, and nothing else."""
    at, left = 0, 1
    count: int | None = None
    while left:
        size = int.from_bytes(block[at : at + 4], "little")
        text = block[at + 4 : at + 4 + size]
        if len(text) < size or len(block) < at + 4 or b"\0" in text or not _is_utf8(text):
            return False
        at, left = at + 4 + size, left - 1
        if count is None:
            count = left = int.from_bytes(block[at : at + 4], "little")
            if len(block) < at + 4:
                return False
            at += 4
        elif b"=" not in text:
            return False
    return at == len(block)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class Decoder:
    """A decoder of libFLAC for any number of files; not to be shared by threads.

    Args:
        library: What `load` returns.
    """

    def __init__(self, library: tuple[Any, Any]) -> None:
        self._ffi, self._flac = library
        self._on_read = self._callback("int(void *, uint8_t *, size_t *, void *)", self._read, error=_ABORT)
        self._on_write = self._callback("int(void *, Frame *, int32_t **, void *)", self._write, error=1)
        self._on_error = self._callback("void(void *, int, void *)", self._fail)
        self._handle = self._ffi.gc(
            self._flac.FLAC__stream_decoder_new(), self._flac.FLAC__stream_decoder_delete
        )
        self._buffer = np.empty(0, dtype=np.int16)
        self._reset(b"", self._buffer.reshape(0, 1))

    def _callback(self, form: str, method: Callable[..., Any], **options: Any) -> Any:
        return self._ffi.callback(form, method, onerror=self._keep_exception, **options)

    def _reset(self, data: bytes, out: npt.NDArray[np.int16]) -> None:
        self._data, self._at, self._out, self._done = memoryview(data), 0, out, 0
        self._ok = True
        self._exception: BaseException | None = None

    def decode(self, data: bytes, info: StreamInfo) -> npt.NDArray[np.int16] | None:
        """Decode a file for which every check succeeds, including its MD5.

        Args:
            data: The whole file.
            info: Its header: 16 bits, and a length within the budget.

        Returns:
            int16, shape (frames,) for one channel, else (frames, channels); valid until the next call, because
            allocating memory for each file would take a tenth of the time. None if a check fails.
        """
        if not info.has_md5 or find_first_frame(data) is None:
            return None
        count = info.total_samples * info.channels
        if len(self._buffer) < count:
            self._buffer = np.empty(count, dtype=np.int16)
        out = self._buffer[:count].reshape(info.total_samples, info.channels)
        if (
            not self._fill(data, out)
            or hashlib.md5(little_endian(out), usedforsecurity=False).digest() != info.md5
        ):
            return None
        return out[:, 0] if info.channels == 1 else out

    def _fill(self, data: bytes, out: npt.NDArray[np.int16]) -> bool:
        flac, handle, null = self._flac, self._handle, self._ffi.NULL
        self._reset(data, out)
        try:
            status = flac.FLAC__stream_decoder_init_stream(
                handle,
                self._on_read,
                null,
                null,
                null,
                null,
                self._on_write,
                null,
                self._on_error,
                null,
            )
            ended = status == 0 and flac.FLAC__stream_decoder_process_until_end_of_stream(handle)
        finally:
            flac.FLAC__stream_decoder_finish(handle)
        ok, done, exception = self._ok, self._done, self._exception
        self._reset(b"", out[:0])
        if exception is not None:
            raise exception
        return bool(ended and ok and done == len(out))

    def _read(self, _decoder: Any, buffer: Any, count: Any, _client: Any) -> int:
        if not self._ok:
            return _ABORT
        if self._at == 0:
            # with an unknown length, libFLAC reads to the end of the file and reports anything that is not a frame
            part = memoryview(with_total(self._data[:HEADER_BYTES], 0))
        else:
            part = self._data[self._at : self._at + count[0]]
        count[0] = len(part)
        self._ffi.buffer(buffer, len(part))[:] = part
        self._at += len(part)
        return _CONTINUE if part else _END

    def _write(self, _decoder: Any, frame: Any, buffer: Any, _client: Any) -> int:
        out, done, count = self._out, self._done, frame.blocksize
        frames, channels = out.shape
        if (
            not self._ok
            or frame.channels != channels
            or frame.bits != 8 * out.itemsize
            or done + count > frames
        ):
            self._ok = False
            return 1
        for channel in range(channels):
            samples = np.frombuffer(self._ffi.buffer(buffer[channel], 4 * count), np.int32)
            out[done : done + count, channel] = samples
        self._done = done + count
        return 0

    def _fail(self, _decoder: Any, _status: int, _client: Any) -> None:
        self._ok = False

    def _keep_exception(self, _kind: Any, exception: BaseException, _trace: Any) -> None:
        """An exception cannot pass through C code, so it is raised afterwards."""
        self._exception = self._exception or exception
        self._ok = False


@lru_cache(maxsize=1)
def load() -> tuple[Any, Any] | None:
    """The declarations and libFLAC itself; None if this machine does not have it."""
    ffi = cffi.FFI()
    ffi.cdef(_INTERFACE)
    for name in NAMES:
        try:
            library = ffi.dlopen(name)
            library.FLAC__stream_decoder_init_stream  # noqa: B018 - raises AttributeError if it is missing
        except (OSError, AttributeError):
            continue
        return ffi, library
    return None


class SystemDecoder:
    """A `FlacDecoder` that tries the system's libFLAC first.

    Args:
        library: What `load` returns.
    """

    def __init__(self, library: tuple[Any, Any]) -> None:
        self._decoder = Decoder(library)

    def decode(
        self, data: bytes, *, rate: int, channels: int, bits: int, max_frames: int
    ) -> npt.NDArray[np.int16]:
        """See `validator.formats.flac.decode_flac`; valid until the next call."""
        info = checked_header(data, rate=rate, channels=channels, bits=bits, max_frames=max_frames)
        pcm = self._decoder.decode(data, info)
        if pcm is not None:
            return pcm
        # soundfile decides about every file that the system's libFLAC does not accept
        return decode_flac(data, rate=rate, channels=channels, bits=bits, max_frames=max_frames)


@contextmanager
def in_process_decoder() -> Iterator[FlacDecoder]:
    """The fastest decoder of this machine, in this process: for a team's own files."""
    library = load()
    yield InProcessDecoder() if library is None else SystemDecoder(library)
