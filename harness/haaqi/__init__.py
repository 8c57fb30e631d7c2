"""HAAQI, the Hearing-Aid Audio Quality Index: the number that pyclarity 0.3.2 computes, sooner."""

from .index import Quality, compute_haaqi, haaqi_v1
from .song import Song

__all__ = ["Quality", "Song", "compute_haaqi", "haaqi_v1"]
