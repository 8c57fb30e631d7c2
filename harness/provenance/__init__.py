"""The bundle that says how a score was made: scores, run record and a statement over both, signed on request."""

from harness.provenance.bundle import export, is_signed, verify

__all__ = ["export", "is_signed", "verify"]
