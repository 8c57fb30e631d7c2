"""`python -m harness.evaluator.selftest`: checks a new environment and fills Numba's cache.

It runs once when the evaluator image is built, and when the environment of the process sandbox is made, and exits
with 1 if either HAAQI differs from the values that pyclarity's tests expect.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from validator.challenge.rules import CAD1

HAAQI_V1_VALUE = 0.111290948
"""haaqi_v1 on seed 0: two uniform(−1, 1) signals of 8000 samples at 16 kHz, as pyclarity's test expects."""

COMPUTE_HAAQI_VALUE = 0.113759275
"""compute_haaqi on seed 42, the processed signal drawn first, as pyclarity's test expects."""

TOLERANCE = 1e-8
"""A little more than half a unit in the last digit of the expected values."""


def own_values(haaqi_v1: Callable[..., Any], compute_haaqi: Callable[..., float]) -> tuple[float, float]:
    """The values of pyclarity's two test cases, computed with the given functions."""
    np.random.seed(0)
    reference, processed = (np.random.uniform(-1, 1, 8000) for _ in range(2))
    loss = np.array([45, 45, 35, 45, 60, 65])
    first = haaqi_v1(
        reference=reference,
        reference_freq=16000,
        processed=processed,
        processed_freq=16000,
        hearing_loss=loss,
        equalisation=1,
        level1=65,
    )[0]
    np.random.seed(42)
    processed, reference = (np.random.uniform(-1, 1, 8000) for _ in range(2))
    second = compute_haaqi(
        processed_signal=processed,
        reference_signal=reference,
        sample_rate_processed=16000,
        sample_rate_reference=16000,
        audiogram=np.array([10, 20, 30, 40, 50, 60]),
        audiogram_frequencies=np.array(CAD1.frequencies),
        level1=65,
    )
    return float(first), float(second)


def main() -> int:
    """Compiles all kernels, checks both HAAQIs and prints their values."""
    started = time.monotonic()
    from clarity.evaluator.haaqi import haaqi_v1  # noqa: PLC0415

    from harness import haaqi  # noqa: PLC0415
    from harness.evaluator.engines import pyclarity_function  # noqa: PLC0415

    haaqi.precompile()
    expected = (HAAQI_V1_VALUE, COMPUTE_HAAQI_VALUE)
    failed = False
    for name, values in (
        ("pyclarity", own_values(haaqi_v1, pyclarity_function())),
        ("fast", own_values(haaqi.haaqi_v1, haaqi.compute_haaqi)),
    ):
        correct = all(abs(a - b) < TOLERANCE for a, b in zip(values, expected, strict=True))
        failed |= not correct
        sys.stdout.write(f"{name}: {values[0]!r}, {values[1]!r}: {'as expected' if correct else 'WRONG'}\n")
    sys.stdout.write(f"compiled and checked in {time.monotonic() - started:.1f} s\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
