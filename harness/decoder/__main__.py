"""`python -m harness.decoder`: decodes FLAC files inside a sandbox, one after the other.

Standard input and output carry frames (`harness.protocol.frames`). The first frame of the output says what
decodes; then each FLAC frame of the input is answered by its samples, or by the code of what is wrong with it. The
host checks whatever comes out: length and MD5 must be those of the file's own header.
"""

from __future__ import annotations

import json
import os
import platform
import sys

from harness.protocol import lock
from harness.protocol.frames import FAILURE, FLAC, MESSAGE, PCM, FrameError, frame, read_frame
from harness.protocol.parent import exit_with_parent
from validator.formats.flac import AudioError, decode_frames
from validator.formats.pcm import little_endian
from validator.formats.streaminfo import HEADER_BYTES, parse

MAX_FLAC_BYTES = 1 << 30
"""More than any file that the host accepts."""


def main() -> int:
    """Answers the host until it closes standard input; what a library prints goes to standard error."""
    exit_with_parent()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(kind: bytes, content: bytes | memoryview) -> None:
        for piece in frame(kind, content):
            output.write(piece)
        output.flush()

    send(MESSAGE, json.dumps(_description()).encode())
    while (found := read_frame(sys.stdin.buffer, limit=MAX_FLAC_BYTES)) is not None:
        kind, content = found
        if kind != FLAC:
            raise FrameError(f"a frame of the kind {kind!r}; expected {FLAC!r}")
        data = bytes(content)
        try:
            pcm = decode_frames(data, parse(data[:HEADER_BYTES]))
        except AudioError as error:
            send(FAILURE, json.dumps({"code": error.code, "frames": error.frames}).encode())
        else:
            send(PCM, little_endian(pcm))
    return 0


def _description() -> dict[str, object]:
    """What decodes: the lock of these sources, how they differ from it, and the versions of the packages."""
    own = lock.Lock.load()
    versions = lock.installed_versions(lock.HARNESS.parent, "decoder")
    return {
        "scorer_digest": own.digest,
        "differences": [one[:4000] for one in own.own_differences("decoder", host=own.digest)[:64]],
        "versions": versions | {"python": platform.python_version()},
    }


if __name__ == "__main__":
    sys.exit(main())
