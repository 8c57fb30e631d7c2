"""`python -m harness.haaqi`: compile all loops into Numba's cache, as at the building of the image."""

from __future__ import annotations

import sys
import time

from harness.haaqi.target import is_fixed
from harness.haaqi.warmup import precompile


def main() -> None:
    """Compile, and say so."""
    start = time.perf_counter()
    precompile()
    took = time.perf_counter() - start
    target = "x86-64-v3" if is_fixed() else "this machine's own processor"
    sys.stdout.write(f"HAAQI is compiled for {target}; it took {took:.1f} s.\n")


if __name__ == "__main__":
    main()
