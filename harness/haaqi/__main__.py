"""`python -m harness.haaqi`: compile all loops into Numba's cache, as the image build does."""

from __future__ import annotations

import sys
import time

from harness.haaqi.target import is_fixed
from harness.haaqi.warmup import precompile


def main() -> None:
    """Compile all loops and print how long it took."""
    start = time.perf_counter()
    precompile()
    took = time.perf_counter() - start
    target = "x86-64-v3" if is_fixed() else "this machine's processor"
    sys.stdout.write(f"Compiled HAAQI for {target} in {took:.1f} s.\n")


if __name__ == "__main__":
    main()
