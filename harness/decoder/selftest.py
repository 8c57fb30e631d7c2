"""`python -m harness.decoder.selftest`: checks a new environment of the decoder.

It runs once when the evaluator image is built, and when the decoder's environment outside containers is made, and
exits with 1 if libsndfile is too old or a FLAC with a known answer is decoded otherwise.
"""

from __future__ import annotations

import re
import sys

import numpy as np
import soundfile

from validator.formats.flac import decode_flac

OLDEST = (1, 2, 2)
"""The libsndfile of the first soundfile wheels with libFLAC 1.4.3. Those before it contain libFLAC 1.3.3, which
returns uninitialised memory for some damaged files."""

FRAMES = 64
RATE = 24000

FLAC = bytes.fromhex(
    "664c6143800000221000100000005500005505dc00f00000004053ac612b5dd832ebbc8287a177e3b531fff86708003f641001c4788d3fcd"
    "923d2b404f2c4808347a5e3c94c171b1690bb3a8c3acfd933d88a32d88412154aaee0106697ba449036348ac682d6dd96bc329d5aeb2797a"
    "2ed20611cc445a113f878a0ec03718"
)
"""`expected()` as libFLAC 1.4.3 encodes it: mono, 16 bit, with an MD5."""


def expected() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """The samples of `FLAC`: int16, shape (FRAMES,)."""
    return np.array([n**3 % 401 - 200 for n in range(FRAMES)], dtype=np.int16)


def main() -> int:
    """Checks the version of libsndfile and one decoded file, and prints both."""
    version = tuple(map(int, re.findall(r"\d+", soundfile.__libsndfile_version__)[:3]))
    recent = version >= OLDEST
    correct = np.array_equal(decode_flac(FLAC, rate=RATE, channels=1, bits=16, max_frames=FRAMES), expected())
    sys.stdout.write(
        f"libsndfile {soundfile.__libsndfile_version__}: {'recent enough' if recent else 'TOO OLD'}\n"
        f"FLAC with a known answer: {'as expected' if correct else 'WRONG'}\n"
    )
    return int(not (recent and correct))


if __name__ == "__main__":
    sys.exit(main())
