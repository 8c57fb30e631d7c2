"""Environment variables with which a host configures its evaluator."""

from __future__ import annotations

CACHE_ENV = "CAD1_NUMBA_CACHE"
"""The folder of precompiled kernels; may be read-only."""

PARENT_ENV = "CAD1_STDIN_IS_PARENT"
"""Set if standard input is a pipe from the host: once it closes, the host is gone and the evaluator exits."""
