from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from harness.baselines.synthetic import make_challenge
from harness.enhance import enhance, load_separator
from harness.enhance.blocks import BlockSeparator
from harness.enhance.neural import PUBLISHED_OPENUNMIX, check_digest
from harness.enhance.track import Track
from harness.protocol.errors import SetupError, UsageError
from validator import validate
from validator.challenge.challenge import Challenge
from validator.challenge.rules import CAD1
from validator.challenge.songs import Song

SEED = 20230817


@pytest.fixture(scope="session")
def torch():
    """PyTorch with both model libraries; skips with the reason if one is missing."""
    module = pytest.importorskip("torch", reason="needs PyTorch, the extra `baselines`")
    pytest.importorskip("torchaudio", reason="needs torchaudio, the extra `baselines`")
    pytest.importorskip("openunmix", reason="needs openunmix, the extra `baselines`")
    return module


@pytest.fixture(scope="session")
def weights(torch, tmp_path_factory):
    """Random weights of both models with a fixed seed, saved like a user's."""
    import openunmix
    import torchaudio

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(SEED)
    networks = {
        "demucs": torchaudio.models.hdemucs_high(sources=list(CAD1.stems)),
        "openunmix": openunmix.umxhq(niter=0, pretrained=False),
    }
    paths = {}
    for name, network in networks.items():
        paths[name] = folder / f"{name}.pth"
        torch.save(network.state_dict(), paths[name])
    return paths


