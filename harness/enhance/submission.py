"""From songs to a submission: separates each song once, finishes it for every listener, packs."""

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
from validator.challenge.challenge import Challenge, Listener, Song
from validator.challenge.manifest import entries

Gain = Literal["nalr", "match"]
Progress = Callable[[int, int, str], None]  # examples done, examples in all, what is going on


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
    """Makes a complete submission to a challenge.

    A song is separated once for all its listeners; NAL-R, resampling and encoding of one song run in
    `workers` threads while the next is separated. Run again after an interruption, it goes on at the
    example where it stopped. The zip's bytes depend neither on `workers` nor on interruptions.

    Args:
        challenge: Songs and listeners, from a data root.
        separator: A name that `load_separator` knows, or a separator.
        output: Folder for the submission, made where it is missing. While the work goes on it also
            holds `submission_TEAM.work`, about as large as the submission.
        team: See `checked_team`.
        workers: Threads that finish examples, at least 1.
        gain: "nalr", as the recipe; or "match", which also scales each stem to the level at which the
            scorer hears the reference (see `harness.enhance.gain`).
        compress: Whether the recipe's compressor follows NAL-R.
        weights: See `load_separator`; only with a name.
        device: See `load_separator`; only with a name.
        progress: Called from the calling thread, now and then, with the number of examples done, of all
            examples, and what is going on.

    Returns:
        Path of `submission_TEAM.zip`.

    Raises:
        UsageError: An argument is out of its range, or `output` holds another half-finished run.
        SubmissionError: The team's own separator failed.
        SetupError: The data root, the model's weights or the disk is at fault.
    """
    checked_team(team)
    if workers < 1:
        raise UsageError(f"At least one worker is needed, not {workers}.")
    if gain not in ("nalr", "match"):
        raise UsageError(f"There is no gain {gain!r}.", hint="Choose nalr or match.")
    if challenge.root is None:
        raise UsageError("The roster holds no audio to enhance.", hint="Give the data root with --data.")
    if isinstance(separator, str):
        separator = load_separator(separator, weights=weights, device=device)
    elif weights is not None or device is not None:
        raise UsageError("Weights and a device go with a separator's name, not with a separator.")
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
            run = _Run(challenge, separator, workspace, match=gain == "match", compressor=compressor)
            run.finish(workers=workers, progress=progress or _silent)
            names = [entry.path for entry in entries(challenge)]
            pack(workspace.examples, names, target=zipped)
        workspace.delete()
    return zipped


def _silent(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def _digest(challenge: Challenge) -> str:
    """Tells two challenges apart, by everything in them that an example depends on."""
    songs = [(song.name, song.frames, song.objective, song.subjective) for song in challenge.songs]
    text = repr((str(challenge.root), challenge.split, songs, challenge.listeners))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _disk(output: Path) -> Iterator[None]:
    """Turns what a disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise SetupError(
            f"The disk under {output} is full." if full else f"The submission cannot be written: {error}.",
            hint="Free some space and run the same command again: it goes on where it stopped."
            if full
            else "Choose an --output that can be written to.",
        ) from error


class _Run:
    """One run over all examples that are not there yet."""

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

    def finish(self, *, workers: int, progress: Progress) -> None:
        """Makes them. At most two songs are under way, which bounds memory and disk."""
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
        """Separates a song and hands its missing examples to the threads."""
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
            self._tell(f"separating {track.name}")
            with self._workspace.separating(track.song, frames=track.frames) as target:
                self._separator.separate(track, target, partial(self._report, track.name))
            stems = self._workspace.separated(track.song)
        if stems is None:
            raise InternalError(f"The separated stems of {track.name!r} are gone.")
        return stems

    def _spectra(self, track: Track) -> SongSpectra | None:
        if not self._match:
            return None
        spectra = SongSpectra.measure(track)
        self._tell(f"matching {track.name} to the level of its {'stems' if spectra.matched else 'mixture'}")
        return spectra

    def _report(self, name: str, done: int, total: int) -> None:
        while self._pending and self._pending[0][1].done():
            self._harvest()
        self._tell(f"separating {name}: {done} of {total} blocks")

    def _make(self, source: SeparatedSong, listener: Listener) -> str:
        scratch = self._workspace.scratch(listener, source.song)
        make_example(source, listener, target=self._workspace.examples, scratch=scratch)
        return f"made {source.song.name} for {listener.id}"

    def _collect(self, song: Song | None) -> None:
        """Waits until all examples of a song are made, then drops its stems."""
        while self._pending and self._pending[0][0] is song:
            self._harvest()
        if song is not None:
            self._workspace.forget(song)

    def _harvest(self) -> None:
        """Waits for the oldest example."""
        note = self._pending.popleft()[1].result()
        self._done += 1
        self._tell(note)

    def _tell(self, note: str) -> None:
        self._progress(self._done, len(self._challenge.examples), note)
