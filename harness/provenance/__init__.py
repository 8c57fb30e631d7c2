"""How a score was made, and whether it is unchanged: bundles, signatures, verification of bundle and store."""

from harness.provenance.bundle import export, verify_bundle
from harness.provenance.verification import Verification, verify_store

__all__ = ["Verification", "export", "verify_bundle", "verify_store"]