@pytest.fixture
def no_download(monkeypatch, tmp_path):
    """An empty cache, and a network that fails at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    root = make_challenge(
        tmp_path_factory.mktemp("short"), songs=1, listeners=1, seconds=2.0, scored_seconds=1.0
    )
    return Challenge.load(root, split="test")


def separated(separator, challenge):
    track = Track(challenge.songs[0])
    target = np.zeros((4, 2, track.frames), dtype=np.float32)
    separator.separate(track, target, lambda done, total: None)
    return target


@pytest.mark.parametrize("name", ["demucs", "openunmix"])
def test_real_architecture_makes_a_submission(name, weights, short, tmp_path):
    packed = enhance(short, separator=name, output=tmp_path, team="E001", weights=weights[name], device="cpu")
    report = validate(packed, short)
    assert report.valid, report.findings
    with zipfile.ZipFile(packed) as archive:
        assert len(archive.namelist()) == 17


@pytest.mark.parametrize("name", [pytest.param("demucs", marks=pytest.mark.slow), "openunmix"])
def test_same_weights_give_same_identity_and_stems(name, weights, short):
    first, second = (load_separator(name, weights=weights[name], device="cpu") for _ in range(2))
    assert first.identity == second.identity
    assert first.identity.startswith(f"{name} ")
    stems = separated(first, short)
    np.testing.assert_array_equal(stems, separated(second, short))
    assert np.all(stems.std(axis=(1, 2)) > 0)
    assert not np.array_equal(stems[0], stems[1])


LOOP = 43 * 1024  # samples: both models have a hop size of 1024, and are shift-invariant only by whole hops


@pytest.fixture(scope="session")
def loop(tmp_path_factory):
    """A song that repeats every second, so that each block has the levels of the whole song."""
    root = make_challenge(tmp_path_factory.mktemp("once"), songs=1, listeners=1, seconds=2.0)
    once, rate = soundfile.read(
        Challenge.load(root, split="test").songs[0].reference_path("mixture"), dtype="int16"
    )
    folder = tmp_path_factory.mktemp("loop")
    soundfile.write(folder / "mixture.wav", np.tile(once[:LOOP], (9, 1)), rate, subtype="PCM_16")
    return Track(Song("Loop", folder=folder, frames=9 * LOOP))


# With random weights, blocks deviate by their own statistics and recurrent states.
@pytest.mark.parametrize(
    ("name", "deviation"), [pytest.param("demucs", 0.2, marks=pytest.mark.slow), ("openunmix", 0.02)]
)
def test_blocks_agree_with_the_whole_away_from_the_seams(name, deviation, weights, loop):
    loaded = load_separator(name, weights=weights[name], device="cpu")
    assert isinstance(loaded, BlockSeparator)
    whole = np.zeros((4, 2, loop.frames), dtype=np.float32)
    replace(loaded, block=2 * loop.frames).separate(loop, whole, lambda done, total: None)
    parts = np.zeros_like(whole)
    replace(loaded, block=3 * LOOP, overlap=4096).separate(loop, parts, lambda done, total: None)
    away = np.ones(loop.frames, dtype=bool)
    for seam in (3 * LOOP, 6 * LOOP):
        away[seam - LOOP // 2 : seam + LOOP // 2] = False
    error = np.sqrt(np.mean((parts - whole)[:, :, away] ** 2, axis=(1, 2)))
    level = np.sqrt(np.mean(whole[:, :, away] ** 2, axis=(1, 2)))
    assert np.all(error < deviation * level), error / level
    # Between the fades, the result is that of the model for the block.
    alone = loaded.model(_normalised(loop, loaded)[:, 3 * LOOP - 4096 : 6 * LOOP])
    mean, spread = _moments(loop.read("mixture")) if loaded.normalise else (0, 1)
    expected = alone[[loaded.order.index(stem) for stem in CAD1.stems]] * spread + mean
    np.testing.assert_allclose(parts[:, :, 3 * LOOP : 6 * LOOP - 4096], expected[:, :, 4096:-4096], atol=1e-5)


def _moments(mixture):
    middle = mixture.mean(axis=0)
    return middle.mean(), middle.std()


def _normalised(track, separator):
    mixture = track.read("mixture")
    if not separator.normalise:
        return mixture
    mean, spread = _moments(mixture)
    return (mixture - mean) / spread


@pytest.mark.parametrize("name", ["demucs", "openunmix"])
def test_missing_weights_are_a_setup_error_and_nothing_is_written(name, torch, no_download, short, tmp_path):
    with pytest.raises(SetupError, match=f"The weights of {name} are not available") as caught:
        enhance(short, separator=name, output=tmp_path / "out", team="E001")
    assert caught.value.exit_code == 3
    assert "--weights" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_open_unmix_accepts_a_dict_and_the_published_layout(torch, weights, short, tmp_path, monkeypatch):
    from harness.enhance import neural

    flat = torch.load(weights["openunmix"], weights_only=True)
    parts = {
        stem: {
            name.removeprefix(f"target_models.{stem}."): value
            for name, value in flat.items()
            if name.startswith(f"target_models.{stem}.")
        }
        for stem in CAD1.stems
    }
    torch.save(parts, tmp_path / "mapping.pth")
    folder = tmp_path / "folder"
    folder.mkdir()
    published = {}
    for stem, state in parts.items():
        torch.save(state, folder / "part")
        published[stem] = hashlib.sha256((folder / "part").read_bytes()).hexdigest()[:8]
        (folder / "part").rename(folder / f"{stem}-{published[stem]}.pth")
    monkeypatch.setattr(neural, "PUBLISHED_OPENUNMIX", published)
    identities = {
        load_separator("openunmix", weights=path, device="cpu").identity
        for path in (weights["openunmix"], tmp_path / "mapping.pth", folder)
    }
    assert len(identities) == 1


def test_training_with_the_same_seed_gives_the_same_bits(torch, short, tmp_path):
    from harness.enhance.training import train_openunmix

    tracks = [Track(song) for song in short.songs]
    first, second, other = (
        torch.load(
            train_openunmix(tracks, target=tmp_path / f"{name}.pth", seed=seed, steps=5, hidden=32),
            weights_only=True,
        )
        for name, seed in (("first", 1), ("second", 1), ("other", 2))
    )
    same = [torch.equal(first[stem][name], second[stem][name]) for stem in CAD1.stems for name in first[stem]]
    assert len(same) > 40
    assert all(same)
    assert not torch.equal(first["bass"]["fc1.weight"], other["bass"]["fc1.weight"])
    identities = [
        load_separator("openunmix", weights=tmp_path / f"{name}.pth", device="cpu").identity
        for name in ("first", "second", "other")
    ]
    assert identities[0] == identities[1] != identities[2]


TRAINED_ELSEWHERE = """
import sys
from pathlib import Path
import numpy, torch
from harness.enhance.track import Track
from harness.enhance.training import train_openunmix
from validator import Challenge

