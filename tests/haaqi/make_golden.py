"""Write golden.json with pyclarity 0.3.2, which must be importable (NumPy 1.24.4, SciPy 1.10.1).

    PYTHONPATH=. python tests/haaqi/make_golden.py [--long]

The inputs are made from seeds by cases.py and stage_inputs.py; only numbers are stored, those of the fixed
target. `--long` also computes the long cases, which take ten minutes and 12 GB; otherwise they are kept.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from pathlib import Path
from typing import Any

from harness.haaqi.target import environment

os.environ.update(environment())

import numba
import numpy as np
import scipy
from clarity.evaluator.haaqi.haaqi import haaqi_v1

from tests.haaqi import cases, stages

GOLDEN = Path(__file__).parent / "golden.json"


def values(case: cases.Case) -> dict[str, Any]:
    """Return pyclarity's values, and the final state of NumPy's generator."""
    found = case.run(haaqi_v1)
    return {"values": found, "state": cases.generator_state()}


def main() -> None:
    logging.disable(logging.WARNING)
    kept = json.loads(GOLDEN.read_text())
    golden = {
        "made_with": {
            "pyclarity": "0.3.2",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "numba": numba.__version__,
        },
        "cases": {name: values(case) for name, case in cases.CASES.items()},
        "stages": {name: stage.expected().tolist() for name, stage in stages.STAGES.items()},
        "long": kept.get("long", {}),
    }
    if "--long" in sys.argv:
        golden["long"] = {name: values(case) for name, case in cases.LONG.items()}
    GOLDEN.write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
