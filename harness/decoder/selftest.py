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
from validator.formats.known import FLAC, FRAMES, RATE, expected

OLDEST = (1, 2, 2)
"""The libsndfile of the first soundfile wheels with libFLAC 1.4.3. Those before it contain libFLAC 1.3.3, which
returns uninitialised memory for some damaged files."""


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
