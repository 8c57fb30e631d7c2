"""A small synthetic challenge: a data root with songs of four stems, listeners and segments.

The demo and the tests use it in place of real music. The stems are made by additive and noise synthesis, differ
clearly in spectrum and rhythm, are audible on both sides throughout the scored part, and have the levels of a real
mix. The same arguments give the same samples: noise comes from NumPy's frozen legacy generator, and every sample is
rounded to 16 bits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from harness.protocol.errors import UsageError
from validator.challenge.rules import CAD1, Split

Samples = NDArray[np.float64]

FREQUENCIES = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)  # Hz
_LEVELS_DBFS = {"drums": -24.0, "bass": -23.0, "other": -26.0, "vocals": -22.0}  # rms over both channels
_LEAD_IN = 0.5  # seconds before the objective segment
_REMIX_SECONDS = 1.0
_SHORTEST = 2.0  # seconds of a song
_CEILING = 0.95  # peak of the mixture


@dataclass(frozen=True)
class _Score:
    """The notes of a song.

    Attributes:
        tempo: Beats a minute.
        chords: One chord a beat, as semitones above A1 (55 Hz); the first is the bass note.
        melody: Sung notes, one a beat, as semitones above A3 (220 Hz).
    """

    name: str
    genre: str
    tempo: float
    chords: tuple[tuple[int, ...], ...]
    melody: tuple[int, ...]


_SONGS = (
    _Score(
        "Salt & Ember - Harbour Lights", "Folk", 104.0, ((0, 3, 7), (8, 12, 15), (3, 7, 10)), (3, 7, 5, 0, 2)
    ),
    _Score(
        "Tin Whistlers - Don't Look Down", "Pop", 126.0, ((5, 9, 12), (0, 4, 7), (7, 11, 14)), (9, 7, 4, 5)
    ),
)
# Hearing levels in dB HL, left and right: one mild and sloping, one moderate and flatter.
_LISTENERS = {
    "L9001": ((10, 15, 20, 30, 40, 45, 50, 50), (15, 15, 25, 35, 40, 50, 55, 60)),
    "L9002": ((25, 30, 35, 40, 50, 55, 60, 60), (20, 30, 40, 40, 50, 50, 55, 55)),
}
_VOWELS = ((700, 1150, 2600), (350, 2000, 2800), (450, 800, 2600), (550, 1700, 2500))  # Hz: F1 to F3


def make_challenge(
    root: Path,
    *,
    split: Split = "test",
    seconds: float = 3.0,
    scored_seconds: float = 1.5,
    songs: int = 2,
    listeners: int = 2,
    seed: int = 0,
) -> Path:
    """Writes a data root that `Challenge.load(root, split=split)` reads.

    Args:
        root: Folder to write into; created if missing, and files of the same names are replaced.
        split: "test" (objective and subjective segments) or "valid" (whole songs).
        seconds: Length of each song, at least 2.
        scored_seconds: Length of the objective segment of split "test"; it starts half a second into the
            song.
        songs: 1 or 2.
        listeners: 1 or 2.
        seed: Of the noise in the drums and the breath in the voice.

    Returns:
        `root`.

    Raises:
        UsageError: An argument is out of range.
    """
    if seconds < _SHORTEST or not 0 < scored_seconds <= seconds - _LEAD_IN:
        raise UsageError(
            f"A synthetic song of {seconds:g} s cannot hold a scored segment of {scored_seconds:g} s.",
            hint=f"Songs last at least {_SHORTEST:g} s, and the segment starts {_LEAD_IN:g} s into them.",
        )
    if not 1 <= songs <= len(_SONGS) or not 1 <= listeners <= len(_LISTENERS):
        raise UsageError(f"There are {len(_SONGS)} synthetic songs and {len(_LISTENERS)} listeners.")
    subset = "test" if split == "test" else "train"
    tracks: list[dict[str, str]] = []
    segments: dict[str, Any] = {}
    for position, score in enumerate(_SONGS[:songs]):
        _write_song(
            root / "audio" / "musdb18hq" / subset / score.name, _stems(score, seconds, seed + position)
        )
        tracks.append(
            {
                "Track Name": score.name,
                "Genre": score.genre,
                "Source": "synthetic",
                "License": "MIT",
                "Split": subset,
            }
        )
        segments[score.name] = {
            "objective_evaluation": _segment(_LEAD_IN, scored_seconds),
            "subjective_evaluation": _segment(seconds - _REMIX_SECONDS, _REMIX_SECONDS),
        }
    audiograms = {
        name: {
            "name": name,
            "audiogram_cfs": list(FREQUENCIES),
            "audiogram_levels_l": list(left),
            "audiogram_levels_r": list(right),
        }
        for name, (left, right) in list(_LISTENERS.items())[:listeners]
    }
    metadata = root / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    _write_json(metadata / f"listeners.{split}.json", audiograms)
    _write_json(metadata / f"musdb18.{split}.json", tracks)
    if split == "test":
        _write_json(metadata / "musdb18.segments.test.json", segments)
    return root


def _segment(start: float, duration: float) -> dict[str, float]:
    return {"start": start, "end": start + duration, "duration": duration}


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_song(folder: Path, stems: dict[str, Samples]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pcm = {stem: np.round(signal * 32767).astype(np.int16) for stem, signal in stems.items()}
    mixture = np.sum([part.astype(np.int32) for part in pcm.values()], axis=0).astype(np.int16)
    for name, part in {**pcm, "mixture": mixture}.items():
        soundfile.write(folder / f"{name}.wav", part, CAD1.reference_rate, subtype="PCM_16")


def _stems(score: _Score, seconds: float, seed: int) -> dict[str, Samples]:
    """Stems of shape (samples, 2) at their levels, their sum below full scale."""
    time = np.arange(int(seconds * CAD1.reference_rate)) / CAD1.reference_rate
    beat = time * score.tempo / 60
    noise = np.random.RandomState(seed)  # frozen stream, unlike a Generator's
    parts = {
        "drums": _drums(beat, score.tempo, noise),
        "bass": _bass(beat, score),
        "other": _chords(beat, score, noise),
        "vocals": _voice(time, beat, score, noise),
    }
    levelled = {}
    for stem in CAD1.stems:
        signal = parts[stem]
        levelled[stem] = signal * 10 ** (_LEVELS_DBFS[stem] / 20) / np.sqrt(np.mean(signal**2))
    peak = float(np.max(np.abs(sum(levelled.values()))))
    shrink = min(1.0, _CEILING / peak)
    return {stem: signal * shrink for stem, signal in levelled.items()}


def _harmonics(phase: Samples, weights: list[float] | list[Samples]) -> Samples:
    """Sum of sines at multiples of a phase in cycles."""
    total = np.zeros_like(phase)
    for number, weight in enumerate(weights, start=1):
        total += weight * np.sin(2 * np.pi * number * phase)
    return total


def _pitch(semitones: NDArray[np.int64] | int, base: float) -> Any:
    return base * 2.0 ** (np.asarray(semitones) / 12)


def _phase(frequency: Samples) -> Samples:
    """The phase in cycles of a frequency in Hz that may change."""
    return np.cumsum(frequency) / CAD1.reference_rate


def _stereo(left: Samples, right: Samples) -> Samples:
    return np.stack((left, right), axis=1)


def _drums(beat: Samples, tempo: float, noise: np.random.RandomState) -> Samples:
    """Bass drum on the beats, snare on every other off-beat, hi-hat in between, to the right."""

    def since(period: float, offset: float) -> Samples:
        return np.mod(beat - offset, period) * 60 / tempo

    hiss = noise.uniform(-1, 1, len(beat))
    bright = np.diff(hiss, prepend=0.0)
    low = since(1.0, 0.0)
    kick = np.sin(2 * np.pi * (48 * low + 3.0 * (1 - np.exp(-low / 0.03)))) * np.exp(-low / 0.12)
    crack = since(2.0, 1.5)
    snare = (0.6 * hiss + 0.5 * np.sin(2 * np.pi * 190 * crack)) * np.exp(-crack / 0.09)
    hat = 0.35 * bright * np.exp(-since(0.5, 0.25) / 0.04)
    return _stereo(kick + 0.9 * snare + 0.4 * hat, kick + 0.6 * snare + hat)


def _bass(beat: Samples, score: _Score) -> Samples:
    """A low sawtooth of twelve harmonics on the chord's root, plucked twice a beat, a little to the left."""
    roots = np.array([chord[0] for chord in score.chords])
    frequency = _pitch(roots[np.floor(beat).astype(np.int64) % len(roots)], 55.0)
    within = np.mod(beat * 2, 1.0)
    pluck = np.minimum(within / 0.03, 1.0) * np.exp(-1.5 * within)
    saw = _harmonics(_phase(frequency), [1 / number for number in range(1, 13)]) * pluck
    return _stereo(saw, 0.8 * np.roll(saw, 9))


