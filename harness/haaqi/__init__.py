"""HAAQI, the Hearing-Aid Audio Quality Index: the number that pyclarity 0.3.2 computes, sooner.

Names are imported when they are first asked for: `harness.haaqi.target` fixes the processor, and has to be imported
before Numba is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.haaqi.index import Quality as Quality
    from harness.haaqi.index import compute_haaqi as compute_haaqi
    from harness.haaqi.index import haaqi_v1 as haaqi_v1
    from harness.haaqi.listening import Listening as Listening
    from harness.haaqi.song import Song as Song
    from harness.haaqi.target import environment as environment
    from harness.haaqi.target import is_fixed as is_fixed
    from harness.haaqi.warmup import precompile as precompile

_HOMES = {
    "Listening": "harness.haaqi.listening",
    "Quality": "harness.haaqi.index",
    "Song": "harness.haaqi.song",
    "compute_haaqi": "harness.haaqi.index",
    "environment": "harness.haaqi.target",
    "haaqi_v1": "harness.haaqi.index",
    "is_fixed": "harness.haaqi.target",
    "precompile": "harness.haaqi.warmup",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
