"""Submissions that must be rejected, each with exactly the errors that it must give.

`python -m tests.validator.corpus.rejected DEST` writes them to a folder.
"""

from __future__ import annotations

from tests.validator import forge
from tests.validator.corpus import (
    rejected_archives,
    rejected_flac,
    rejected_members,
    rejected_names,
    rejected_scales,
    rejected_tars,
)
from tests.validator.corpus.registry import Corpus, saved
from tests.validator.forge import Item, forged, items
from validator.archive.sizes import SizeLimits

CORPUS = Corpus(
    rejected_archives.CORPUS,
    rejected_members.CORPUS,
    rejected_tars.CORPUS,
    rejected_names.CORPUS,
    rejected_flac.CORPUS,
    rejected_scales.CORPUS,
)
CASES = CORPUS.cases


@CORPUS.case("sample-rate", "bit-depth", "channels", "length", "scale-value", "scale-remix", "unexpected",
             "misnamed", "missing", "flac-truncated", "member-name")  # fmt: skip
def eleven_mistakes(dest):
    files = forge.stems()
    song = forge.SONGS[0]
    place = f"L6001/{song}/L6001_{song}"
    files[f"{place}_left_drums.flac"] = forge.audio(rate=44100)
    files[f"{place}_left_bass.flac"] = forge.audio(subtype="PCM_24")
    files[f"{place}_left_other.flac"] = forge.audio(channels=2)
    files[f"{place}_left_vocals.flac"] = forge.audio(frames=6000)
    files[f"{place}_right_drums.txt"] = b"nan"
    files[f"{place}_remix.txt"] = b"1.0"
    files["notes.md"] = b"x"
    files[f"{place}_right_drum.flac"] = files.pop(f"{place}_right_drums.flac")
    del files[f"{place}_right_bass.flac"]
    files[f"{place}_right_other.flac"] = files[f"{place}_right_other.flac"][:9000]
    return saved(dest, forged([*items(files), Item("../evil", b"x")]))


LIMITED = frozenset(
    {"too_many_members", "forged_total", "tar_with_too_many_members", "member_above_the_limit", "zip_bomb",
     "tar_member_above_the_limit", "gzip_bomb", "folder_with_too_many_files"}
)  # fmt: skip
"""Cases that need `SMALL` instead of the challenge's own limits."""

SMALL = SizeLimits(archive_bytes=1 << 30, entries=80, member_bytes=1 << 20, total_bytes=8 << 20)

if __name__ == "__main__":
    CORPUS.main()
