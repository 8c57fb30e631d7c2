#!/usr/bin/env python3
"""Measures what raises HAAQI without separating better, and which of it the validator names.

    python bench/gaming.py --data ROOT [--split test] [--base leaky mixture] [--trick TEXT ...]

Makes the stems of base separators for every song and listener of a small data root, changes them by one trick of
`bench/tricks.py` at a time, scores and validates that submission, and prints a Markdown table for each base: the
score (the mean of the examples' averages), its change, and the findings' codes with the share of the stems that
each names, errors in capitals. A submission has NAL-R, 16 bits, scale files and the mixture as its remix, unless
the trick is about those. With two songs of 10 s and two listeners, a trick takes about 7 s of CPU time.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import itertools
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.tricks import RATE, TRICKS, Stem, Trick, band_powers, searched
from harness.enhance import load_separator
from harness.enhance.encoding import encode_remix, resample, to_pcm, write_flac
from harness.enhance.example import Span
from harness.enhance.gain import SCORER_ORDER
from harness.enhance.nalr import Samples, convolve, nalr_taps
from harness.enhance.track import Track
from harness.haaqi import Song as ScoredSong
from harness.haaqi.listening import Listening
from validator import Challenge, Report, validate
from validator.challenge.listeners import Listener
from validator.challenge.rules import CAD1, side_and_stem
from validator.challenge.songs import Song
from validator.findings.finding import Severity


def prescribed(channel: NDArray[Any], listener: Listener, side: str, **design: int) -> Samples:
    """A channel after NAL-R for one ear, with the whole tail; `design` as for `nalr_taps`."""
    levels = getattr(listener, side)
    return convolve(channel, nalr_taps(frequencies=listener.frequencies, levels=levels, **design))


def heard(channel: NDArray[np.float32], *, listener: Listener, side: str, span: Span) -> Samples:
    """A span of a channel at 44.1 kHz as the recipe amplifies it, at 24 kHz."""
    amplified = prescribed(channel, listener, side)[span.start : span.stop]
    return np.asarray(resample(amplified, target_rate=RATE), dtype=np.float64)


def true(reference: Samples, *, listener: Listener, side: str) -> Samples:
    """A reference at 24 kHz as the scorer amplifies it, as late as the recipe's NAL-R makes a stem."""
    late = round(CAD1.tail / 2 / CAD1.reference_rate * RATE)
    amplified = prescribed(reference, listener, side, sample_rate=RATE, order=SCORER_ORDER)
    return amplified[SCORER_ORDER // 2 - late :][: len(reference)]


def references(song: Song) -> dict[str, Samples]:
    """The scored part of each reference channel at 24 kHz, by name, in the order of scoring."""
    channels = {}
    for side, stem in map(side_and_stem, CAD1.scoring_order):
        scored = Track(song).read(stem)[:, slice(*(song.objective_slice or (0, None)))]
        resampled = resample(scored.T, target_rate=RATE)[:, CAD1.sides.index(side)]
        channels[f"{side}_{stem}"] = resampled.astype(np.float64)
    return channels


def level_of(reference: Samples) -> float:
    """HAAQI's `level1` in dB; NaN if the reference is silent."""
    mean = float(np.mean(reference**2))
    return CAD1.level - 10 * float(np.log10(mean)) if mean > 0 else float("nan")


class Bench:
    """A challenge whose submissions are made in a folder, validated and scored."""

    def __init__(self, challenge: Challenge, folder: Path) -> None:
        self._challenge = challenge
        self._folder = folder
        self._references = {song.name: references(song) for song in challenge.songs}
        self._songs = {
            name: ScoredSong(
                [channel.astype(np.float32) for channel in channels.values()],
                sample_rate=RATE,
                levels=[level_of(channel) for channel in channels.values()],
                seed=CAD1.seed(name),
            )
            for name, channels in self._references.items()
        }
        for song, listener in itertools.product(challenge.songs, challenge.listeners):
            self._write_remix(song, listener)

    def _write_remix(self, song: Song, listener: Listener) -> None:
        span = Span.of(song.subjective)
        ears = [
            encode_remix(prescribed(channel, listener, side)[span.start : span.stop])
            for channel, side in zip(Track(song).read("mixture"), CAD1.sides, strict=True)
        ]
        path = self._folder / CAD1.remix_name(listener.id, song.name)
        path.parent.mkdir(parents=True)
        write_flac(path, np.stack(ears, axis=1), sample_rate=CAD1.remix_rate)

    def stems(self, base: str) -> list[Stem]:
        """All stems of a base separator, example by example, in the order of scoring."""
        separator = load_separator(base)
        found = []
        for song in self._challenge.songs:
            mixture = Track(song).read("mixture")
            separated = np.zeros((len(CAD1.stems), *mixture.shape), dtype=np.float32)
            separator.separate(Track(song), separated, lambda done, total: None)
            for listener, name in itertools.product(self._challenge.listeners, CAD1.scoring_order):
                side, stem = side_and_stem(name)
                ear = CAD1.sides.index(side)
                make = functools.partial(heard, listener=listener, side=side, span=Span.of(song.objective))
                both = separated[CAD1.stems.index(stem)]
                reference = self._references[song.name][name]
                found.append(
                    Stem(
                        key=(song.name, listener.id, name),
                        signal=make(both[ear]),
                        opposite=make(both[1 - ear]),
                        mixture=make(mixture[ear]),
                        true=true(reference, listener=listener, side=side),
                        usual=self._usual(song.name, stem),
                        loss=listener.levels(side),
                    )
                )
        return found

    def _usual(self, song: str, stem: str) -> Samples:
        """See `Stem.usual`: the geometric mean over the other songs and both sides."""
        shares = []
        for name, side in itertools.product(self._references.keys() - {song}, CAD1.sides):
            channels = self._references[name]
            mixture = np.sum([channels[f"{side}_{part}"] for part in CAD1.stems], axis=0)
            shares.append(np.log(band_powers(channels[f"{side}_{stem}"]) / band_powers(mixture)))
        usual: Samples = np.exp(np.mean(shares, axis=0))
        return usual

    def score(self, signals: Sequence[Samples]) -> Samples:
        """HAAQI of all stems, NaN where the reference is silent; shape (examples, 8)."""
        left = iter(signals)
        values = []
        for song in self._challenge.songs:
            listenings = [
                Listening(
                    processed=[next(left).astype(np.float32) for _ in CAD1.scoring_order],
                    audiograms=[listener.levels(side_and_stem(name)[0]) for name in CAD1.scoring_order],
                )
                for listener in self._challenge.listeners
            ]
            for found in self._songs[song.name].score_all(listenings, sample_rate=RATE):
                if isinstance(found, Exception):
                    raise found
                values.append([np.nan if value is None else value for value in found])
        return np.array(values)

    def submit(self, stems: Sequence[Stem], trick: Trick) -> tuple[float, str]:
        """The score of the submission made with a trick, NaN if it is invalid, and the validator's findings."""
        decoded = []
        for stem in stems:
            song, listener, name = stem.key
            signal = trick.change(stem)
            peak = float(np.max(np.abs(signal))) or 1.0
            pcm = to_pcm(signal / peak)
            write_flac(
                self._folder / CAD1.stem_name(listener, song, *side_and_stem(name)), pcm, sample_rate=RATE
            )
            scale = self._folder / CAD1.scale_name(listener, song, *side_and_stem(name))
            text = trick.scale(peak)
            scale.unlink(missing_ok=True)
            if text is not None:
                scale.write_text(text, encoding="ascii")
            decoded.append(pcm / CAD1.full_scale * (1.0 if text is None else float(text)))
        report = validate(self._folder, self._challenge)
        score = float(np.mean(np.nanmean(self.score(decoded), axis=1))) if report.valid else float("nan")
        return score, named(report, stems)


def named(report: Report, stems: Sequence[Stem]) -> str:
    """The codes of a report's findings, each with the share of the stems that it names."""
    found: dict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        code = finding.code.upper() if finding.severity is Severity.ERROR else finding.code
        pattern = finding.path.removesuffix(".txt").removesuffix(".flac")
        for song, listener, name in (stem.key for stem in stems):
            path = CAD1.stem_name(listener, song, *side_and_stem(name)).removesuffix(".flac")
            if fnmatch.fnmatchcase(path, pattern + "*" if pattern.endswith("/") else pattern or "*"):
                found[code].add(path)
    return ", ".join(f"{code} {len(found[code])}/{len(stems)}" for code in sorted(found)) or "none"


def main() -> None:
    """Measure and print the tables."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--data", type=Path, required=True, help="a data root with at least two songs")
    parser.add_argument("--split", choices=CAD1.splits, default="test")
    parser.add_argument("--base", nargs="+", default=["leaky", "mixture"], metavar="SEPARATOR")
    parser.add_argument(
        "--trick", nargs="+", default=[""], help="only tricks with one of these in their name"
    )
    options = parser.parse_args()
    challenge = Challenge.load(options.data, split=options.split)
    if len(challenge.songs) < 2:
        parser.error("the data root has one song; the tricks marked (S) need another")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(challenge, Path(folder))
        for base in options.base:
            stems = bench.stems(base)
            tricks = [trick for trick in TRICKS if any(text in trick.name for text in options.trick)]
            if any(text in "gains searched" for text in options.trick):
                tricks += searched(stems, lambda signals: bench.score(signals).reshape(-1))
            plain, findings = bench.submit(stems, Trick(base, lambda stem: stem.signal))
            print("\n| trick | HAAQI | change | findings |\n|---|---|---|---|")
            print(f"| {base} | {plain:.4f} | | {findings} |")
            for trick in tricks:
                score, findings = bench.submit(stems, trick)
                change = "not scored | " if np.isnan(score) else f"{score:.4f} | {score - plain:+.4f}"
                print(f"| {trick.name} | {change} | {findings} |", flush=True)
    print(f"{time.process_time():.0f} s of CPU time", file=sys.stderr)


if __name__ == "__main__":
    main()
