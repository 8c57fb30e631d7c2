"""Fixtures for the tests of the metric."""

from __future__ import annotations

import json
import os
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from harness.haaqi.target import environment

HERE = Path(__file__).parent

# The stored numbers are those of the fixed target. Where pyclarity can run, NumPy's own functions are used, and
# they must be fixed before NumPy is imported.
if "numpy" not in sys.modules and platform.machine().lower() in {"x86_64", "amd64"}:
    os.environ.update(environment())
    with warnings.catch_warnings(action="ignore"):  # NumPy warns about features that it does not know
        import numpy  # noqa: F401


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """The numbers of pyclarity 0.3.2; see make_golden.py."""
    golden: dict[str, Any] = json.loads((HERE / "golden.json").read_text())
    return golden


@pytest.fixture(scope="session")
def pyclarity() -> Any:
    """pyclarity's HAAQI module, if this environment supports it."""
    module = pytest.importorskip(
        "clarity.evaluator.haaqi.haaqi", reason="pyclarity 0.3.2 is not installed here"
    )
    scipy_signal = pytest.importorskip("scipy.signal")
    if not hasattr(scipy_signal, "hamming"):
        pytest.skip("pyclarity 0.3.2 does not work with this SciPy (scipy.signal.hamming is gone)")
    return module
