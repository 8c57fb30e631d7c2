"""HAAQI, the Hearing-Aid Audio Quality Index: the number that pyclarity 0.3.2 computes, sooner.

Names are imported when they are first asked for, so that `harness.haaqi.target`, which fixes the processor before
Numba is imported, can be had without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .index import Quality, compute_haaqi, haaqi_v1
    from .listening import Listening
    from .song import Song
    from .target import environment, is_fixed
    from .warmup import precompile

__all__ = [
    "Listening",
    "Quality",
    "Song",
    "compute_haaqi",
    "environment",
    "haaqi_v1",
    "is_fixed",
    "precompile",
]

_HOMES = {
    "Listening": "listening",
    "Quality": "index",
    "Song": "song",
    "compute_haaqi": "index",
    "environment": "target",
    "haaqi_v1": "index",
    "is_fixed": "target",
    "precompile": "warmup",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harness.haaqi' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
