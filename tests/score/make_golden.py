"""Computes the golden scores of the synthetic challenge with pyclarity 0.3.2 alone.

Run with Python 3.11 and the versions that harness/scorer-requirements.txt pins, with the Dockerfile's variables
that fix the CPU target (pyclarity's own scores change by 1e-8 on half a second of audio if NumPy uses AVX-512):

    python -c "from harness.baselines.synthetic import *; make_challenge('root', seconds=2.0, scored_seconds=0.6)"
    cad1 enhance --data root --split test --separator leaky --output . --team leaky
    env NUMBA_CPU_NAME=… NPY_DISABLE_CPU_FEATURES=… OPENBLAS_CORETYPE=Haswell \
        python tests/score/make_golden.py root submission_leaky.zip > tests/score/golden/leaky.csv

Reads and scores like the challenge's recipe; imports neither `harness` nor `validator`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from clarity.evaluator.haaqi import compute_haaqi
from clarity.utils.signal_processing import compute_rms

COLUMNS = [f"{side}_{stem}" for stem in ("bass", "drums", "other", "vocals") for side in ("left", "right")]


def reference(root: Path, song: str, stem: str, segment: dict[str, float]) -> Any:
    path = root / "audio" / "musdb18hq" / "test" / song / f"{stem}.wav"
    start, end = int(segment["start"] * 44100), int(segment["end"] * 44100)
    pcm, rate = soundfile.read(path, dtype="int16", start=start, stop=end)
    return soxr.resample((pcm / 32768.0).astype(np.float32), rate, 24000, quality="HQ")


def processed(archive: zipfile.ZipFile, listener: str, song: str, name: str) -> Any:
    base = f"evaluation/{listener}/{song}/{listener}_{song}_{name}"
    pcm, _ = soundfile.read(io.BytesIO(archive.read(f"{base}.flac")), dtype="int16")
    signal = (pcm / 32768.0).astype(np.float32)
    signal *= float(archive.read(f"{base}.txt"))
    return signal


def main(root: Path, submission: Path) -> None:
    listeners = json.loads((root / "metadata/listeners.test.json").read_text())
    songs = [track["Track Name"] for track in json.loads((root / "metadata/musdb18.test.json").read_text())]
    segments = json.loads((root / "metadata/musdb18.segments.test.json").read_text())
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["song", "listener", "score", *COLUMNS])
    with zipfile.ZipFile(submission) as archive:
        for song in songs:
            references = {
                stem: reference(root, song, stem, segments[song]["objective_evaluation"])
                for stem in ("drums", "bass", "other", "vocals")
            }
            for listener, audiogram in listeners.items():
                np.random.seed(int(hashlib.md5(song.encode()).hexdigest(), 16) % 10**8)
                values = {}
                for stem, stereo in references.items():
                    for channel, side in enumerate(("left", "right")):
                        values[f"{side}_{stem}"] = compute_haaqi(
                            processed_signal=processed(archive, listener, song, f"{side}_{stem}"),
                            reference_signal=stereo[:, channel],
                            sample_rate_processed=24000,
                            sample_rate_reference=24000,
                            audiogram=np.array(audiogram[f"audiogram_levels_{side[0]}"]),
                            audiogram_frequencies=np.array(audiogram["audiogram_cfs"]),
                            level1=65 - 20 * np.log10(compute_rms(stereo[:, channel])),
                        )
                ordered = [float(values[column]) for column in COLUMNS]
                writer.writerow([song, listener, repr(float(np.mean(ordered))), *map(repr, ordered)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
