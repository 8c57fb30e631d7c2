#!/usr/bin/env python3
"""Measures the speed of the validator, on a full-size synthetic submission and compared with `flac -t`.

    python bench/validate.py [--seconds 0.5] [--songs 49] [--listeners 53] [--rounds 3] [--quick-only|--decode-only]
                             [--decoder system|soundfile]

Makes a submission with the official names (49 songs x 53 listeners: 44,149 files) of short FLAC files in a
temporary folder. Measures time and peak memory of `validate(..., quick=True)` on its zip, in a process on one core.
Then decodes folders alternately with the validator and with Debian's `flac -t`, in one and two processes each, and
prints the ratio of the median times, for the short files and for files as long as in a real test submission (30-s
stems, 15-s stereo remixes; fewer files). `--decoder soundfile` does without the system's libFLAC, as a sandbox.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from validator import Challenge, validate
from validator.challenge.manifest import Kind, expected_files
from validator.challenge.songs import Segment
from validator.formats.flac import InProcessDecoder
from validator.formats.libflac import in_process_decoder


@contextmanager
def soundfile_decoder() -> Iterator[InProcessDecoder]:
    """Decodes with soundfile alone."""
    yield InProcessDecoder()


DECODERS = {"system": in_process_decoder, "soundfile": soundfile_decoder}
"""The decoders that can be compared with `flac -t`."""

REAL_SECONDS, REAL_SONGS, REAL_LISTENERS = 30.0, 12, 12
"""Length of the stems of a real test submission, and how many songs and listeners of that length."""


def short(challenge: Challenge, *, seconds: float) -> Challenge:
    """The same challenge with segments of that length."""
    songs = tuple(
        dataclasses.replace(song, objective=Segment(0.0, seconds), subjective=Segment(0.0, seconds / 2))
        for song in challenge.songs
    )
    return dataclasses.replace(challenge, songs=songs)


def music(rng: np.random.Generator, *, frames: int, channels: int) -> np.ndarray:
    """A signal about as compressible as music: noise with a falling spectrum and a slowly varying level."""
    white = rng.standard_normal((frames + 64, channels))
    red = np.stack([np.convolve(one, np.hanning(24), "same") for one in white.T], axis=1)[:frames]
    envelope = 0.2 + np.abs(np.sin(np.arange(frames) / 9000))[:, None]
    pcm = red * envelope * 2500 + white[:frames] * 60
    return np.clip(pcm, -32768, 32767).astype(np.int16)


def stored(path: Path, pcm: np.ndarray, rate: int) -> Path:
    """The signal as a 16-bit FLAC file."""
    soundfile.write(path, pcm, rate, format="FLAC", subtype="PCM_16")
    return path


def make(challenge: Challenge, folder: Path, *, seconds: float) -> int:
    """Write the submission from 64 different stems and 16 remixes. Returns the number of files."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    stems = [
        stored(folder.parent / f"stem{index}", music(rng, frames=int(seconds * 24000), channels=1), 24000)
        for index in range(64)
    ]
    remixes = [
        stored(folder.parent / f"remix{index}", music(rng, frames=int(seconds * 16000), channels=2), 32000)
        for index in range(16)
    ]
    count = 0
    for count, file in enumerate(expected_files(challenge), start=1):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.kind is Kind.SCALE:
            path.write_bytes(b"0.8314285714285714")
        else:
            pool = remixes if file.kind is Kind.REMIX else stems
            os.link(pool[count % len(pool)], path)
    return count


def quick(path: Path, arguments: argparse.Namespace) -> None:
    """Measure time and peak memory in a separate process on one core."""
    command = [sys.executable, __file__, "--quick-run", str(path), *common(arguments)]
    if shutil.which("taskset"):
        command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    whole = time.perf_counter() - start
    result = json.loads(done.stdout)
    print(
        f"quick, {path.name}, one core: {result['seconds']:.1f} s for {result['files']} files "
        f"({whole:.1f} s including the start of the interpreter), peak memory {result['peak_mb']:.0f} MB, "
        f"{result['findings']} findings"
    )


def common(arguments: argparse.Namespace) -> list[str]:
    """The options that the separate process needs too."""
    return ["--seconds", str(arguments.seconds), "--songs", str(arguments.songs),
            "--listeners", str(arguments.listeners)]  # fmt: skip


