"""What our HAAQI costs beside pyclarity's: CPU time stage by stage, growth with length, memory, start.

Both sides score the same signals in the same process, one core each, ours before and after pyclarity's,
so that what else the machine does falls on both. Memory and start are measured in processes of their
own. Without pyclarity 0.3.2 only our side is measured.

    python bench/haaqi.py [--seconds 30] [--rounds 1] [--quick] [--reference FILE --processed FILE]
"""

# ruff: noqa: E402, I001 - the target has to be fixed before NumPy is imported

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

with warnings.catch_warnings(action="ignore"):  # NumPy names the features that it does not know
    import numpy as np
from numpy.typing import NDArray

from harness.haaqi import Listening, Song, compute_haaqi, precompile
from harness.haaqi.features import cepstrum, tiles
from harness.haaqi.cochlea import compression, gammatone, noise
from harness.haaqi import ear, index, nalr
from harness.haaqi.alignment import lags
from harness.haaqi.alignment.broadband import BroadbandAligner
from harness.sandbox.limits import BATCH

AUDIOGRAM = [25.0, 30.0, 35.0, 45.0, 60.0, 65.0]
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
RATE = 24000
LEVEL = 90.0
LISTENERS = 50  # of a song; scored in batches as harness.evaluator.job does, and a rest
LENGTHS = (10, 30, 60, 120, 240)

