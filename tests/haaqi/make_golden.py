"""Write golden.json anew with pyclarity 0.3.2, which must be importable (NumPy 1.24.4, SciPy 1.10.1).

    PYTHONPATH=. python tests/haaqi/make_golden.py

The inputs are made from seeds by haaqi_cases.py and haaqi_stages.py; only numbers are stored.
"""

from __future__ import annotations

import json
import logging
import platform
import zlib
from pathlib import Path

import haaqi_cases
import haaqi_stages
import numba
import numpy as np
import scipy
from clarity.evaluator.haaqi.haaqi import haaqi_v1

GOLDEN = Path(__file__).parent / "golden.json"


def main() -> None:
    logging.disable(logging.WARNING)
    cases = {}
    for name, case in haaqi_cases.CASES.items():
        try:
            values = case.run(haaqi_v1)
        except (ValueError, IndexError) as error:
            cases[name] = {"error": type(error).__name__}
            continue
        state = np.random.get_state()
        cases[name] = {"values": values, "state": [zlib.crc32(state[1].tobytes()), *state[2:]]}
    stages = {name: stage.theirs().tolist() for name, stage in haaqi_stages.STAGES.items()}
    golden = {
        "made_with": {
            "pyclarity": "0.3.2",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "numba": numba.__version__,
        },
        "cases": cases,
        "stages": stages,
    }
    GOLDEN.write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