def quick_run(path: Path, challenge: Challenge) -> None:
    """Run in the separate process: prints the measurements as JSON."""
    start = time.perf_counter()
    report = validate(path, challenge, quick=True)
    result = {
        "seconds": time.perf_counter() - start,
        "files": report.files,
        "findings": len(report.findings),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


def decode(folder: Path, challenge: Challenge, *, workers: int, rounds: int, decoder: str) -> None:
    """Decode the same files with the validator and with `flac -t`, in the same number of processes."""
    listing = folder.parent / "listing"
    flacs = sorted(str(path) for path in folder.rglob("*.flac"))
    listing.write_bytes(b"\0".join(map(os.fsencode, flacs)))
    share = str(
        min(300, -(-len(flacs) // (4 * workers)))
    )  # files per call, so that every process gets several calls
    ours, theirs = [], []
    for _ in range(rounds):
        start, used = time.perf_counter(), cpu()
        subprocess.run(
            ["xargs", "-0", "-a", str(listing), "-P", str(workers), "-n", share, "flac", "-s", "-t"],
            check=True,
        )
        theirs.append((time.perf_counter() - start, cpu() - used))
        start, used = time.perf_counter(), cpu()
        report = validate(folder, challenge, workers=workers, decoder=DECODERS[decoder])
        ours.append((time.perf_counter() - start, cpu() - used))
        errors = [finding for finding in report.findings if finding.severity == "error"]
        assert not errors, errors[:3]
    (wall, used), (their_wall, their_used) = (
        map(statistics.median, zip(*runs, strict=True)) for runs in (ours, theirs)
    )
    print(
        f"decoding {len(flacs)} files with {workers=}, median of {rounds}: "
        f"validator {wall:.2f} s ({len(flacs) / wall:.0f} files/s, {used:.2f} s of CPU), "
        f"flac -t {their_wall:.2f} s ({len(flacs) / their_wall:.0f} files/s, {their_used:.2f} s of CPU); "
        f"speed {their_wall / wall:.2f} of flac -t in wall-clock time, {their_used / used:.2f} in CPU time"
    )


def cpu() -> float:
    """CPU seconds used so far by this process and its finished children."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main() -> None:
    """Parse the options and run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--songs", type=int, default=49)
    parser.add_argument("--listeners", type=int, default=53)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decoder", choices=DECODERS, default="system")
    parser.add_argument("--decode-only", action="store_true")
    parser.add_argument("--quick-only", action="store_true")
    parser.add_argument("--quick-run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    official = Challenge.load(None, split="test")
    chosen = official.select(
        songs=[song.name for song in official.songs[: arguments.songs]],
        listeners=[one.id for one in official.listeners[: arguments.listeners]],
    )
    challenge = short(chosen, seconds=arguments.seconds)
    if arguments.quick_run:
        quick_run(arguments.quick_run, challenge)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "evaluation"
        count = make(challenge, folder, seconds=arguments.seconds)
        print(f"{count} files, {arguments.seconds} s of audio each")
        if not arguments.decode_only:
            path = Path(temporary) / "submission_E001.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
                for one in sorted(folder.rglob("*")):
                    if one.is_file():
                        out.write(one, one.relative_to(folder.parent))
            quick(path, arguments)
            quick(folder, arguments)
        if not arguments.quick_only:
            compare(folder, challenge, arguments)
    if arguments.quick_only:
        return
    real = short(
        official.select(
            songs=[song.name for song in official.songs[:REAL_SONGS]],
            listeners=[one.id for one in official.listeners[:REAL_LISTENERS]],
        ),
        seconds=REAL_SECONDS,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "evaluation"
        count = make(real, folder, seconds=REAL_SECONDS)
        print(f"{count} files, {REAL_SECONDS:.0f}-s stems and {REAL_SECONDS / 2:.0f}-s remixes")
        compare(folder, real, arguments)


def compare(folder: Path, challenge: Challenge, arguments: argparse.Namespace) -> None:
    """Compare the speed of decoding in one and in two processes."""
    for workers in (1, 2):
        decode(folder, challenge, workers=workers, rounds=arguments.rounds, decoder=arguments.decoder)


if __name__ == "__main__":
    main()
