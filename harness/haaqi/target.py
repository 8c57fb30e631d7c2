"""The processor for which the kernels are compiled.

By default Numba compiles for the processor on which it runs, and code for two processors may round
differently. The variables below fix one target, x86-64-v3 (AVX2 and FMA: every server since about 2013), and
keep NumPy and OpenBLAS from choosing other routines on a newer processor. They are read when NumPy and Numba
are imported, so they must be set before: in the image by the Dockerfile, elsewhere by whatever starts the
scoring process.

This module imports neither NumPy nor Numba.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

CPU_NAME = "x86-64-v3"
CPU_FEATURES = ",".join(
    "+" + feature
    for feature in (
        "64bit",
        "avx",
        "avx2",
        "bmi",
        "bmi2",
        "cmov",
        "cx16",
        "cx8",
        "f16c",
        "fma",
        "fxsr",
        "lzcnt",
        "mmx",
        "movbe",
        "popcnt",
        "sahf",
        "sse",
        "sse2",
        "sse3",
        "sse4.1",
        "sse4.2",
        "ssse3",
        "xsave",
    )
)
_NO_EFFECT_ON_BITS = ("PYTHONWARNINGS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
# The last two are names of NumPy 2.4.
NUMPY_DISABLED_FEATURES = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL X86_V4 AVX512_SPR"


def environment(*, cache_dir: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Return the environment variables with which every x86-64-v3 machine computes the same bits.

    Args:
        cache_dir: folder for Numba's compiled code; None keeps Numba's default.

    Returns:
        Names and values, to be set in the environment of a process before it starts Python.
    """
    variables = {
        "NUMBA_CPU_NAME": CPU_NAME,
        "NUMBA_CPU_FEATURES": CPU_FEATURES,
        "NPY_DISABLE_CPU_FEATURES": NUMPY_DISABLED_FEATURES,
        # NumPy warns about each disabled feature that the machine does not have.
        "PYTHONWARNINGS": "ignore:During parsing environment variable",
        "OPENBLAS_CORETYPE": "Haswell",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }
    if cache_dir is not None:
        variables["NUMBA_CACHE_DIR"] = os.fspath(cache_dir)
    return variables


def is_fixed(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether this process was started with the target fixed."""
    variables = os.environ if environ is None else environ
    return all(
        variables.get(name) == value
        for name, value in environment().items()
        if name not in _NO_EFFECT_ON_BITS
    )
