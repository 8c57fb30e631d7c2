"""The host's side of the decoder: FLAC files in, checked samples out.

Nothing that the decoder says is believed: the length and the MD5 must be those of the file's own header, which the
host parses, and the sentence about a broken file is the host's own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.frames import FAILURE, FLAC, HEADER, MESSAGE, PCM, frame
from harness.protocol.records import MAX_LINE_BYTES, Digest, Name
from harness.sandbox.contract import Running, Sandbox
from harness.sandbox.stream import Clock, read_output
from validator.formats import known
from validator.formats.flac import DECODING_CODES, AudioError, check_md5, checked_header, decoding_error
from validator.formats.pcm import little_endian
from validator.formats.streaminfo import StreamInfo

MEMORY = 1 << 30
"""Memory limit in bytes: the interpreter with NumPy takes 60 MB, the longest file and its samples 100 MB."""

START_SECONDS = 60.0
FILE_SECONDS = 30.0
"""Seconds for one file; a song of four minutes takes 0.1 s."""

LIFETIME_SECONDS = 7 * 24 * 3600.0
TRIES = 2
"""How often a file is tried, each time in a new decoder: a machine under load fails once, a bad file twice."""


class _Hello(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scorer_digest: Digest
    differences: list[Annotated[str, Field(max_length=4000)]] = Field(max_length=64)
    versions: dict[Name, Annotated[str, Field(max_length=200)]] = Field(max_length=64)


class _Failure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    code: Annotated[str, Field(max_length=80)]
    frames: Annotated[int, Field(ge=0, lt=2**36)] | None


class SandboxedDecoder:
    """Decodes in a sandbox, which starts with the first file; a `FlacDecoder` of the validator.

    Args:
        sandbox: Where.
        stop: Set to give up.

    Attributes:
        versions: The versions of the packages that decode; empty before the first file.
    """

    def __init__(self, sandbox: Sandbox, *, stop: threading.Event | None = None) -> None:
        self._sandbox = sandbox
        self._stop = stop or threading.Event()
        self._block: AbstractContextManager[Running] | None = None
        self._session: _Session | None = None
        self._proved = False
        self.versions: dict[str, str] = {}

    def start(self) -> None:
        """Starts the sandbox, unless it runs; the decoder checks its files and packages against the lock.

        Raises:
            SetupError: If it can't be started or does not match the lock.
        """
        self._started()

    def decode(
        self, data: bytes, *, rate: int, channels: int, bits: int, max_frames: int
    ) -> NDArray[np.int16]:
        """Decodes a FLAC file; arguments, result and AudioError are those of `validator.formats.flac.decode_flac`.

        Raises:
            AudioError: If the file is not what its header says, or the decoder crashes on it.
            DeadlineError, MemoryLimitError: If the decoder exceeds a limit with this file, twice.
            SetupError: If the decoder can't be started.
            Stopped: If `stop` was set.
        """
        info = checked_header(data, rate=rate, channels=channels, bits=bits, max_frames=max_frames)
        for attempt in range(1, TRIES + 1):
            try:
                pcm = self._started().decode(data, info)
                check_md5(pcm, info)
            except AudioError as error:
                if error.code != "flac-md5" or attempt == TRIES:
                    self._require_known_answer()
                    raise
                self.close()
            except InternalError as error:
                self.close()
                if attempt == TRIES:
                    self._require_known_answer()
                    raise AudioError(
                        "flac-corrupt",
                        "The decoder fails on this file.",
                        found="a file that can't be decoded",
                    ) from error
            except BaseException:
                self.close()
                if attempt == TRIES or self._stop.is_set():
                    raise
            else:
                samples = np.frombuffer(pcm, dtype="<i2")
                return samples if info.channels == 1 else samples.reshape(-1, info.channels)
        raise AssertionError("the last try returns or raises")

    def _require_known_answer(self) -> None:
        """Decodes a file with a known answer, once: whoever fails on that does not fail because of the submission.

        Raises:
            InternalError: It fails.
        """
        if self._proved:
            return
        self.close()  # the decoder that failed may not be in order any more
        info = checked_header(known.FLAC, rate=known.RATE, channels=1, bits=16, max_frames=known.FRAMES)
        try:
            found = self._started().decode(known.FLAC, info)
        except AudioError as error:
            raise InternalError(
                f"The decoder fails on a file with a known answer: {error.message}",
                hint="The submission is not the cause. See `cad1 doctor`, and please report this.",
            ) from error
        if found != little_endian(known.expected()):
            raise InternalError(
                "The decoder gives wrong samples for a file with a known answer.",
                hint="The submission is not the cause. See `cad1 doctor`, and please report this.",
            )
        self._proved = True

    def _started(self) -> _Session:
        if self._session is None:
            environment = self._sandbox.environment()
            self._block = self._sandbox.start("decoder", memory=MEMORY)
            session = _Session(self._block.__enter__(), self._stop)
            hello = session.hello()
            if environment.locked and (hello.differences or hello.scorer_digest != environment.scorer_digest):
                raise SetupError(
                    "The decoder does not match scorer.lock.",
                    hint="Run `cad1 image build`, or delete the environment that `cad1 doctor` names.",
                    detail="\n".join(hello.differences),
                )
            self._session, self.versions = session, hello.versions
        return self._session

    def close(self) -> None:
        """Ends the sandbox; the next file starts another."""
        block, self._block, self._session = self._block, None, None
        if block is not None:
            block.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Session:
    """One decoder that has been started."""

    def __init__(self, running: Running, stop: threading.Event) -> None:
        self.running = running
        self._clock = Clock(LIFETIME_SECONDS)
        self._output: Iterator[bytes | None] = read_output(running, self._clock, stop)
        self._buffer = bytearray()

    def hello(self) -> _Hello:
        """What decodes."""
        self._clock.expect(START_SECONDS, when=f"{START_SECONDS:.0f} s after its start: it said nothing")
        kind, content = self._frame(limit=MAX_LINE_BYTES)
        if kind != MESSAGE:
            raise self.running.broke_protocol("its first frame is not a message")
        try:
            return _Hello.model_validate_json(bytes(content))
        except ValidationError:
            raise self.running.broke_protocol("its first message is not valid") from None

    def decode(self, data: bytes, info: StreamInfo) -> bytes:
        """The samples of a file, as many bytes as its header declares.

        Raises:
            AudioError: If the decoder says that it can't be decoded.
            InternalError: If it breaks the protocol.
        """
        if self._buffer:
            raise self.running.broke_protocol("it sent something that nobody asked for")
        self._clock.expect(FILE_SECONDS, when=f"after {FILE_SECONDS:.0f} s on one file")
        sender = threading.Thread(target=self._send, args=(data,), daemon=True, name="decoder-sender")
        sender.start()
        expected = 2 * info.channels * info.total_samples
        kind, content = self._frame(limit=max(expected, MAX_LINE_BYTES))
        sender.join(FILE_SECONDS)
        if kind == PCM and len(content) == expected:
            return bytes(content)
        if kind == FAILURE:
            raise self._failure(content, info)
        raise self.running.broke_protocol(f"{len(content)} bytes of samples; expected {expected}")

    def _failure(self, content: bytes | bytearray, info: StreamInfo) -> Exception:
        try:
            failure = _Failure.model_validate_json(bytes(content))
        except ValidationError:
            return self.running.broke_protocol("a failure that is not valid")
        if failure.code not in DECODING_CODES:
            return self.running.broke_protocol("a failure of a kind that it can't know")
        try:
            return decoding_error(failure.code, info=info, frames=failure.frames)
        except ValueError as error:
            return self.running.broke_protocol(str(error))

    def _send(self, data: bytes) -> None:
        try:
            for piece in frame(FLAC, data):
                self.running.write(piece)
        except OSError:
            return  # it has ended: its output ends, too

    def _frame(self, *, limit: int) -> tuple[bytes, bytes]:
        kind, length = HEADER.unpack(self._take(HEADER.size))
        if length > limit:
            raise self.running.broke_protocol(f"a frame of {length} bytes; at most {limit} are expected")
        return kind, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                piece = next(self._output)
            except StopIteration:
                self.running.check_end(complete=False)
                raise self.running.broke_protocol("its output ended") from None
            if piece is not None:
                self._buffer += piece
        found = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return found
