"""Loads a separator by name: a model, a yardstick or a callable of the user."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.enhance.neural import load_demucs, load_openunmix
from harness.enhance.separators import Leaky, Mixture, Oracle, Separator, TeamSeparator
from harness.protocol.errors import UsageError

YARDSTICKS: dict[str, Callable[[], Separator]] = {"oracle": Oracle, "mixture": Mixture, "leaky": Leaky}
MODELS: dict[str, Callable[..., Separator]] = {
    "demucs": load_demucs,
    "openunmix": load_openunmix,
}
BUILT_IN = (*MODELS, *YARDSTICKS)


def needs_stems(spec: str) -> bool:
    """Whether a separator reads a song's true stems, and not only its mixture."""
    return spec in {"oracle", "leaky"}


def load_separator(spec: str, *, weights: Path | None = None, device: str | None = None) -> Separator:
    """Load a separator by name.

    Args:
        spec: One of `BUILT_IN`, or `package.module:name` for the user's own callable. The current folder is
            searched after the installed packages.
        weights: File with the weights of a model; None to download the published weights.
        device: Device of a model: "cpu", "cuda", "cuda:1"; None for the best device.

    Raises:
        UsageError: There is no such separator, it cannot be imported, or it has no weights or device.
        SetupError: A model's library or weights are not available.
    """
    if spec in MODELS:
        return MODELS[spec](weights=weights, device=device)
    if weights is not None or device is not None:
        raise UsageError(
            f"The separator {spec!r} has neither weights nor a device.",
            hint=f"Use --weights and --device only with {' and '.join(MODELS)}.",
        )
    if spec in YARDSTICKS:
        return YARDSTICKS[spec]()
    module_name, colon, attribute = spec.partition(":")
    if not (colon and module_name and attribute):
        raise UsageError(
            f"There is no separator {spec!r}.",
            hint=f"Use one of {', '.join(BUILT_IN)}, or package.module:name for your own.",
        )
    found = _import(spec, module_name=module_name, attribute=attribute)
    if inspect.isclass(found):
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"The separator class {spec} cannot be created without arguments: "
                f"{type(error).__name__}: {error}",
                hint="Give its arguments defaults, or use a function instead.",
            ) from error
    if not callable(found):
        raise UsageError(
            f"{spec} is not callable: its type is {type(found).__name__}.",
            hint="Use a function of (mixture, sample_rate), or a class whose instances are called like it.",
        )
    return TeamSeparator(spec, found)


def _import(spec: str, *, module_name: str, attribute: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"The module of the separator {spec} cannot be imported: {type(error).__name__}: {error}",
            hint="Run the command in the folder that contains it, or install it in the same environment.",
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        names = sorted(name for name in vars(module) if not name.startswith("_"))
        raise UsageError(
            f"The module {module_name} has no attribute {attribute!r}.",
            hint=f"Its attributes are {', '.join(names)}." if names else "It is empty.",
        ) from error
