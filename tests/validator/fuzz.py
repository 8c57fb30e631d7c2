#!/usr/bin/env python3
"""Fuzzes the validator with damaged archives, FLAC files, scale files and names.

    python tests/validator/fuzz.py [--seconds 60] [--seed 1]

Every input must lead to a report or to a documented exception, within `CPU_SECONDS` of CPU time, `WAIT_SECONDS` of
wall-clock time and `MEMORY` bytes more than at the start. Files that the system's libFLAC accepts must decode to
the same samples with soundfile. Prints counts; after a failure it saves the input, and prints the seed and batch
that repeat it. Hypothesis draws the inputs in batches, each with its own seed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from tests.validator import forge
from validator import validate
from validator.challenge.challenge import Challenge
from validator.challenge.listeners import Listener
from validator.challenge.manifest import Kind, expected_files
from validator.challenge.songs import Segment, Song
from validator.checks.filenames import check_names
from validator.formats import libflac
from validator.formats.flac import AudioError, check_format, decode_flac
from validator.formats.scale import ScaleError, parse_scale
from validator.formats.streaminfo import StreamInfoError, parse

CPU_SECONDS = 2
"""CPU time allowed for one call; a normal one takes milliseconds."""

WAIT_SECONDS = 60
"""Wall-clock time allowed for one call that waits without computing; the machine may be busy."""

MEMORY = 256 << 20
BATCH = 250

CHALLENGE = Challenge(
    split="test",
    root=None,
    songs=(Song("Ann - Öne", objective=Segment(0, 0.05), subjective=Segment(0, 0.05)),),
    listeners=(Listener("L1"),),
)


class TooSlowError(Exception):
    """One call took longer than allowed."""


def _alarm(number: int, _frame: object) -> None:
    limit = f"{CPU_SECONDS} s of CPU" if number == signal.SIGPROF else f"{WAIT_SECONDS} s"
    raise TooSlowError(f"one call took more than {limit}")


def _files() -> dict[str, bytes]:
    out = {}
    for seed, file in enumerate(expected_files(CHALLENGE)):
        if file.kind is Kind.SCALE:
            out[file.path] = b"0.5"
        elif file.kind is Kind.REMIX:
            out[file.path] = forge.audio(seed, 1600, 2, 32000)
        else:
            out[file.path] = forge.audio(seed, 1200)
    return out


FILES = _files()
STEMS = [data for name, data in FILES.items() if name.endswith(".flac") and "remix" not in name]
METADATA = [
    [],
    [
        (4, forge.comments(b"ARTIST=ann", b"TITLE=x")),
        (3, bytes(18) + b"\xff" * 8 + bytes(10)),
        (1, bytes(50)),
    ],
    [(1, bytes(20)), (2, b"abcd1234"), (4, forge.comments())],
    [(6, b"\0\0\0\3\0\0\0\x09image/png" + bytes(20) + b"\0\0\0\4abcd"), (4, forge.comments())],
    [(5, b"0" * 128 + bytes(8 + 1 + 258) + b"\1" + bytes(8) + b"\xaa" + bytes(27)), (1, b"")],
]
REMIX = next(data for name, data in FILES.items() if "remix" in name)
FLACS = [*STEMS, REMIX, *(forge.with_metadata(STEMS[i], *blocks) for i, blocks in enumerate(METADATA))]
ARCHIVES = [
    forge.zip_bytes(FILES),
    forge.zip_bytes(FILES, method=0, prefix="evaluation/"),
    forge.forged([forge.Item(name, data, descriptor=True) for name, data in FILES.items()]),
    forge.forged([forge.Item(name, data[:300]) for name, data in FILES.items()], suffix=b"\0" * 9),
    forge.tar_bytes(FILES),
    forge.tar_bytes(FILES, form=1),
    forge.tar_bytes(FILES, mode="w:gz"),
]
TELLING = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"fLaC", b"\xff\xf8", b"ustar", b"\x1f\x8b"]
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 36) - 1, (1 << 64) - 1]

where = st.one_of(st.floats(0, 1), st.floats(0, 0.08))  # headers are at the beginning
numbers = st.tuples(st.sampled_from(NUMBERS), st.sampled_from([1, 2, 4, 8]))
near = st.tuples(st.sampled_from(TELLING), st.integers(0, 60), st.binary(min_size=1, max_size=8))
change = st.one_of(
    st.tuples(st.just("flip"), where, st.integers(1, 255)),
    st.tuples(st.just("number"), where, numbers),
    st.tuples(st.just("near"), where, near),
    st.tuples(st.just("cut"), where, st.integers(1, 4000)),
    st.tuples(st.just("insert"), where, st.binary(max_size=64)),
    st.tuples(st.just("copy"), where, st.tuples(st.floats(0, 1), st.integers(1, 3000))),
    st.tuples(st.just("end"), where, st.just(0)),
)  # fmt: skip
changes = st.lists(change, min_size=1, max_size=6)


def damaged(data: bytes, todo: list) -> bytes:
    out = bytearray(data)
    for kind, where, what in todo:
        at = int(where * max(len(out) - 1, 0))
        if kind == "flip" and out:
            out[at] ^= what
        elif kind == "number":
            value, width = what
            out[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        elif kind == "near":
            magic, offset, new = what
            spot = out.find(magic, at)
            spot = out.find(magic) if spot < 0 else spot
            if spot >= 0:
                out[spot + offset : spot + offset + len(new)] = new
        elif kind == "cut":
            del out[at : at + what]
        elif kind == "insert":
            out[at:at] = what
        elif kind == "copy":
            source = int(what[0] * len(out))
            out[at : at + what[1]] = out[source : source + what[1]]
        elif kind == "end":
            del out[at:]
    return bytes(out)


class Fuzzer:
    """Runs targets and counts the outcomes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: Counter[str] = Counter()
        self.slowest = self.costliest = 0.0
        self.last: bytes = b""
        library = libflac.load()
        self.libflac = None if library is None else libflac.Decoder(library)

    def timed(self, target, data: bytes) -> None:
        self.last = data
        start, used = time.perf_counter(), time.process_time()
        signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            outcome = target(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.slowest = max(self.slowest, time.perf_counter() - start)
        self.costliest = max(self.costliest, time.process_time() - used)
        self.outcomes[f"{target.__name__}: {outcome}"] += 1

    def archive(self, data: bytes) -> str:
        path = self.folder / "submission.zip"
        path.write_bytes(data)
        report = validate(path, CHALLENGE)
        report.to_json()
        report.to_text()
        return "valid" if report.valid else "invalid"

    def flac(self, data: bytes) -> str:
        with contextlib.suppress(StreamInfoError):
            parse(data[:42])
        outcome, pcm = self.decoded(data)
        fast = self.decoded_by_libflac(data)
        assert fast is None or (outcome, pcm) == ("decoded", fast), f"libFLAC accepts, soundfile: {outcome}"
        return outcome if fast is None else f"{outcome}, by libFLAC too"

    def decoded_by_libflac(self, data: bytes) -> bytes | None:
        """The samples from the system's libFLAC, if the header is valid and libFLAC accepts the file."""
        try:
            info = parse(data[:42])
        except StreamInfoError:
            return None
        wrong = check_format(info, rate=24000, channels=1, bits=16) or not 0 < info.total_samples <= 1300
        pcm = None if wrong or self.libflac is None else self.libflac.decode(data, info)
        return None if pcm is None else pcm.tobytes()

    @staticmethod
    def decoded(data: bytes) -> tuple[str, bytes]:
        try:
            pcm = decode_flac(io.BytesIO(data), rate=24000, channels=1, bits=16, max_frames=1300)
        except AudioError as error:
            return error.code, b""
        assert pcm.shape[0] <= 1300
        return "decoded", pcm.tobytes()

    def scale(self, data: bytes) -> str:
        try:
            value = parse_scale(data)
        except ScaleError:
            return "rejected"
        assert 0 < value <= 10000
        return "read"

    def names(self, data: bytes) -> str:
        names = [name for name in data.decode("utf-8", "replace").split("\n") if name]
        present, findings = check_names(names, CHALLENGE)
        return f"{min(len(present), 17)} present" if findings else "complete"


def targets(fuzzer: Fuzzer) -> list:
    """One hypothesis test for each kind of input."""
    listing = "\n".join(FILES).encode()

    @given(st.sampled_from(ARCHIVES), changes)
    def archive(data, todo):
        fuzzer.timed(fuzzer.archive, damaged(data, todo))

    @given(st.sampled_from(FLACS), changes)
    def flac(data, todo):
        fuzzer.timed(fuzzer.flac, damaged(data, todo))

    @given(
        st.one_of(
            st.binary(max_size=80), st.from_regex(rb"[+-]?[0-9a-zA-Z_.+-]{0,70}\s{0,3}", fullmatch=True)
        )
    )
    def scale(data):
        fuzzer.timed(fuzzer.scale, data)

    @given(changes)
    def names(todo):
        fuzzer.timed(fuzzer.names, damaged(listing, todo))

    return [archive, flac, scale, names]


def run(seconds: float, seed: int) -> int:
    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGPROF, _alarm)
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as temporary:
        fuzzer = Fuzzer(Path(temporary))
        fuzzer.archive(ARCHIVES[0])  # imports everything before memory is measured
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(
            resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY)
        )
        batch = 0
        while time.monotonic() < end:
            for test in targets(fuzzer):
                batch += 1
                configured = settings(
                    max_examples=BATCH, deadline=None, database=None, verbosity=Verbosity.quiet,
                    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
                )(test)  # fmt: skip
                try:
                    hypothesis.seed(seed * 1_000_003 + batch)(configured)()
                except BaseException as error:
                    saved = Path(f"fuzz-failure-{seed}-{batch}.bin")
                    saved.write_bytes(fuzzer.last)
                    print(f"FAILED: {error!r}; input saved in {saved}; --seed {seed}, batch {batch}")
                    raise
                if time.monotonic() >= end:
                    break
    total = sum(fuzzer.outcomes.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{total} inputs in {seconds:.0f} s, seed {seed}; slowest call {fuzzer.slowest:.3f} s "
        f"({fuzzer.costliest:.3f} s of CPU at most); peak {peak:.0f} MB"
    )
    for outcome, count in sorted(fuzzer.outcomes.items()):
        print(f"  {outcome}: {count}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(run(arguments.seconds, arguments.seed))
