"""Environment variables with which a host configures its evaluator."""

from __future__ import annotations

CACHE_ENV = "CAD1_NUMBA_CACHE"
"""The folder of precompiled kernels; may be read-only."""
