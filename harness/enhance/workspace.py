"""The folder of a run that is not finished: examples done so far, separated songs, and for what settings."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from harness.enhance.pack import WRAPPER
from harness.protocol.errors import SetupError, UsageError
from validator.challenge.challenge import Challenge
from validator.challenge.listeners import Listener
from validator.challenge.songs import Song
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1

FLAC_SHARE = 0.8  # of the PCM's size: stems of real music take about two thirds
_FILE_BLOCK = 4096  # bytes a file system rounds a file up to
_FILES = 17  # of an example


class Workspace:
    """What a run keeps on disk, so that the next one goes on where it stopped.

    Args:
        path: The folder; made by `open`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.examples = path / WRAPPER

    @contextlib.contextmanager
    def open(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Makes the folder, or takes up what an earlier run with the same settings left there.

        When the block ends without an example or a separated song, the folder is deleted again.

        Args:
            settings: Everything that the examples depend on, as JSON values.

        Raises:
            UsageError: Another run is at work there, or it holds examples made with other settings.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path / "lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise UsageError(
                f"Another run is at work in {self.path}.", hint="Wait for it, or choose another --output."
            ) from error
        try:
            self._take_up(dict(settings))
            yield
        finally:
            lock.release()
            if not self._holds_work():
                self.delete()

    def _holds_work(self) -> bool:
        return any(self.examples.glob("*/*")) or any((self.path / "separated").glob("*.npy"))

    def _take_up(self, settings: dict[str, Any]) -> None:
        note = self.path / "settings.json"
        if self._holds_work():
            try:
                earlier = json.loads(note.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                earlier = {}
            changed = sorted(key for key in {*settings, *earlier} if settings.get(key) != earlier.get(key))
            if changed:
                raise UsageError(
                    f"{self.path} holds a half-finished run with another {' and '.join(changed)}.",
                    hint="Repeat that run's options to finish it, or delete the folder to begin anew.",
                )
        note.write_text(json.dumps(settings, indent=1), encoding="utf-8")

    def has(self, listener: Listener, song: Song) -> bool:
        """Whether an example is done."""
        return (self.examples / CAD1.folder(listener.id, song.name)).is_dir()

    def scratch(self, listener: Listener, song: Song) -> Path:
        """Where the files of an example lie until all are written."""
        return self.path / "scratch" / f"{listener.id}_{song.name}"

    def separated(self, song: Song) -> NDArray[np.float32] | None:
        """The stems of a song that was separated before, read from disk as they are used."""
        path = self._separated(song)
        return np.load(path, mmap_mode="r") if path.is_file() else None

    @contextlib.contextmanager
    def separating(self, song: Song, *, frames: int) -> Iterator[NDArray[np.float32]]:
        """Zeros on disk of shape (4, 2, frames), which are kept as the song's stems if all goes well.

        Raises:
            OSError: The disk is full.
        """
        final = self._separated(song)
        partial = final.with_suffix(".partial")
        final.parent.mkdir(exist_ok=True)
        stems = np.lib.format.open_memmap(
            partial, mode="w+", dtype=np.float32, shape=(len(CAD1.stems), 2, frames)
        )
        try:
            if hasattr(os, "posix_fallocate"):  # not on every system
                # A memory map on a full disk ends in a bus error, so the space is claimed now.
                with partial.open("rb+") as file:
                    os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
            yield stems
            stems.flush()
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)

    def forget(self, song: Song) -> None:
        """Deletes a song's stems; its examples stay."""
        self._separated(song).unlink(missing_ok=True)

    def delete(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.path)

    def _separated(self, song: Song) -> Path:
        return self.path / "separated" / f"{song.name}.npy"

    def check_space(self, challenge: Challenge) -> None:
        """Checks that what is still to be made fits on the disk: examples, zip, two separated songs.

        Raises:
            SetupError: It does not.
        """
        needed = 0
        largest = 0
        for song in challenge.songs:
            example = example_bytes(song)
            for listener in challenge.listeners:
                needed += example if self.has(listener, song) else 2 * example
            if self.separated(song) is None:
                largest = max(largest, len(CAD1.stems) * 2 * 4 * (song.frames or 0))
        needed += 2 * largest
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise SetupError(
                f"The submission needs about {needed / 1e9:.1f} GB in {self.path.parent}; "
                f"{free / 1e9:.1f} GB are free.",
                hint="Free some space, or choose another --output.",
            )


def example_bytes(song: Song) -> int:
    """About how many bytes the seventeen files of one example of a song take."""
    stem = 2 * (length_of(song, Kind.STEM).nominal or 0)
    remix = 4 * (length_of(song, Kind.REMIX).nominal or 0)
    return int(FLAC_SHARE * (8 * stem + remix)) + _FILES * _FILE_BLOCK
