from __future__ import annotations

import numpy as np
import pytest

from harness.enhance import enhance
from harness.enhance.pack import pack
from harness.enhance.workspace import Workspace, example_bytes


def test_partly_written_stems_are_not_kept(challenge, tmp_path):
    workspace = Workspace(tmp_path / "work")
    song = challenge.songs[0]
    with workspace.open({}):
        with pytest.raises(ValueError, match="broadcast"), workspace.separating(song, frames=10) as stems:
            stems[:] = np.ones(11)
        assert workspace.separated(song) is None
        with workspace.separating(song, frames=10) as stems:
            assert stems.shape == (4, 2, 10)
            assert not stems.any()
            stems[1] = 2
        kept = workspace.separated(song)
        assert kept is not None
        assert np.all(kept[1] == 2)
        assert not kept[0].any()
        workspace.forget(song)
        assert workspace.separated(song) is None


def test_settings_may_change_if_nothing_is_kept(tmp_path):
    workspace = Workspace(tmp_path / "work")
    for settings in ({"separator": "a"}, {"separator": "b"}):
        with workspace.open(settings):
            pass


def test_a_run_without_results_leaves_no_folder(tmp_path):
    workspace = Workspace(tmp_path / "work")
    with workspace.open({}):
        assert workspace.path.is_dir()
    assert not workspace.path.exists()


def test_an_unfinished_zip_is_removed(tmp_path):
    (tmp_path / "there").write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        pack(tmp_path, ["there", "not there"], target=tmp_path / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_estimated_size_is_above_the_true_size_but_close(challenge, tmp_path):
    packed = enhance(challenge, separator="oracle", output=tmp_path, team="E001")
    estimate = sum(example_bytes(song) for song in challenge.songs) * len(challenge.listeners)
    assert estimate / 2 < packed.stat().st_size < estimate
