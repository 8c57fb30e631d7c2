"""From songs to a submission: separates each song once, finishes it for every listener, packs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness.enhance.example import Separated, make_example
from harness.enhance.pack import WRAPPER, pack
from harness.enhance.separators import Separator, load_separator
from harness.enhance.track import Track
from harness.errors import UsageError
from validator.challenge import STEMS, Challenge, Song
from validator.manifest import entries, folder

Progress = Callable[[int, int, str], None]  # examples done, examples in all, what just happened
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def enhance(
    challenge: Challenge,
    *,
    separator: str | Separator,
    output: Path,
    team: str,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Makes a complete submission to a challenge.

    A song is separated once for all its listeners; NAL-R, resampling and encoding of one song run in
    `workers` threads while the next is separated. Run again after an interruption, it goes on at the
    example where it stopped. The zip's bytes do not depend on `workers`, nor on interruptions.

    Args:
        challenge: Songs and listeners, from a data root.
        separator: A name that `load_separator` knows, or a separator.
        output: Folder for the submission, made where it is missing. While the work goes on it also
            holds `submission_TEAM.work`.
        team: Letters, digits, `-` and `_`.
        workers: Threads that finish examples, at least 1.
        progress: Called from the calling thread after each example and whenever a song is begun.

    Returns:
        Path of `submission_TEAM.zip`.

    Raises:
        UsageError: An argument is out of its range.
        SubmissionError: The team's own separator failed.
        SetupError: The data root is at fault.
    """
    if not _TEAM.fullmatch(team):
        raise UsageError(
            f"{team!r} cannot be a team's name.", hint="Use letters, digits, - and _, such as E001."
        )
    if workers < 1:
        raise UsageError(f"At least one worker is needed, not {workers}.")
    if challenge.root is None:
        raise UsageError("The roster holds no audio to enhance.", hint="Give the data root with --data.")
    chosen = load_separator(separator) if isinstance(separator, str) else separator
    output.mkdir(parents=True, exist_ok=True)
    zipped = output / f"submission_{team}.zip"
    work = output / f"submission_{team}.work"
    _Run(challenge, chosen, work=work, workers=workers, progress=progress).finish()
    pack(work / WRAPPER, (entry.path for entry in entries(challenge)), target=zipped)
    shutil.rmtree(work)
    return zipped


class _Run:
    """One run over all examples."""

    def __init__(
        self,
        challenge: Challenge,
        separator: Separator,
        *,
        work: Path,
        workers: int,
        progress: Progress | None,
    ) -> None:
        self._challenge = challenge
        self._separator = separator
        self._work = work
        self._workers = workers
        self._progress = progress
        self._total = len(challenge.examples)
        self._done = 0

    def finish(self) -> None:
        """Makes every example that is not there yet."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="enhance")
        before: list[Future[str]] = []
        try:
            for song in self._challenge.songs:
                here = self._begin(song, pool)
                self._collect(before)  # at most two songs are under way, so the scratch space is bounded
                before = here
            self._collect(before)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, song: Song, pool: ThreadPoolExecutor) -> list[Future[str]]:
        examples = self._work / WRAPPER
        missing = [
            listener
            for listener in self._challenge.listeners
            if not (examples / folder(listener.id, song.name)).is_dir()
        ]
        self._done += len(self._challenge.listeners) - len(missing)
        if not missing:
            return []
        self._tell(f"separating {song.name}")
        track = Track(song)
        separated: Separated = np.empty((len(STEMS), 2, track.frames), dtype=np.float32)
        self._separator.separate(track, separated)

        def make(position: int) -> str:
            listener = missing[position]
            make_example(
                separated,
                song=song,
                listener=listener,
                target=examples,
                scratch=self._work / "scratch" / f"{listener.id}_{song.name}",
            )
            return f"{song.name} for {listener.id}"

        return [pool.submit(make, position) for position in range(len(missing))]

    def _collect(self, futures: list[Future[str]]) -> None:
        for future in futures:
            made = future.result()
            self._done += 1
            self._tell(made)

    def _tell(self, what: str) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total, what)
