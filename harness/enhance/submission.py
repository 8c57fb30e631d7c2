"""Makes a submission: separates each song once, makes the examples of every listener, packs them."""

from __future__ import annotations

import errno
import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from harness.enhance.compressor import Compressor
from harness.enhance.example import Separated, SeparatedSong, make_example
from harness.enhance.gain import SongSpectra
from harness.enhance.loading import load_separator
from harness.enhance.pack import pack
from harness.enhance.separators import Separator
from harness.enhance.track import Track
from harness.enhance.workspace import Workspace
from harness.protocol.errors import InternalError, SetupError, UsageError
from harness.protocol.teams import checked_team
from validator.challenge.challenge import Challenge
from validator.challenge.listeners import Listener
from validator.challenge.manifest import expected_files
from validator.challenge.songs import Song

Gain = Literal["nalr", "match"]
Progress = Callable[[int, int, str], None]  # examples done, examples in all, current step


def enhance(
    challenge: Challenge,
    *,
    separator: str | Separator,
    output: Path,
    team: str,
    workers: int = 1,
    gain: Gain = "nalr",
    compress: bool = False,
    weights: Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a complete submission to a challenge.

    A song is separated once for all listeners; NAL-R, resampling and encoding of one song run in `workers` threads
    while the next song is separated. After an interruption, the next run continues at the example where the last
    one stopped. The bytes of the zip depend neither on `workers` nor on interruptions.

    Args:
        challenge: Songs and listeners, from a data root.
        separator: Name for `load_separator`, or a separator.
        output: Folder for the submission, created if it is missing. During the run it also contains
            `submission_TEAM.work`, about as large as the submission.
        team: See `checked_team`.
        workers: Threads that make examples, at least 1.
        gain: "nalr" as in the recipe, or "match", which also scales each stem to the level of its reference in
            the scorer (see `harness.enhance.gain`).
        compress: Whether to apply the recipe's compressor after NAL-R.
        weights: See `load_separator`; only with a name.
        device: See `load_separator`; only with a name.
        progress: Called now and then, in the calling thread, with the number of examples done and in all, and
            the current step.

    Returns:
        Path of `submission_TEAM.zip`.

    Raises:
        UsageError: An argument is invalid, or `output` contains another unfinished run.
        SubmissionError: The team's own separator failed.
        SetupError: The data root, the weights of a model or the disk cannot be used.
    """
    checked_team(team)
    if workers < 1:
        raise UsageError(f"At least one worker is needed, not {workers}.")
    if gain not in ("nalr", "match"):
        raise UsageError(f"There is no gain {gain!r}.", hint="Use nalr or match.")
    if challenge.root is None:
        raise UsageError(
            "The official roster has no audio to enhance.", hint="Give the data root with --data."
        )
    if isinstance(separator, str):
        separator = load_separator(separator, weights=weights, device=device)
    elif weights is not None or device is not None:
        raise UsageError("Weights and a device can only be given with the name of a separator.")
    compressor = Compressor() if compress else None
    settings = {
        "separator": separator.identity,
        "gain": gain,
        "compressor": repr(compressor),
        "challenge": _digest(challenge),
        "software": {name: version(name) for name in ("numpy", "soundfile", "soxr")},
    }
    zipped = output / f"submission_{team}.zip"
    workspace = Workspace(output / f"submission_{team}.work")
    with _disk(output):
        with workspace.open(settings):
            workspace.check_space(challenge)
            maker = _ExampleMaker(
                challenge, separator, workspace, match=gain == "match", compressor=compressor
            )
            maker.run(workers=workers, progress=progress or _silent)
            names = [file.path for file in expected_files(challenge)]
            pack(workspace.examples, names, target=zipped)
        workspace.delete()
    return zipped


def _silent(done: int, total: int, note: str) -> None:
    """Ignore progress."""


def _digest(challenge: Challenge) -> str:
    """Digest of everything in a challenge that an example depends on."""
    songs = [(song.name, song.frames, song.objective, song.subjective) for song in challenge.songs]
    text = repr((str(challenge.root), challenge.split, songs, challenge.listeners))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _disk(output: Path) -> Iterator[None]:
    """Raise a SetupError for any OSError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise SetupError(
            f"The disk under {output} is full." if full else f"The submission cannot be written: {error}.",
            hint="Free some space and run the same command again: it continues where it stopped."
            if full
            else "Choose an --output that is writable.",
        ) from error


class _ExampleMaker:
    """Makes all examples that do not exist yet."""

    def __init__(
        self,
        challenge: Challenge,
        separator: Separator,
        workspace: Workspace,
        *,
        match: bool,
        compressor: Compressor | None,
    ) -> None:
        self._challenge = challenge
        self._separator = separator
        self._workspace = workspace
        self._match = match
        self._compressor = compressor
        self._pool: ThreadPoolExecutor
        self._pending: deque[tuple[Song, Future[str]]] = deque()
        self._done = 0
        self._progress: Progress = _silent

    def run(self, *, workers: int, progress: Progress) -> None:
        """Make them, with at most two songs in progress, which limits memory and disk space."""
        self._progress = progress
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="enhance")
        try:
            before: Song | None = None
            for song in self._challenge.songs:
                self._begin(song)
                self._collect(before)
                before = song
            self._collect(before)
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, song: Song) -> None:
        """Separate a song, and start making its missing examples."""
        missing = [one for one in self._challenge.listeners if not self._workspace.has(one, song)]
        self._done += len(self._challenge.listeners) - len(missing)
        if not missing:
            return
        track = Track(song)
        source = SeparatedSong(
            song=song,
            stems=self._separated(track),
            compressor=self._compressor,
            spectra=self._spectra(track),
        )
        for listener in missing:
            self._pending.append((song, self._pool.submit(self._make, source, listener)))

    def _separated(self, track: Track) -> Separated:
        stems = self._workspace.separated(track.song)
        if stems is None:
            self._notify(f"separating {track.name}")
            with self._workspace.separating(track.song, frames=track.frames) as target:
                self._separator.separate(track, target, partial(self._report, track.name))
            stems = self._workspace.separated(track.song)
        if stems is None:
            raise InternalError(f"The separated stems of {track.name!r} are missing.")
        return stems

    def _spectra(self, track: Track) -> SongSpectra | None:
        if not self._match:
            return None
        spectra = SongSpectra.measure(track)
        self._notify(f"matching {track.name} to the level of its {'stems' if spectra.matched else 'mixture'}")
        return spectra

    def _report(self, name: str, done: int, total: int) -> None:
        while self._pending and self._pending[0][1].done():
            self._harvest()
        self._notify(f"separating {name}: {done} of {total} blocks")

    def _make(self, source: SeparatedSong, listener: Listener) -> str:
        scratch = self._workspace.scratch(listener, source.song)
        make_example(source, listener, target=self._workspace.examples, scratch=scratch)
        return f"made {source.song.name} for {listener.id}"

    def _collect(self, song: Song | None) -> None:
        """Wait until all examples of a song are made, then delete its stems."""
        while self._pending and self._pending[0][0] is song:
            self._harvest()
        if song is not None:
            self._workspace.forget(song)

    def _harvest(self) -> None:
        """Wait for the oldest example."""
        note = self._pending.popleft()[1].result()
        self._done += 1
        self._notify(note)

    def _notify(self, note: str) -> None:
        self._progress(self._done, len(self._challenge.examples), note)