# Stages, with the functions that do the work in both. What a function's callees in the same row do
# is not counted twice: only the outermost call of a row runs the clock.
OURS: dict[str, list[tuple[Any, str]]] = {
    "broadband alignment": [(BroadbandAligner, "delay"), (index, "audible_span"), (index, "shift")],
    "NAL-R and middle ear": [(nalr, "amplify"), (nalr, "equaliser"), (ear, "middle_ear")],
    "filters and compression": [(gammatone, "control_rms"), (compression, "_compress")],
    "alignment in channels": [
        (lags, "best_delay"),
        (lags.ChunkedCorrelation, "add"),
        (lags.ChunkedCorrelation, "best_delay"),
    ],
    "noise": [(noise, "fill_normals"), (noise, "skip_normals")],
    "hair cells, smoothing, tiles": [(tiles, "_gather")],
    "cepstral correlation": [(cepstrum, "correlation")],
}
THEIRS: dict[str, list[str]] = {
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

# What a process of its own prints: seconds from its start to its first score, and its peak memory, in
# kB, before and after a signal of some seconds.
ALONE = r"""
import re, sys, time
import numpy as np
from harness.haaqi import Song, precompile
def peak():  # what getrusage says may be the parent's
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
        """Let a function's calls count for a stage."""
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
        """Return the seconds of each stage, of the rest and of all, and begin anew."""
        spent = {stage: self.spent[stage] for stage in stages}
        self.spent.clear()
        return {**spent, "the rest": total - sum(spent.values()), "all": total}

    def wrap_all(self, stages: dict[str, list[tuple[Any, str]]]) -> list[str]:
        """Let the calls of functions count for their stages; return which are not there."""
        missing = []
        for stage, places in stages.items():
            for owner, name in places:
                if hasattr(owner, name):
                    self.wrap(owner, name, stage)
                else:
                    missing.append(f"{owner.__name__}.{name}")
        return missing


def sound(seconds: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return something like music, with pauses, and what a separator might make of it."""
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
        [sys.executable, "-c", ALONE, str(seconds), str(time.time())],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    started, before, after = done.stdout.split()
    return float(started), int(before) * 1024 / 1e6, int(after) * 1024 / 1e6


def say(line: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def signals(options: argparse.Namespace) -> Pair:
    """Return the reference and the processed signal that both sides score."""
    if options.reference is None:
        return sound(options.seconds)
    import soundfile  # noqa: PLC0415 - for this alone
    import soxr  # noqa: PLC0415

    found = []
    for path in (options.reference, options.processed):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        found.append(soxr.resample(samples[: round(options.seconds * rate), 0], rate, RATE))
    return found[0], found[1]


def ours(both: Pair) -> float:
    """Score as pyclarity does: one signal alone."""
    reference, processed = both
    np.random.seed(1)
    return compute_haaqi(processed, reference, RATE, RATE, AUDIOGRAM, FREQUENCIES, LEVEL)


def batch(song: Song, processed: NDArray[np.float32], *, first: int, count: int) -> None:
    """Score some listeners of a song together, each with another audiogram."""
    listenings = [
        Listening(processed=[processed], audiograms=[[level - 1.0 * number for level in AUDIOGRAM]])
        for number in range(first, first + count)
    ]
    for values in song.score_all(listenings, sample_rate=RATE):
        if isinstance(values, Exception):
            raise values


def shared(both: Pair) -> float:
    """Return the CPU seconds of one of a song's listeners, with a share of what is prepared for all."""
    reference, processed = both
    rest = LISTENERS % BATCH

    def prepare() -> Song:
        song = Song([reference], sample_rate=RATE, levels=[LEVEL], seed=1)
        batch(song, processed, first=0, count=rest)
        return song

    begun, song = cpu(prepare)
    full, _ = cpu(lambda: batch(song, processed, first=rest, count=BATCH))
    return (begun + LISTENERS // BATCH * full) / LISTENERS


def pyclarity() -> tuple[Callable[[Pair], float], Any] | None:
    """Return pyclarity's side, and the module of its stages, if it is installed."""
    try:
        from clarity.evaluator.haaqi import compute_haaqi as haaqi  # noqa: PLC0415 - may be missing
        from clarity.evaluator.haspi import eb  # noqa: PLC0415
    except ImportError:
        return None

    def theirs(both: Pair) -> float:
        reference, processed = both
        np.random.seed(1)
        levels, frequencies = np.array(AUDIOGRAM), np.array(FREQUENCIES)
        return float(haaqi(processed, reference, RATE, RATE, levels, frequencies, LEVEL))

    theirs(sound(0.5))  # its own loops are compiled
    return theirs, eb


def compare(options: argparse.Namespace) -> None:
    """Print both sides' times, as a whole and stage by stage."""
    both = signals(options)
    other = pyclarity()
    if other is None:
        say("pyclarity is not installed here: only our side is measured")
    our_clock, their_clock = Clock(), Clock()
    missing = (
        [] if other is None else their_clock.wrap_all({s: [(other[1], n) for n in THEIRS[s]] for s in THEIRS})
    )
    our_times, their_times, shares = [], [], []
    difference = 0.0
    for _ in range(options.rounds):
        before, score = cpu(lambda: ours(both))
        shares.append(shared(both))
        if other is not None:
            seconds, expected = cpu(lambda: other[0](both))
            their_times.append(seconds)
            difference = max(difference, abs(score - expected))
        after, _ = cpu(lambda: ours(both))
        shares.append(shared(both))
        our_times += [before, after]
    their = float(np.mean(their_times)) if their_times else None
    say(f"\n{options.seconds:g} s, noise included          CPU s   times less than pyclarity's")
    for name, value in (
        ("pyclarity", their),
        ("ours, one signal alone", float(np.mean(our_times))),
        (f"ours, {LISTENERS} listeners share", float(np.mean(shares))),
    ):
        if value is not None:
            say(f"{name:28} {value:8.2f}" + (f"   {their / value:8.1f}" if their else ""))
    if their:
        say(f"{'difference of the scores':28} {difference:8.1e}")

    missing += our_clock.wrap_all(OURS)
    total, _ = cpu(lambda: ours(both))
    alone_spent = our_clock.take(OURS, total)
    song = Song([both[0]], sample_rate=RATE, levels=[LEVEL], seed=1)
    batch(song, both[1], first=0, count=1)
    our_clock.take(OURS, 0.0)
    total, _ = cpu(lambda: batch(song, both[1], first=0, count=BATCH))
    in_batch = our_clock.take(OURS, total)
    theirs = their_clock.take(OURS, sum(their_times))
    say(
        f"\nstage                             alone   one of {BATCH}"
        + ("  pyclarity   ratio" if their else "")
    )
    for stage, own in alone_spent.items():
        share, their_own = in_batch[stage] / BATCH, theirs[stage] / options.rounds
        ratio = f"  {their_own:9.3f}  {their_own / share:6.1f}" if their and share > 0 else ""
        say(f"{stage:30} {own:8.3f}   {share:8.3f}{ratio}")
    for name in missing:
        say(f"no longer there, counted with the rest: {name}")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="leave out growth, memory and start")
    parser.add_argument("--reference", type=Path, help="an audio file instead of the synthetic signal")
    parser.add_argument("--processed", type=Path, help="what a separator made of it")
    options = parser.parse_args()
    if (options.reference is None) != (options.processed is None):
        parser.error("--reference and --processed go together")
    precompile()
    if not options.quick:
        say("length      CPU s    CPU s per s")
        for seconds in LENGTHS:
            took, _ = cpu(functools.partial(ours, sound(seconds)))
            say(f"{seconds:5} s  {took:8.2f}   {took / seconds:8.4f}")
        say("\nprocess   s to first score   MB before   MB at most")
        for seconds in (30, 240):
            started, empty, most = alone(seconds)
            say(f"{seconds:5} s   {started:15.2f}   {empty:9.0f}   {most:10.0f}")
    compare(options)


if __name__ == "__main__":
    main()
