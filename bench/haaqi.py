"""Compare the cost of harness.haaqi with pyclarity's: CPU time by stage, growth with length, memory, start.

Both sides score the same signals in the same process, harness.haaqi before and after pyclarity, so that any
other load affects both sides. Memory and start are measured in separate processes. Without pyclarity 0.3.2,
only harness.haaqi is measured.

    python bench/haaqi.py [--seconds 30] [--rounds 1] [--batch 8] [--quick] [--reference FILE --processed FILE]
"""

# ruff: noqa: E402, I001 - the target must be fixed before NumPy is imported

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.haaqi.target import environment

os.environ.update(environment())

import argparse
import functools
import subprocess
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

with warnings.catch_warnings(action="ignore"):  # NumPy warns about features that it does not know
    import numpy as np
from numpy.typing import NDArray

from harness.haaqi import Listening, Song, compute_haaqi, precompile
from harness.haaqi.features import cepstrum, channel
from harness.haaqi.cochlea import compression, gammatone, noise
from harness.haaqi import ear, index, nalr
from harness.haaqi.alignment import lags
from harness.haaqi.alignment.broadband import BroadbandAligner

AUDIOGRAM = [25.0, 30.0, 35.0, 45.0, 60.0, 65.0]
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
RATE = 24000
LEVEL = 90.0
LISTENERS = 50  # of a song, scored in full batches and one smaller batch
LENGTHS = (10, 30, 60, 120, 240)

# The functions of each stage on both sides. Only the outermost call of a stage is timed, so that nested calls are
# not counted twice.
HARNESS: dict[str, list[tuple[Any, str]]] = {
    "broadband alignment": [(BroadbandAligner, "delay"), (index, "audible_span"), (index, "shift")],
    "NAL-R and middle ear": [(nalr, "amplify"), (nalr, "equaliser"), (ear, "middle_ear")],
    "filters and compression": [(gammatone, "control_rms"), (compression, "_compress")],
    "alignment in channels": [
        (lags, "best_delay"),
        (lags.ChunkedCorrelation, "add"),
        (lags.ChunkedCorrelation, "best_delay"),
    ],
    "noise": [(noise, "fill_normals"), (noise, "skip_normals")],
    "hair cells, smoothing, tiles": [(channel, "_extract")],
    "cepstral correlation": [(cepstrum, "cepstral_correlation")],
}
PYCLARITY: dict[str, list[str]] = {
    "broadband alignment": ["input_align"],
    "NAL-R and middle ear": ["convolve", "middle_ear"],
    "filters and compression": [
        "gammatone_basilar_membrane",
        "bandwidth_adjust",
        "env_compress_basilar_membrane",
    ],
    "alignment in channels": ["envelope_align"],
    "noise": ["basilar_membrane_add_noise"],
    "hair cells, smoothing, tiles": [
        "envelope_sl",
        "inner_hair_cell_adaptation",
        "group_delay_compensate",
        "env_smooth",
        "bm_covary",
        "ave_covary2",
    ],
    "cepstral correlation": ["melcor9"],
}

# A separate process that prints the seconds from its start until it is ready to score, and its peak memory in kB
# before and after scoring a signal of some seconds.
PROCESS = r"""
import re, sys, time
import numpy as np
from harness.haaqi import Song, precompile
def peak():  # getrusage may return the parent's
    return re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]
precompile()
started = time.time() - float(sys.argv[2])
empty = peak()
rng = np.random.default_rng(1)
reference = np.empty(24000 * int(sys.argv[1]), np.float32)
for first in range(0, len(reference), 24000):
    reference[first : first + 24000] = 0.05 * rng.standard_normal(24000)
processed = reference[::-1].copy()
Song([reference], sample_rate=24000, levels=[90.0], seed=1).score(
    [processed], sample_rate=24000, audiograms=[[25, 30, 35, 45, 60, 65]])
print(started, empty, peak())
"""


