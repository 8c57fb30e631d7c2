"""The environment variables that fix the bits: the image sets the same in its Dockerfile, a test compares them."""

from __future__ import annotations

import platform

THREADS: dict[str, str] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
"""One thread per numeric library: sums in one order, and N sandboxes on N cores."""

X86_64_V3: dict[str, str] = {
    "NUMBA_CPU_NAME": "x86-64-v3",
    "NUMBA_CPU_FEATURES": (
        "+64bit,+cmov,+cx8,+cx16,+fxsr,+mmx,+sahf,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+crc32,"
        "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
    ),
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    "OPENBLAS_CORETYPE": "Haswell",
}
"""One CPU target for Numba, no wider kernels in NumPy, one core type for OpenBLAS."""


def fixed() -> dict[str, str]:
    """What a child process of this machine gets; other processors than x86-64 keep their own target."""
    target = X86_64_V3 if platform.machine().lower() in {"x86_64", "amd64"} else {}
    return THREADS | target
