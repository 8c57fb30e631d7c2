"""What the tests of the metric share."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """What pyclarity 0.3.2 computed; see make_golden.py."""
    return json.loads((HERE / "golden.json").read_text())


@pytest.fixture(scope="session")
def pyclarity() -> Any:
    """pyclarity's HAAQI module, where this environment has one that works."""
    module = pytest.importorskip(
        "clarity.evaluator.haaqi.haaqi", reason="pyclarity 0.3.2 is not installed here"
    )
    scipy_signal = pytest.importorskip("scipy.signal")
    if not hasattr(scipy_signal, "hamming"):
        pytest.skip("pyclarity 0.3.2 does not work with this SciPy (scipy.signal.hamming is gone)")
    return module
