"""Finding the separator that a user names: a model, a yardstick or a callable of the user's own."""

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
    """Whether a separator, as a user names it, reads a song's true stems; all others get by on the mixture."""
    return spec in {"oracle", "leaky"}


def load_separator(spec: str, *, weights: Path | None = None, device: str | None = None) -> Separator:
    """The separator that a user names.

    Args:
        spec: One of `BUILT_IN`, or `package.module:name` for a callable of the user's own. The current
            folder is searched after the installed packages.
        weights: A file of weights for a model; its publisher's own are downloaded where None.
        device: Where a model runs: "cpu", "cuda", "cuda:1"; the best there is where None.

    Raises:
        UsageError: There is no such separator, it cannot be imported, or it takes no weights or device.
        SetupError: A model's library or weights cannot be had.
    """
    if spec in MODELS:
        return MODELS[spec](weights=weights, device=device)
    if weights is not None or device is not None:
        raise UsageError(
            f"The separator {spec!r} takes neither weights nor a device.",
            hint=f"--weights and --device are for {' and '.join(MODELS)}.",
        )
    if spec in YARDSTICKS:
        return YARDSTICKS[spec]()
    module_name, colon, attribute = spec.partition(":")
    if not (colon and module_name and attribute):
        raise UsageError(
            f"There is no separator {spec!r}.",
            hint=f"Built in are {', '.join(BUILT_IN)}; your own is named package.module:name.",
        )
    found = _import(spec, module_name=module_name, attribute=attribute)
    if inspect.isclass(found):
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"The separator class {spec} cannot be made without arguments: "
                f"{type(error).__name__}: {error}",
                hint="Give its arguments defaults, or name a function instead.",
            ) from error
    if not callable(found):
        raise UsageError(
            f"{spec} is a {type(found).__name__}, which cannot be called.",
            hint="Name a function of (mixture, sample_rate), or a class whose instances are called so.",
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
            hint="Start the command in the folder that holds it, or install it beside cad1-harness.",
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        names = sorted(name for name in vars(module) if not name.startswith("_"))
        raise UsageError(
            f"The module {module_name} has nothing called {attribute!r}.",
            hint=f"It has {', '.join(names) or 'nothing'}.",
        ) from error
