"""Writes `nalr_golden.json` and `compressor_golden.json`: results of pyclarity 0.3.2.

Run it where pyclarity 0.3.2 is installed (the evaluator image, or its environment):

    python tests/enhance/make_golden.py

Numbers are written as C99 hexadecimal floats, so that nothing is lost.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from clarity.enhancer.compressor import Compressor
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


# The configuration of the challenge's recipe, and one with other values throughout.
COMPRESSORS = {
    "recipe": {
        "threshold": 0.35,
        "attenuation": 0.1,
        "attack": 50,
        "release": 1000,
        "rms_buffer_size": 0.064,
    },
    "other": {"threshold": 0.2, "attenuation": 0.3, "attack": 5, "release": 20, "rms_buffer_size": 0.01},
}
KEPT = 37  # samples between two that are kept of a compressed signal


def loud_and_soft() -> np.ndarray:
    """A tone of 30000 samples that rises above any threshold and is silent twice."""
    position = np.arange(30000)
    return np.maximum(np.sin(2 * np.pi * position / 15000), 0) * np.sin(2 * np.pi * position / 100)


def nalr_cases() -> list[dict]:
    """Taps for every audiogram and design."""
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
    return cases


def compressor_cases() -> list[dict]:
    """Every `KEPT`-th sample of the same signal after each compressor."""
    cases = []
    for name, settings in COMPRESSORS.items():
        compressed, _, _ = Compressor(fs=44100, **settings).process(loud_and_soft())
        kept = [float(value).hex() for value in compressed[::KEPT]]
        cases.append({"name": name, "settings": settings, "every": KEPT, "samples": kept})
    return cases


def main() -> None:
    """Write both files to the folder of this script."""
    made_by = {package: version(package) for package in ("pyclarity", "numpy", "scipy")}
    for name, cases in (("nalr", nalr_cases()), ("compressor", compressor_cases())):
        target = Path(__file__).with_name(f"{name}_golden.json")
        target.write_text(json.dumps({"made_by": made_by, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
