"""HAAQI, the Hearing-Aid Audio Quality Index: the score of pyclarity 0.3.2, computed faster.

Names are imported on first use, because `harness.haaqi.target` fixes the processor target and must be imported
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

_MODULES = {
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
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