songs = Challenge.load(Path(sys.argv[1]), split="test").songs
train_openunmix([Track(song) for song in songs], target=Path(sys.argv[2]), steps=3, hidden=16)
print(torch.backends.cpu.get_cpu_capability())
"""
OLD_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


@pytest.mark.slow
def test_training_differs_on_another_processor_only_by_double_rounding(torch, short, tmp_path):
    trained = {}
    for name, processor in (("this", {}), ("old", OLD_PROCESSOR)):
        done = subprocess.run(
            [sys.executable, "-c", TRAINED_ELSEWHERE, str(short.root), str(tmp_path / name)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **processor, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        trained[name] = torch.load(tmp_path / name, weights_only=True)
    assert done.stdout.strip() == "DEFAULT"
    for stem in CAD1.stems:
        for name, here in trained["this"][stem].items():
            there = trained["old"][stem][name]
            if name.endswith("num_batches_tracked"):
                assert here == there
            else:
                assert here.dtype == torch.float64
                assert (here - there).abs().max() <= 2e-8 * here.abs().max(), name


def test_weights_in_double_precision_are_used_in_double_precision(torch, short, tmp_path):
    from harness.enhance.training import train_openunmix

    path = train_openunmix([Track(short.songs[0])], target=tmp_path / "double.pth", steps=2, hidden=16)
    exact = load_separator("openunmix", weights=path, device="cpu")
    states = torch.load(path, weights_only=True)
    single = {
        stem: {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        for stem, state in states.items()
    }
    torch.save(single, tmp_path / "single.pth")
    rounded = load_separator("openunmix", weights=tmp_path / "single.pth", device="cpu")
    assert exact.identity != rounded.identity
    first, second = separated(exact, short), separated(rounded, short)
    assert 0 < np.abs(first - second).max() < 1e-4


@pytest.mark.slow
def test_a_small_trained_open_unmix_learns_its_song(torch, short, tmp_path):
    from harness.enhance.training import train_openunmix

    track = Track(short.songs[0])
    counts = []
    weights = train_openunmix(
        [track], target=tmp_path / "w.pth", report=lambda done, total: counts.append((done, total))
    )
    assert counts == [(step, 240) for step in range(1, 241)]
    stems = separated(load_separator("openunmix", weights=weights, device="cpu"), short)
    mixture = track.read("mixture")
    for stem, estimate in zip(CAD1.stems, stems, strict=True):
        true = track.read(stem)
        gained = 10 * np.log10(np.mean((mixture / 4 - true) ** 2) / np.mean((estimate - true) ** 2))
        assert gained > 2, stem  # dB closer to the true stem than the lower bound, mixture / 4


def test_training_needs_songs(tmp_path):
    from harness.enhance.training import train_openunmix

    with pytest.raises(UsageError, match="at least one song"):
        train_openunmix([], target=tmp_path / "x.pth")


def test_weights_of_another_model_are_rejected(torch, weights, tmp_path):
    with pytest.raises(SetupError, match=r"does not match the model: .* tensors are missing"):
        load_separator("demucs", weights=weights["openunmix"], device="cpu")
    with pytest.raises(SetupError, match="does not have an OpenUnmix for each stem"):
        load_separator("openunmix", weights=weights["demucs"], device="cpu")
    state = torch.load(weights["demucs"], weights_only=True)
    name = next(iter(state))
    state[name] = state[name][:1]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(SetupError, match="does not match the model: size mismatch"):
        load_separator("demucs", weights=tmp_path / "cut.pth", device="cpu")


def test_a_file_without_a_state_is_rejected_and_not_run(torch, tmp_path):
    (tmp_path / "noise.pth").write_bytes(b"not weights at all")
    with pytest.raises(SetupError, match="cannot be read as weights"):
        load_separator("demucs", weights=tmp_path / "noise.pth", device="cpu")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(SetupError, match="contains a Tensor"):
        load_separator("demucs", weights=tmp_path / "tensor.pth", device="cpu")

    class Trap:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"trap": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(SetupError, match="cannot be read as weights"):
        load_separator("demucs", weights=tmp_path / "trap.pth", device="cpu")


def test_a_missing_device_is_a_usage_error(torch, weights):
    for device in ("cuda:63", "toaster"):
        with pytest.raises(UsageError, match=f"no device '{device}'"):
            load_separator("demucs", weights=weights["demucs"], device=device)


def test_the_digest_in_the_name_of_a_file_is_checked(tmp_path):
    content = b"some weights"
    digest = hashlib.sha256(content).hexdigest()
    good = tmp_path / f"vocals-{digest[:8]}.pth"
    good.write_bytes(content)
    check_digest(good)
    plain = tmp_path / "vocals.pth"
    shutil.copy(good, plain)
    check_digest(plain)
    bad = tmp_path / f"vocals-{PUBLISHED_OPENUNMIX['vocals']}.pth"
    bad.write_bytes(content)
    with pytest.raises(SetupError, match=f"SHA-256 starts with {digest[:16]}, expected b62c91ce"):
        check_digest(bad)
    with pytest.raises(SetupError, match="There is no file with weights"):
        check_digest(tmp_path / "nothing.pth")


@pytest.mark.parametrize(("name", "library"), [("demucs", "torchaudio"), ("openunmix", "openunmix")])
def test_missing_libraries_name_the_extra(name, library, short, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SetupError, match=f"{name} needs torch and {library}") as caught:
        enhance(short, separator=name, output=tmp_path / "out", team="E001")
    assert caught.value.extra == "baselines"
    assert not (tmp_path / "out").exists()