class Clock:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._running: str | None = None

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Count the calls of a function for a stage."""
        function = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:
            if self._running == stage:
                return function(*args, **options)
            before, self._running = self._running, stage
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                took = time.process_time() - start
                self.spent[stage] += took
                if before is not None:
                    self.spent[before] -= took
                self._running = before

        setattr(owner, name, timed)

    def take(self, stages: Iterable[str], total: float) -> dict[str, float]:
        """Return the seconds of each stage, of the rest and in total, and reset the clock."""
        spent = {stage: self.spent[stage] for stage in stages}
        self.spent.clear()
        return {**spent, "rest": total - sum(spent.values()), "total": total}

    def wrap_all(self, stages: dict[str, list[tuple[Any, str]]]) -> list[str]:
        """Count the calls of functions for their stages; return the functions that do not exist."""
        missing = []
        for stage, places in stages.items():
            for owner, name in places:
                if hasattr(owner, name):
                    self.wrap(owner, name, stage)
                else:
                    missing.append(f"{owner.__name__}.{name}")
        return missing


def sound(seconds: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a signal similar to music, with pauses, and a distorted version as from a separator."""
    rng = np.random.RandomState(1)
    length = round(seconds * RATE)
    reference = 0.002 * rng.standard_normal(length)
    start = 0
    while start < length:
        note = np.arange(min(RATE, length - start)) / RATE
        pitch = 55.0 * 2 ** rng.uniform(0, 4.5)
        for harmonic in range(1, 9):
            reference[start : start + len(note)] += (
                0.1
                / harmonic
                * np.exp(-rng.uniform(2, 9) * note)
                * np.sin(2 * np.pi * pitch * harmonic * note)
            )
        start += int(rng.uniform(0.05, 0.4) * RATE) + (2 * RATE if rng.uniform() < 0.03 else 0)
    processed = 1.4 * reference + 0.01 * rng.standard_normal(length) * np.abs(np.roll(reference, 3000)) ** 0.5
    return reference.astype(np.float32), processed.astype(np.float32)


