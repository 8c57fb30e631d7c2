"""Fixtures for the tests of enhancement: a synthetic challenge, and the shared music set if it is available."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from harness.baselines.synthetic import make_challenge
from validator.challenge.challenge import Challenge

MUSIC_SET = Path(__file__).resolve().parents[3] / "shared" / "data" / "music_set"


@pytest.fixture(scope="session")
def challenge(tmp_path_factory):
    """Two synthetic songs, two listeners, split test."""
    return Challenge.load(make_challenge(tmp_path_factory.mktemp("synthetic")), split="test")


@pytest.fixture(scope="session")
def whole_songs(tmp_path_factory):
    """One synthetic song, one listener, split valid."""
    root = make_challenge(tmp_path_factory.mktemp("whole"), split="valid", songs=1, listeners=1)
    return Challenge.load(root, split="valid")


@pytest.fixture(scope="session")
def music_set():
    """The folder of the shared music set."""
    if not MUSIC_SET.is_dir():
        pytest.skip("needs the shared music set, ../shared/data/music_set next to the repository")
    return MUSIC_SET


@pytest.fixture(scope="session")
def music_challenge(music_set, tmp_path_factory):
    """The shared music set as a challenge."""
    root = tmp_path_factory.mktemp("music")
    arguments = sys.argv
    sys.argv = ["unpack.py", str(root)]
    try:
        runpy.run_path(str(music_set / "unpack.py"), run_name="__main__")
    finally:
        sys.argv = arguments
    return Challenge.load(root, split="test")