def _chords(beat: Samples, score: _Score, noise: np.random.RandomState) -> Samples:
    """Organ-like chords two octaves up, with wind noise, detuned between the sides, with slow tremolo."""
    tremble = 1 + 0.3 * np.sin(2 * np.pi * beat / 1.5)
    which = np.floor(beat).astype(np.int64) % len(score.chords)
    sides = []
    for detune in (0.9985, 1.0015):
        side = np.zeros_like(beat)
        for voice in range(len(score.chords[0])):
            notes = np.array([chord[voice] for chord in score.chords])[which]
            side += _harmonics(
                _phase(_pitch(notes, 220.0) * detune), [1.0, 0.5, 0.35, 0.1, 0.2, 0.05, 0.0, 0.12]
            )
        sides.append((side + 0.15 * np.diff(noise.uniform(-1, 1, len(beat)), prepend=0.0)) * tremble)
    return _stereo(sides[0], 0.85 * sides[1])


def _voice(time: Samples, beat: Samples, score: _Score, noise: np.random.RandomState) -> Samples:
    """A sung line: harmonics of a gliding, vibrating pitch weighted by the formants of changing vowels."""
    note = np.floor(beat).astype(np.int64)
    melody = np.array(score.melody)
    # The pitch glides over the first tenth of each beat, and then vibrates 5.5 times a second.
    glide = np.minimum(np.mod(beat, 1.0) / 0.1, 1.0)
    now, earlier = melody[note % len(melody)], melody[(note - 1) % len(melody)]
    vibrato = 0.35 * np.sin(2 * np.pi * 5.5 * time) * glide
    frequency = _pitch(earlier + (now - earlier) * glide + vibrato, 220.0)
    formants = np.array(_VOWELS)[note % len(_VOWELS)].T
    weights = []
    for number in range(1, 21):
        partial = number * frequency
        resonance = sum(
            gain / (1 + ((partial - centre) / width) ** 2)
            for gain, centre, width in zip((1.0, 0.5, 0.3), formants, (90.0, 110.0, 160.0), strict=True)
        )
        weights.append((0.03 + resonance) / number**0.5)
    breath = 0.4 * np.diff(noise.uniform(-1, 1, len(time)), prepend=0.0)
    swell = np.minimum(np.mod(beat, 1.0) / 0.08, 1.0) * (1 - 0.7 * np.mod(beat, 1.0) ** 3)
    sung = (_harmonics(_phase(frequency), weights) + breath) * swell
    return _stereo(0.95 * sung, np.roll(sung, 5))
