"""The command that compares two sound files."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import log
from harness.protocol.errors import UsageError
from validator.challenge.rules import CAD1

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHANNELS = {"left": 0, "right": 1}

ALL_FREQUENCIES = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)
"""Of the listeners' metadata; HAAQI uses six of them."""

PATIENCE = 3.0
"""Seconds after which loading the compiled loops can only be compiling them."""


def haaqi_command(
    reference: Annotated[Path, typer.Argument(help="The clean sound, not amplified.", show_default=False)],
    processed: Annotated[
        Path, typer.Argument(help="The sound to judge, amplified for the listener.", show_default=False)
    ],
    audiogram: Annotated[
        str,
        typer.Option(
            help="The ear's hearing loss in dB HL, with commas: at 250, 500, 1000, 2000, 4000 and 6000 Hz, or at "
            "the eight frequencies of the listeners' metadata.",
            show_default=False,
        ),
    ],
    level: Annotated[
        float, typer.Option(help="Level in dB SPL at which the listener hears the reference.")
    ] = CAD1.level,
    channel: Annotated[
        str,
        typer.Option(
            help="Of files with several channels: left, right, or a number from 1.", show_default=False
        ),
    ] = "",
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Seed of the metric's noise; by default the challenge's rule, applied to the reference's name.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute HAAQI of two sound files

    Prints a number from 0 (worst) to 1. The first call on a machine compiles the metric.
    """
    import numpy as np

    levels = _levels(audiogram)
    clean = _read(reference, channel)
    other = _read(processed, channel)
    rms = np.sqrt(np.mean(np.square(clean)))  # in single precision, as the scorer's
    if rms == 0.0:
        raise UsageError(f"{reference} is silent; HAAQI is undefined.", hint="Give another reference.")
    level1 = level - 20.0 * float(np.log10(rms))
    used = CAD1.seed(reference.stem) if seed is None else seed
    with _announcing_compilation():
        from harness.haaqi import compute_haaqi, precompile

        precompile()
    log(f"{reference.name} is heard at {level:g} dB SPL (level1 = {level1:.2f} dB); the seed is {used}.")
    frequencies = CAD1.frequencies if len(levels) == len(CAD1.frequencies) else ALL_FREQUENCIES
    try:
        value = compute_haaqi(
            *(other, clean, CAD1.stem_rate, CAD1.stem_rate, levels, frequencies),
            level1=level1,
            rng=np.random.RandomState(used),
        )
    except ValueError as error:
        raise UsageError(f"HAAQI of {processed} against {reference} is undefined: {error}") from error
    defined = bool(np.isfinite(value))
    if as_json:
        document = {
            "schema_version": 1,
            "haaqi": float(value) if defined else None,
            "reference": str(reference),
            "processed": str(processed),
            "channel": channel or None,
            "audiogram": dict(zip(map(str, frequencies), levels, strict=True)),
            "level": level,
            "level1": level1,
            "seed": used,
        }
        sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
    else:
        sys.stdout.write(f"{value:.6f}\n" if defined else "undefined\n")
    if not defined:
        log("Nothing of the reference is above the listener's threshold.")


def _levels(text: str) -> list[float]:
    """The levels of an audiogram.

    Raises:
        UsageError: They are not six or eight numbers.
    """
    hint = f"Give `--audiogram` {len(CAD1.frequencies)} or {len(ALL_FREQUENCIES)} levels: 20,30,35,45,50,60."
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"The audiogram must be numbers with commas, found {text!r}.", hint=hint) from error
    if len(levels) not in {len(CAD1.frequencies), len(ALL_FREQUENCIES)}:
        raise UsageError(f"The audiogram has {len(levels)} levels.", hint=hint)
    if not all(-20 <= level <= 130 for level in levels):
        raise UsageError(f"The audiogram must be from -20 to 130 dB HL, found {text!r}.", hint=hint)
    return levels


def _read(path: Path, channel: str) -> npt.NDArray[np.float32]:
    """One channel of a sound file, (samples,) at full scale ±1, resampled to 24 kHz as the challenge does.

    Raises:
        UsageError: It can't be read, or has several channels and none is chosen, or not that one.
    """
    import soundfile
    import soxr

    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path} is not a sound file that can be read: {error.error_string}") from error
    count = samples.shape[1]
    if len(samples) == 0:
        raise UsageError(f"{path} has no samples.")
    if rate != CAD1.stem_rate:
        samples = soxr.resample(samples, rate, CAD1.stem_rate)  # all channels together, as the scorer does
    index = 0 if count == 1 else _index(path, channel, count)
    found: npt.NDArray[np.float32] = samples[:, index]
    return found


def _index(path: Path, channel: str, count: int) -> int:
    """The place of a channel among several.

    Raises:
        UsageError: None is chosen, or there is no such channel.
    """
    if not channel:
        raise UsageError(
            f"{path} has {count} channels.", hint="Choose one: `--channel left` or `--channel right`."
        )
    index = CHANNELS.get(channel, int(channel) - 1 if channel.isascii() and channel.isdigit() else -1)
    if not 0 <= index < count:
        raise UsageError(
            f"{path} has no channel {channel}.",
            hint=f"Give `--channel` left, right or a number from 1 to {count}.",
        )
    return index


@contextmanager
def _announcing_compilation() -> Iterator[None]:
    """Says that the metric is being compiled if the block takes longer than loading it."""
    timer = threading.Timer(
        PATIENCE,
        lambda: log("Compiling HAAQI for this machine; this happens once and takes half a minute or more."),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
