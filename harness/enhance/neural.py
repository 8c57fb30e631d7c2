"""The models of the challenge's two baselines: Hybrid Demucs and Open-Unmix.

torch, torchaudio and openunmix belong to the extra `baselines`; they are imported only when a model is loaded.

Sources:
    Défossez (2021), "Hybrid Spectrogram and Waveform Source Separation", MDX workshop: torchaudio's
    `HDEMUCS_HIGH_MUSDB`, trained on the training set of MUSDB18-HQ.
    Stöter, Uhlich, Liutkus & Mitsufuji (2019), "Open-Unmix - A Reference Implementation for Music Source
    Separation", JOSS 4(41): `umxhq`, without Wiener iterations, as in the challenge's recipe.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.enhance.blocks import BlockSeparator, Model
from harness.protocol.errors import SetupError, UsageError
from validator.challenge.rules import CAD1

# First digits of the SHA-256 of Open-Unmix's published weights (umxhq), one file for each stem.
PUBLISHED_OPENUNMIX = {"bass": "8d85a5bd", "drums": "9619578f", "other": "b52fbbf7", "vocals": "b62c91ce"}

_HASHED_NAME = re.compile(r"-([0-9a-f]{8,64})\.[A-Za-z]+$")  # PyTorch's convention: name-<sha256>.pth
_OPTIONAL = "num_batches_tracked"  # a counter that models saved long ago do not have


def load_demucs(*, weights: Path | None, device: str | None) -> BlockSeparator:
    """Load Hybrid Demucs as in the recipe: blocks of 11 s of the normalised song.

    Args:
        weights: File with a state dictionary of torchaudio's `hdemucs_high` for drums, bass, other and vocals;
            None to use the published weights, from PyTorch's cache or downloaded.
        device: Name of a PyTorch device; None for the best device.

    Raises:
        SetupError: A library or the weights are not available, or the weights do not match the model.
        UsageError: There is no such device.
    """
    torch, torchaudio = libraries("demucs", "torch", "torchaudio")
    chosen = _device(torch, device)
    if weights is None:
        bundle = import_module("torchaudio.pipelines").HDEMUCS_HIGH_MUSDB
        network = _fetched("demucs", bundle.get_model)
    else:
        network = torchaudio.models.hdemucs_high(sources=list(CAD1.stems))
        _fill(network, _state(torch, weights), weights=weights)
    order = tuple(network.sources)
    return BlockSeparator(
        identity=f"demucs {_fingerprint(network)}",
        model=_runner(torch, network, chosen),
        order=order,
        normalise=True,
    )


def load_openunmix(*, weights: Path | None, device: str | None) -> BlockSeparator:
    """Load Open-Unmix (umxhq, no Wiener iterations) as in the recipe: blocks of 11 s.

    Args:
        weights: File with a state dictionary of openunmix's `Separator`, or with a dict from stems to state
            dictionaries of `OpenUnmix` (of any size); or a folder with the four published files; None to use
            the published weights, from PyTorch's cache or downloaded.
        device: Name of a PyTorch device; None for the best device.

    Raises:
        SetupError: A library or the weights are not available, or the weights do not match the model.
        UsageError: There is no such device.
    """
    torch, openunmix = libraries("openunmix", "torch", "openunmix")
    chosen = _device(torch, device)
    if weights is None:
        network = _fetched("openunmix", lambda: openunmix.umxhq(niter=0, device="cpu"))
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        for stem, digest in PUBLISHED_OPENUNMIX.items():
            check_digest(cache / f"{stem}-{digest}.pth")
    else:
        states = _openunmix_states(torch, weights)
        network = openunmix_separator(
            {stem: _openunmix_model(state, weights=weights) for stem, state in states.items()}
        )
    return BlockSeparator(
        identity=f"openunmix {_fingerprint(network)}",
        model=_runner(torch, network, chosen),
        order=tuple(network.target_models),
        normalise=False,
    )


def check_digest(path: Path) -> None:
    """Verify the SHA-256 in the name of a file, if there is one (`name-<hexadecimal>.pth`).

    Raises:
        SetupError: It differs, or there is no such file.
    """
    named = _HASHED_NAME.search(path.name)
    if not path.is_file():
        raise SetupError(
            f"There is no file with weights at {path}.", hint="Give the path of a file saved by torch.save."
        )
    if named is None:
        return
    found = _digest(path)
    if not found.startswith(named[1]):
        raise SetupError(
            f"{path} is damaged or has the wrong name: its SHA-256 starts with {found[:16]}, "
            f"expected {named[1]}.",
            hint="Download the file again, or rename it if it is your own.",
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def libraries(model: str, *names: str) -> list[ModuleType]:
    """Import the libraries that a model needs.

    Raises:
        SetupError: A library is not installed or cannot be loaded.
    """
    try:
        return [import_module(name) for name in names]
    except (ImportError, OSError) as error:
        raise SetupError(f"{model} needs {' and '.join(names)}: {error}.", extra="baselines") from error


def lacking_openunmix() -> str:
    """Why Open-Unmix cannot run on this machine, in one sentence; empty if it can."""
    try:
        libraries("openunmix", "torch", "openunmix")
    except SetupError as error:
        return error.message
    return ""


def _device(torch: Any, name: str | None) -> Any:
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"PyTorch has no device {name!r} on this machine: {str(error).splitlines()[0]}",
            hint="Use --device cpu, or omit it.",
        ) from error
    return device


def _fetched(model: str, fetch: Callable[[], Any]) -> Any:
    try:
        return fetch()
    except Exception as error:  # network, cache and unpickling raise many kinds
        raise SetupError(
            f"The weights of {model} are not available: {type(error).__name__}: {error}",
            hint="Connect to the internet once, or give a file with --weights.",
        ) from error


def _state(torch: Any, path: Path) -> dict[str, Any]:
    """Read a state dictionary, without running code from the file."""
    check_digest(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise any kind
        raise SetupError(
            f"{path} cannot be read as weights: {type(error).__name__}: {str(error).splitlines()[0]}",
            hint="It must be a state dictionary saved by torch.save.",
        ) from error
    if not isinstance(state, Mapping):
        raise SetupError(
            f"{path} contains a {type(state).__name__}, expected a state dictionary.",
            hint="Save model.state_dict(), not the model.",
        )
    return dict(state)


def _openunmix_states(torch: Any, weights: Path) -> dict[str, dict[str, Any]]:
    if weights.is_dir():
        return {
            stem: _state(torch, weights / f"{stem}-{digest}.pth")
            for stem, digest in PUBLISHED_OPENUNMIX.items()
        }
    state = _state(torch, weights)
    if set(CAD1.stems) <= set(state):
        return {stem: dict(state[stem]) for stem in CAD1.stems}
    prefixes = {stem: f"target_models.{stem}." for stem in CAD1.stems}
    return {
        stem: {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        for stem, prefix in prefixes.items()
    }


def openunmix_separator(models: Mapping[str, Any]) -> Any:
    """openunmix's `Separator` with one `OpenUnmix` for each stem, without Wiener iterations.

    It computes in the precision of the models, including the transforms.
    """
    bins = {int(model.nb_output_bins) for model in models.values()}.pop()
    separator = import_module("openunmix.model").Separator(
        target_models=dict(models),
        niter=0,
        residual=False,
        sample_rate=float(CAD1.reference_rate),
        n_fft=2 * (bins - 1),
        n_hop=(bins - 1) // 2,
        nb_channels=2,
        filterbank="torch",
    )
    torch = import_module("torch")
    precision = {model.fc1.weight.dtype for model in models.values()}.pop()
    for transform in (separator.stft, separator.istft):
        transform.window.data = torch.hann_window(len(transform.window), dtype=precision)
    return separator


def _openunmix_model(state: Mapping[str, Any], *, weights: Path) -> Any:
    """An `OpenUnmix` of the size of a state dictionary, with that state."""
    try:
        network = import_module("openunmix.model").OpenUnmix(
            nb_bins=len(state["output_mean"]),
            nb_channels=2,
            hidden_size=len(state["fc1.weight"]),
            nb_layers=sum(re.fullmatch(r"lstm\.weight_ih_l\d+", name) is not None for name in state),
            unidirectional="lstm.weight_ih_l0_reverse" not in state,
            max_bin=len(state["input_mean"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SetupError(
            f"{weights} does not match the model: it does not have an OpenUnmix for each stem ({error}).",
            hint="The weights belong to another model.",
        ) from error
    torch = import_module("torch")
    if getattr(state["fc1.weight"], "dtype", None) == torch.float64:
        network.double()
    _fill(network, state, weights=weights)
    return network


def _fill(network: Any, state: Mapping[str, Any], *, weights: Path) -> None:
    """Load a state into a network; a missing tensor or another shape is an error."""
    try:
        result = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise SetupError(
            f"{weights} does not match the model: {str(error).splitlines()[-1].strip()}",
            hint="The weights belong to another model.",
        ) from error
    missing = [name for name in result.missing_keys if not name.endswith(_OPTIONAL)]
    if missing:
        raise SetupError(
            f"{weights} does not match the model: {len(missing)} tensors are missing, such as {missing[0]}.",
            hint="The weights belong to another model.",
        )


def _fingerprint(network: Any) -> str:
    """First digits of the SHA-256 of all tensors of a network, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _runner(torch: Any, network: Any, device: Any) -> Model:
    network.to(device)
    network.eval()
    precision = next(network.parameters()).dtype

    def run(block: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(block, dtype=np.float32))[None]
            stems: NDArray[np.float32] = network(batch.to(device, precision))[0].cpu().float().numpy()
            return stems

    return run
