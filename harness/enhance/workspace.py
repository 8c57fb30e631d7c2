"""The folder of an unfinished run: examples made so far, separated songs, and the settings."""

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
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1
from validator.challenge.songs import Song

FLAC_SHARE = 0.8  # of the size of the PCM; stems of real music take about two thirds
_FILE_BLOCK = 4096  # bytes; file systems round the size of a file up to a multiple of it


class Workspace:
    """What a run keeps on disk, so that the next one continues where it stopped.

    Args:
        path: The folder; created by `open`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.examples = path / WRAPPER

    @contextlib.contextmanager
    def open(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Create the folder, or reuse the one of an earlier run with the same settings.

        If there is no example and no separated song when the block ends, the folder is deleted.

        Args:
            settings: Everything that the examples depend on, as JSON values.

        Raises:
            UsageError: Another run is using the folder, or it contains examples made with other settings.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path / "lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise UsageError(
                f"Another run is using {self.path}.", hint="Wait for it, or choose another --output."
            ) from error
        try:
            self._check_settings(dict(settings))
            yield
        finally:
            lock.release()
            if not self._has_work():
                self.delete()

    def _has_work(self) -> bool:
        return any(self.examples.glob("*/*")) or any((self.path / "separated").glob("*.npy"))

    def _check_settings(self, settings: dict[str, Any]) -> None:
        file = self.path / "settings.json"
        if self._has_work():
            try:
                earlier = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                earlier = {}
            changed = sorted(key for key in {*settings, *earlier} if settings.get(key) != earlier.get(key))
            if changed:
                raise UsageError(
                    f"{self.path} contains an unfinished run with a different {' and '.join(changed)}.",
                    hint="Use the options of that run to finish it, or delete the folder to start over.",
                )
        file.write_text(json.dumps(settings, indent=1), encoding="utf-8")

    def has(self, listener: Listener, song: Song) -> bool:
        """Whether an example is complete."""
        return (self.examples / CAD1.folder(listener.id, song.name)).is_dir()

    def scratch(self, listener: Listener, song: Song) -> Path:
        """Folder of the files of an example until all are written."""
        return self.path / "scratch" / f"{listener.id}_{song.name}"

    def separated(self, song: Song) -> NDArray[np.float32] | None:
        """The stems of a song that is already separated, memory-mapped; None if it is not."""
        path = self._separated(song)
        return np.load(path, mmap_mode="r") if path.is_file() else None

    @contextlib.contextmanager
    def separating(self, song: Song, *, frames: int) -> Iterator[NDArray[np.float32]]:
        """An array of zeros on disk, shape (4, 2, frames), kept as the song's stems if the block succeeds.

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
                # Writing to a memory map on a full disk is a bus error, so the space is allocated now.
                with partial.open("rb+") as file:
                    os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
            yield stems
            stems.flush()
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)

    def forget(self, song: Song) -> None:
        """Delete a song's stems; its examples are kept."""
        self._separated(song).unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path)

    def _separated(self, song: Song) -> Path:
        return self.path / "separated" / f"{song.name}.npy"

    def check_space(self, challenge: Challenge) -> None:
        """Check that the disk has space for the rest of the run: examples, zip, two separated songs.

        Raises:
            SetupError: It has not.
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
    """Estimated size in bytes of all files of one example of a song."""
    stem = 2 * (length_of(song, Kind.STEM).nominal or 0)
    remix = 4 * (length_of(song, Kind.REMIX).nominal or 0)
    return int(FLAC_SHARE * (len(CAD1.columns) * stem + remix)) + CAD1.files_per_example * _FILE_BLOCK