def cpu(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call, and its result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def alone(seconds: int) -> tuple[float, float, float]:
    """Run a process of its own.

    Returns:
        Wall seconds from its start to its first score; its peak memory in MB before and after it
        scored a signal.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(seconds), str(time.time())],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    started, before, after = done.stdout.split()
    return float(started), int(before) * 1024 / 1e6, int(after) * 1024 / 1e6


def say(line: str = "") -> None:
    """Print a line and flush."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def signals(options: argparse.Namespace) -> Pair:
    """Return the reference and the processed signal."""
    if options.reference is None:
        return sound(options.seconds)
    import soundfile  # noqa: PLC0415 - only needed here
    import soxr  # noqa: PLC0415

    found = []
    for path in (options.reference, options.processed):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        found.append(soxr.resample(samples[: round(options.seconds * rate), 0], rate, RATE))
    return found[0], found[1]


def score_alone(pair: Pair) -> float:
    """Score one signal alone, as pyclarity does."""
    reference, processed = pair
    np.random.seed(1)
    return compute_haaqi(processed, reference, RATE, RATE, AUDIOGRAM, FREQUENCIES, LEVEL)


def batch(song: Song, processed: NDArray[np.float32], *, first: int, count: int) -> None:
    """Score some listeners of a song together, each with a different audiogram."""
    listenings = [
        Listening(processed=[processed], audiograms=[[level - 1.0 * number for level in AUDIOGRAM]])
        for number in range(first, first + count)
    ]
    for values in song.score_all(listenings, sample_rate=RATE):
        if isinstance(values, Exception):
            raise values


def shared(pair: Pair, batch_size: int) -> float:
    """Return the CPU seconds per listener of a song, including a share of the preparation."""
    reference, processed = pair
    rest = LISTENERS % batch_size

    def prepare() -> Song:
        song = Song([reference], sample_rate=RATE, levels=[LEVEL], seed=1)
        batch(song, processed, first=0, count=rest)
        return song

    preparation, song = cpu(prepare)
    full, _ = cpu(lambda: batch(song, processed, first=rest, count=batch_size))
    return (preparation + LISTENERS // batch_size * full) / LISTENERS


def pyclarity() -> tuple[Callable[[Pair], float], Any] | None:
    """Return pyclarity's scoring function and the module of its stages, if it is installed."""
    try:
        from clarity.evaluator.haaqi import compute_haaqi as haaqi  # noqa: PLC0415 - may be missing
        from clarity.evaluator.haspi import eb  # noqa: PLC0415
    except ImportError:
        return None

    def score(pair: Pair) -> float:
        reference, processed = pair
        np.random.seed(1)
        levels, frequencies = np.array(AUDIOGRAM), np.array(FREQUENCIES)
        return float(haaqi(processed, reference, RATE, RATE, levels, frequencies, LEVEL))

    score(sound(0.5))  # compiles pyclarity's loops
    return score, eb


def compare(options: argparse.Namespace) -> None:
    """Print the times of both sides, in total and stage by stage."""
    pair, batch_size = signals(options), options.batch
    other = pyclarity()
    if other is None:
        say("pyclarity is not installed: only harness.haaqi is measured")
    own_clock, pyclarity_clock = Clock(), Clock()
    missing: list[str] = []
    if other is not None:
        missing = pyclarity_clock.wrap_all({s: [(other[1], n) for n in PYCLARITY[s]] for s in PYCLARITY})
    own_times, pyclarity_times, shares = [], [], []
    difference = 0.0
    for _ in range(options.rounds):
        before, score = cpu(lambda: score_alone(pair))
        shares.append(shared(pair, batch_size))
        if other is not None:
            seconds, expected = cpu(lambda: other[0](pair))
            pyclarity_times.append(seconds)
            difference = max(difference, abs(score - expected))
        after, _ = cpu(lambda: score_alone(pair))
        shares.append(shared(pair, batch_size))
        own_times += [before, after]
    baseline = float(np.mean(pyclarity_times)) if pyclarity_times else None
    say(f"\n{options.seconds:g} s, noise included          CPU s   speed-up")
    for name, value in (
        ("pyclarity", baseline),
        ("one signal alone", float(np.mean(own_times))),
        (f"one of {LISTENERS} listeners", float(np.mean(shares))),
    ):
        if value is not None:
            say(f"{name:28} {value:8.2f}" + (f"   {baseline / value:8.1f}" if baseline else ""))
    if baseline:
        say(f"{'difference of the scores':28} {difference:8.1e}")

    missing += own_clock.wrap_all(HARNESS)
    total, _ = cpu(lambda: score_alone(pair))
    alone = own_clock.take(HARNESS, total)
    song = Song([pair[0]], sample_rate=RATE, levels=[LEVEL], seed=1)
    batch(song, pair[1], first=0, count=1)
    own_clock.take(HARNESS, 0.0)
    total, _ = cpu(lambda: batch(song, pair[1], first=0, count=batch_size))
    in_batch = own_clock.take(HARNESS, total)
    pyclarity_spent = pyclarity_clock.take(HARNESS, sum(pyclarity_times))
    say(
        f"\nstage                             alone   one of {batch_size}"
        + ("  pyclarity   ratio" if baseline else "")
    )
    for stage, seconds in alone.items():
        share, pyclaritys = in_batch[stage] / batch_size, pyclarity_spent[stage] / options.rounds
        ratio = f"  {pyclaritys:9.3f}  {pyclaritys / share:6.1f}" if baseline and share > 0 else ""
        say(f"{stage:30} {seconds:8.3f}   {share:8.3f}{ratio}")
    for name in missing:
        say(f"not found, counted with the rest: {name}")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8, help="listeners scored together, as the sandbox does")
    parser.add_argument("--quick", action="store_true", help="skip growth, memory and start")
    parser.add_argument("--reference", type=Path, help="an audio file instead of the synthetic signal")
    parser.add_argument("--processed", type=Path, help="the processed audio file")
    options = parser.parse_args()
    if (options.reference is None) != (options.processed is None):
        parser.error("--reference and --processed require each other")
    precompile()
    if not options.quick:
        say("length      CPU s    CPU s per s")
        for seconds in LENGTHS:
            took, _ = cpu(functools.partial(score_alone, sound(seconds)))
            say(f"{seconds:5} s  {took:8.2f}   {took / seconds:8.4f}")
        say("\nprocess   s to first score   MB before   MB at most")
        for seconds in (30, 240):
            started, empty, most = alone(seconds)
            say(f"{seconds:5} s   {started:15.2f}   {empty:9.0f}   {most:10.0f}")
    compare(options)


if __name__ == "__main__":
    main()
