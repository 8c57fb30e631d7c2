"""Writes `nalr_golden.json`: NAL-R taps as pyclarity 0.3.2 designs them.

Run it where pyclarity 0.3.2 is installed (the evaluator image, or its environment):

    python tests/enhance/make_golden.py

The taps are written as C99 hexadecimal floats, so that nothing is lost.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from clarity.enhancer.nalr import NALR

FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
AUDIOGRAMS = {
    "mild": [25, 30, 35, 45, 55, 60, 65, 70],
    "severe, summed loss above 180 dB": [55, 60, 65, 70, 75, 75, 80, 80],
    "no loss": [0, 0, 0, 0, 0, 0, 0, 0],
    "better than normal": [-5, -5, -5, -10, -5, -5, -5, -5],
    "summed loss of exactly 180 dB": [40, 60, 60, 60, 60, 60, 60, 60],
    "loss at 3000 and 8000 Hz only": [0, 0, 0, 0, 40, 0, 0, 60],
    "falling": [70, 60, 50, 40, 30, 20, 10, 0],
}
SPARSE = {"frequencies": [125, 500, 1500, 6000], "levels": [10, 20, 45, 70]}
DESIGNS = [(44100, 220), (24000, 140), (32000, 64)]


def main() -> None:
    """Design every case and write the file beside this script."""
    cases = []
    audiograms = [(name, FREQUENCIES, levels) for name, levels in AUDIOGRAMS.items()]
    audiograms.append(("four points", SPARSE["frequencies"], SPARSE["levels"]))
    for name, frequencies, levels in audiograms:
        for sample_rate, order in DESIGNS:
            taps, _ = NALR(order, sample_rate).build(np.array(levels), np.array(frequencies))
            cases.append(
                {
                    "name": name,
                    "frequencies": frequencies,
                    "levels": levels,
                    "sample_rate": sample_rate,
                    "order": order,
                    "taps": [float(tap).hex() for tap in taps],
                }
            )
    made_by = {package: version(package) for package in ("pyclarity", "numpy", "scipy")}
    target = Path(__file__).with_name("nalr_golden.json")
    target.write_text(json.dumps({"made_by": made_by, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
