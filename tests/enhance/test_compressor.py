from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.enhance.compressor import Compressor

GOLDEN = json.loads(Path(__file__).with_name("compressor_golden.json").read_text(encoding="utf-8"))


def loud_and_soft():
    position = np.arange(30000)
    return np.maximum(np.sin(2 * np.pi * position / 15000), 0) * np.sin(2 * np.pi * position / 100)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_equals_pyclarity(case):
    settings = dict(case["settings"])
    settings["window"] = settings.pop("rms_buffer_size")
    compressed = Compressor(**settings)(loud_and_soft())
    expected = np.array([float.fromhex(value) for value in case["samples"]])
    np.testing.assert_allclose(compressed[:: case["every"]], expected, rtol=0, atol=1e-9)


def test_defaults_equal_the_recipe():
    recipe = next(case for case in GOLDEN["cases"] if case["name"] == "recipe")["settings"]
    ours = Compressor()
    assert {
        "threshold": ours.threshold,
        "attenuation": ours.attenuation,
        "attack": ours.attack,
        "release": ours.release,
        "rms_buffer_size": ours.window,
    } == recipe


def test_soft_signals_pass_unchanged():
    soft = 0.1 * np.sin(np.arange(20000) / 7)
    np.testing.assert_allclose(Compressor()(soft), soft, atol=1e-12)
