"""How a score was made, and whether it is unchanged: bundles, signatures, verification of bundle and store."""

from harness.provenance.bundle import export, is_signed, verify_bundle
from harness.provenance.verification import Verification, verify_store

__all__ = ["Verification", "export", "is_signed", "verify_bundle", "verify_store"]
