"""Environment variables by which a host tells its evaluator how it runs."""

from __future__ import annotations

CACHE_ENV = "CAD1_NUMBA_CACHE"
"""Names the folder of kernels compiled beforehand; it may be read-only."""

PARENT_ENV = "CAD1_STDIN_IS_PARENT"
"""Set where standard input is a pipe from the host: when it closes, the host is gone and the evaluator ends."""
