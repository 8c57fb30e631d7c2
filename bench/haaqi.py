"""What our HAAQI costs beside pyclarity's: CPU time stage by stage, growth with length, memory.

Both sides score the same signal in the same process, one core each and in turns, so that what else
the machine does falls on both. Without pyclarity 0.3.2 only our side is measured.

    python bench/haaqi.py [--seconds 30] [--rounds 1] [--quick]
"""

# ruff: noqa: E402, I001 - the number of threads has to be set before NumPy is imported

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.haaqi import Song, compute_haaqi, is_fixed, precompile
from harness.haaqi import cepstrum, compression, ear, features, gammatone, index, lags, nalr, noise
from harness.haaqi.alignment import Anchor

AUDIOGRAM = [25.0, 30.0, 35.0, 45.0, 60.0, 65.0]
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
RATE = 24000
LEVEL = 90.0
LISTENERS = 50

# Stages, with the functions that do the work in both. What a function's callees in the same row do
# is not counted twice: only the outermost call of a row runs the clock.
OURS: dict[str, list[tuple[Any, str]]] = {
    "broadband alignment": [(Anchor, "delay"), (index, "sounding"), (index, "shift")],
    "NAL-R and middle ear": [(nalr, "amplify"), (nalr, "equaliser"), (ear, "middle_ear")],
    "filters and compression": [(gammatone, "control_rms"), (compression, "_compress")],
    "alignment in channels": [(lags, "_accumulate"), (lags, "_transform_back")],
    "hair cells, noise, smoothing, tiles": [(features, "_gather"), (noise.Stream, "ahead")],
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
    "hair cells, noise, smoothing, tiles": [
        "envelope_sl",
        "inner_hair_cell_adaptation",
        "basilar_membrane_add_noise",
        "group_delay_compensate",
        "env_smooth",
        "bm_covary",
        "ave_covary2",
    ],
    "cepstral correlation": ["melcor9"],
}

PEAK = """
import resource, sys
import numpy as np
from harness.haaqi import Song, precompile
precompile()
empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rng = np.random.default_rng(1)
reference = (0.05 * rng.standard_normal(24000 * int(sys.argv[1]), dtype=np.float32))
processed = reference[::-1].copy()
Song([reference], sample_rate=24000, levels=[90.0], seed=1).score(
    [processed], sample_rate=24000, audiograms=[[25, 30, 35, 45, 60, 65]])
print(empty, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
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


def peak(seconds: int) -> tuple[float, float]:
    """Return the peak memory of a process before and after it scored a signal, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(seconds)],
        cwd=Path(__file__).resolve().parents[1],
        check=True,
        capture_output=True,
        text=True,
    )
    before, after = done.stdout.split()
    return int(before) * 1024 / 1e6, int(after) * 1024 / 1e6


def say(line: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:  # noqa: PLR0912, PLR0915 - one measurement after the other
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="leave out growth and memory")
    options = parser.parse_args()
    precompile()
    say(f"target fixed to x86-64-v3: {'yes' if is_fixed() else 'no'}")
    reference, processed = sound(options.seconds)

    def ours() -> float:
        np.random.seed(1)
        return compute_haaqi(processed, reference, RATE, RATE, AUDIOGRAM, FREQUENCIES, LEVEL)

    def shared() -> tuple[float, float]:
        def prepare() -> Song:
            song = Song([reference], sample_rate=RATE, levels=[LEVEL], seed=1)
            song.score([processed], sample_rate=RATE, audiograms=[AUDIOGRAM])
            return song

        first, song = cpu(prepare)
        later, _ = cpu(lambda: song.score([processed], sample_rate=RATE, audiograms=[AUDIOGRAM]))
        return first, later

    theirs: Callable[[], float] | None = None
    eb: Any = None
    try:
        from clarity.evaluator.haaqi import compute_haaqi as theirs_haaqi  # noqa: PLC0415 - may be missing
        from clarity.evaluator.haspi import eb  # noqa: PLC0415

        def theirs() -> float:
            np.random.seed(1)
            return float(
                theirs_haaqi(
                    processed, reference, RATE, RATE, np.array(AUDIOGRAM), np.array(FREQUENCIES), LEVEL
                )
            )
    except ImportError:
        say("pyclarity is not installed here: only our side is measured")

    our_times, their_times, first_times, later_times = [], [], [], []
    difference = 0.0
    for _ in range(options.rounds):
        before, score = cpu(ours)
        first, later = shared()
        if theirs is not None:
            seconds, expected = cpu(theirs)
            their_times.append(seconds)
            difference = max(difference, abs(score - expected))
        after, _ = cpu(ours)
        more_first, more_later = shared()
        our_times += [before, after]
        first_times += [first, more_first]
        later_times += [later, more_later]
    alone = float(np.mean(our_times))
    spread = float((np.mean(first_times) + (LISTENERS - 1) * np.mean(later_times)) / LISTENERS)
    say(f"\n{options.seconds:g} s, noise included        CPU s    times pyclarity's")
    if their_times:
        their = float(np.mean(their_times))
        say(f"pyclarity                    {their:8.2f}")
        say(f"ours, one signal alone       {alone:8.2f}   {their / alone:8.1f}")
        say(f"ours, {LISTENERS} listeners share     {spread:8.2f}   {their / spread:8.1f}")
        say(f"greatest difference          {difference:8.1e}")
    else:
        say(f"ours, one signal alone       {alone:8.2f}")
        say(f"ours, {LISTENERS} listeners share     {spread:8.2f}")

    our_clock, their_clock = Clock(), Clock()
    for stage, places in OURS.items():
        for owner, name in places:
            our_clock.wrap(owner, name, stage)
    our_total, _ = cpu(ours)
    their_total = 0.0
    if theirs is not None:
        for stage, names in THEIRS.items():
            for name in names:
                their_clock.wrap(eb, name, stage)
        their_total, _ = cpu(theirs)
    say("\nstage                                     ours  pyclarity   ratio")
    for stage in OURS:
        own, other = our_clock.spent[stage], their_clock.spent[stage]
        say(f"{stage:38} {own:7.3f}" + (f"  {other:9.3f}  {other / own:6.1f}" if their_total else ""))
    rest, other_rest = (
        our_total - sum(our_clock.spent.values()),
        their_total - sum(their_clock.spent.values()),
    )
    say(f"{'the rest':38} {rest:7.3f}" + (f"  {other_rest:9.3f}" if their_total else ""))
    if options.quick:
        return

    say("\nlength      CPU s    CPU s per s")
    for seconds in (10, 30, 60, 120, 240):
        reference, processed = sound(seconds)
        took, _ = cpu(ours)
        say(f"{seconds:5} s  {took:8.2f}   {took / seconds:8.4f}")
    say("\nlength     MB before    MB at most")
    for seconds in (30, 240):
        empty, most = peak(seconds)
        say(f"{seconds:5} s  {empty:10.0f}   {most:10.0f}")


if __name__ == "__main__":
    main()
