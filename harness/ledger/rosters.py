"""The roster of a challenge and its digest."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from harness.ledger.entities import Roster

if TYPE_CHECKING:
    from validator import Challenge


def challenge_digest(challenge: Challenge) -> str:
    """SHA-256 of what defines a challenge: split, songs, segments, audio lengths, listeners and audiograms."""
    facts = {
        "split": challenge.split,
        "songs": [
            [song.name, song.frames, song.objective_slice, song.subjective_slice] for song in challenge.songs
        ],
        "listeners": [[one.id, one.frequencies, one.left, one.right] for one in challenge.listeners],
    }
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def roster_of(challenge: Challenge) -> Roster:
    """The songs and listeners of a challenge, as the ledger stores them."""
    return Roster(
        digest=challenge_digest(challenge),
        split=challenge.split,
        songs=tuple(song.name for song in challenge.songs),
        listeners=tuple(listener.id for listener in challenge.listeners),
    )
