"""HAAQI, the Hearing-Aid Audio Quality Index: the number that pyclarity 0.3.2 computes, sooner."""

from .index import Quality, compute_haaqi, haaqi_v1
from .song import Song
from .target import environment, is_fixed
from .warmup import precompile

__all__ = ["Quality", "Song", "compute_haaqi", "environment", "haaqi_v1", "is_fixed", "precompile"]
