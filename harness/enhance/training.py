"""Trains a small Open-Unmix, as a baseline that needs no downloaded weights.

It is trained on the songs that it separates, for regression tests and not for music. Training amplifies rounding
errors, so everything is computed in double precision, from initial weights of NumPy's frozen legacy generator. With
other kernels of one processor, a longer training in single precision gave scores that differed by 2e-3, and a
training like this one, in double precision, by less than 1e-7. With the same seed, songs, PyTorch and CPU the
weights are bit-identical.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.enhance.neural import libraries, openunmix_separator
from harness.enhance.track import Track
from harness.protocol.errors import UsageError
from validator.challenge.rules import CAD1

BINS = 2049  # of the published models: transforms of 4096 samples
BANDWIDTH_BINS = 1487  # bins up to 16 kHz, as in the published models


def train_openunmix(
    tracks: Sequence[Track],
    *,
    target: Path,
    seed: int = 0,
    steps: int = 60,
    hidden: int = 64,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train one model for each stem on whole songs, and save them for `load_openunmix`.

    Args:
        tracks: Short songs with stems; each is one batch.
        target: File for the weights: a dict from stems to state dictionaries in double precision, in which
            `load_openunmix` then runs the model.
        seed: Seed of the initial weights.
        steps: Updates of each model, song after song.
        hidden: Width of the model.
        report: Called with the number of steps done and in all.

    Returns:
        `target`.

    Raises:
        SetupError: PyTorch or openunmix is missing.
        UsageError: There are no songs, or no steps.
    """
    if not tracks or steps < 1:
        raise UsageError("Training needs at least one song and one step.")
    torch, _, model = libraries("openunmix", "torch", "openunmix", "openunmix.model")
    noise = np.random.RandomState(seed)  # its stream never changes, unlike that of Generator or PyTorch
    with _deterministic(torch):
        transform = openunmix_separator({stem: _new(model, hidden) for stem in CAD1.stems})
        spectra = {
            part: [_magnitude(torch, transform, track.read(part)) for track in tracks]
            for part in ("mixture", *CAD1.stems)
        }
        frames = torch.cat([one.flatten(0, 1).movedim(0, -1).flatten(1) for one in spectra["mixture"]], dim=1)
        mean, scale = frames.mean(dim=1)[:BANDWIDTH_BINS], frames.std(dim=1)[:BANDWIDTH_BINS].clamp(min=1e-4)
        states = {}
        for index, stem in enumerate(CAD1.stems):
            network = _new(model, hidden)
            _draw(torch, network, noise)
            network.input_mean.data.copy_(-mean)
            network.input_scale.data.copy_(1 / scale)
            optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
            for step in range(steps):
                song = step % len(tracks)
                optimiser.zero_grad()
                estimate = network(spectra["mixture"][song])
                loss = torch.nn.functional.mse_loss(estimate, spectra[stem][song])
                loss.backward()
                optimiser.step()
                report(index * steps + step + 1, len(CAD1.stems) * steps)
            states[stem] = network.state_dict()
    torch.save(states, target)
    return target


def _new(model: Any, hidden: int) -> Any:
    return model.OpenUnmix(
        nb_bins=BINS, nb_channels=2, hidden_size=hidden, nb_layers=1, max_bin=BANDWIDTH_BINS
    ).double()


def _draw(torch: Any, network: Any, noise: np.random.RandomState) -> None:
    """Draw initial weights like PyTorch's, uniform within ±1/√inputs, but with the same bits on every processor."""
    for layer in (network.fc1, network.lstm, network.fc2, network.fc3):
        for tensor in layer.parameters():
            inputs = tensor.shape[-1] if tensor.ndim > 1 else layer.hidden_size
            tensor.data.copy_(torch.from_numpy(noise.uniform(-1, 1, tensor.shape) / np.sqrt(inputs)))


def _magnitude(torch: Any, transform: Any, signal: Any) -> Any:
    """Magnitudes of shape (1, 2, bins, frames)."""
    with torch.no_grad():
        return transform.complexnorm(transform.stft(torch.from_numpy(signal).double()[None]))


@contextmanager
def _deterministic(torch: Any) -> Iterator[None]:
    """Run PyTorch with one thread and deterministic algorithms; its settings and generator are restored."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
